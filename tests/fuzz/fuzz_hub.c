/* The input is what a hub answers for a model, its model_index.json behind it: what is chosen stays inside the model's folder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/choose.h"
#include "hub/manifest.h"

static void choose(const kn_hub_repo *r, const json_t *index, const char *variant)
{
    kn_choices c = {0};
    uint64_t size = 0;
    if (kn_choose(r, &(kn_wish){.id = "a/b", .variant = variant, .index = index}, &c, NULL))
        return;
    for (int i = 0; i < c.n; i++) {
        KN_ASSERT(kn_hub_path_is_safe(c.items[i].as) && kn_hub_path_is_safe(c.items[i].file->path));
        KN_ASSERT(kn_hub_repo_find(r, c.items[i].file->path) == c.items[i].file);
        size += c.items[i].file->size;
    }
    KN_ASSERT(size == c.size);
    json_t *m = kn_manifest_make("a/b", r->commit, &c);
    for (int i = 0; m && i < c.n; i++)
        KN_ASSERT(kn_manifest_find(m, c.items[i].as) != NULL);
    json_decref(m);
    kn_choices_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end - text) : size;
    json_t *answer = NULL, *index = NULL;
    kn_hub_repo r = {0};
    if (kn_json_parse(text, n, "fuzz", &answer, NULL))
        return 0;
    if (end)
        (void)kn_json_parse(end + 1, size - n - 1, "fuzz", &index, NULL);
    if (!kn_hub_repo_read(answer, "a/b", &r, NULL)) {
        choose(&r, json_is_object(index) ? index : NULL, NULL);
        choose(&r, json_is_object(index) ? index : NULL, "fp16");
        json_decref(kn_hub_variants(&r));
        kn_hub_repo_done(&r);
    }
    json_decref(answer);
    json_decref(index);
    return 0;
}
