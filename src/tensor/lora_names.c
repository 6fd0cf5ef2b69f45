/* From the names in LoRA files to the names of the model's tensors. */
#include <stdlib.h>
#include <string.h>

#include "tensor/lora_priv.h"

static const char weight_suffix[] = ".weight";

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static int compare_alias(const void *a, const void *b)
{
    return strcmp(((const kn_lora_alias *)a)->flat, ((const kn_lora_alias *)b)->flat);
}

static char *flatten(const char *name, size_t n)
{
    char *flat = kn_strndup(name, n);
    for (char *p = flat; p && *p; p++)
        if (*p == '.')
            *p = '_';
    return flat;
}

static bool add_alias(kn_lora_modules *m, const char *name, size_t n, const kn_entry *e)
{
    kn_lora_alias *a = &m->aliases[m->n_aliases];
    *a = (kn_lora_alias){.flat = flatten(name, n),
                         .module = e->name,
                         .length = (int)(strlen(e->name) - strlen(weight_suffix))};
    m->n_aliases += a->flat != NULL;
    return a->flat != NULL;
}

int kn_lora_modules_init(kn_lora_modules *m, kn_checkpoint *target, const kn_name_map *map, kn_err *err)
{
    char original[KN_LORA_NAME];
    int n = kn_checkpoint_count(target);
    bool ok = true;
    *m = (kn_lora_modules){.target = target, .map = map};
    m->aliases = kn_calloc(2 * (size_t)n, sizeof *m->aliases);
    for (int i = 0; m->aliases && i < n && ok; i++) {
        const kn_entry *e = kn_checkpoint_at(target, i);
        if (!ends_with(e->name, weight_suffix))
            continue;
        ok = add_alias(m, e->name, strlen(e->name) - strlen(weight_suffix), e);
        if (ok && map && map->to_original && map->to_original(e->name, original, sizeof original) == 0 &&
            ends_with(original, weight_suffix))
            ok = add_alias(m, original, strlen(original) - strlen(weight_suffix), e);
    }
    if (!m->aliases || !ok)
        return kn_fail(err, KN_ENOMEM, "no memory for the module names of %.200s",
                       kn_checkpoint_path(target));
    qsort(m->aliases, (size_t)m->n_aliases, sizeof *m->aliases, compare_alias);
    return 0;
}

void kn_lora_modules_done(kn_lora_modules *m)
{
    for (int i = 0; i < m->n_aliases; i++)
        free(m->aliases[i].flat);
    free(m->aliases);
    *m = (kn_lora_modules){0};
}

static const kn_entry *find(const kn_lora_modules *m, const char *module, const char *suffix, bool bare,
                            char *ret)
{
    snprintf(ret, KN_LORA_NAME, "%s%s", module, suffix);
    const kn_entry *e = kn_checkpoint_find(m->target, ret);
    if (e || !bare)
        return e;
    snprintf(ret, KN_LORA_NAME, "%s", module);
    return kn_checkpoint_find(m->target, ret);
}

static const kn_entry *find_either(const kn_lora_modules *m, const char *module, const char *suffix,
                                   bool bare, char *ret)
{
    char canonical[KN_LORA_NAME];
    if (m->map && m->map->to_canonical && m->map->to_canonical(module, canonical, sizeof canonical) == 0) {
        const kn_entry *e = find(m, canonical, suffix, bare, ret);
        if (e)
            return e;
    }
    return find(m, module, suffix, bare, ret);
}

/* kohya's names lost their dots. */
static const kn_entry *find_flat(const kn_lora_modules *m, const char *flat, const char *suffix, char *ret)
{
    kn_lora_alias key = {.flat = (char *)(uintptr_t)flat};
    const kn_lora_alias *a =
        bsearch(&key, m->aliases, (size_t)m->n_aliases, sizeof *m->aliases, compare_alias);
    if (!a)
        return NULL;
    snprintf(ret, KN_LORA_NAME, "%.*s%s", a->length, a->module, suffix);
    return kn_checkpoint_find(m->target, ret);
}

const kn_entry *kn_lora_resolve(const kn_lora_modules *m, const char *module, const char *suffix, bool bare,
                                char *ret_name)
{
    static const char *const prefixes[] = {"base_model.model.",
                                           "model.diffusion_model.",
                                           "diffusion_model.",
                                           "transformer.",
                                           "model.",
                                           "unet.",
                                           NULL};
    static const char *const flat_prefixes[] = {"lora_unet_", "lora_transformer_", "lycoris_", NULL};
    for (int i = 0; flat_prefixes[i]; i++)
        if (!strncmp(module, flat_prefixes[i], strlen(flat_prefixes[i])))
            return find_flat(m, module + strlen(flat_prefixes[i]), suffix, ret_name);
    for (bool stripped = true; stripped;) {
        const kn_entry *e = find_either(m, module, suffix, bare, ret_name);
        if (e)
            return e;
        stripped = false;
        for (int i = 0; prefixes[i] && !stripped; i++) {
            size_t n = strlen(prefixes[i]);
            stripped = !strncmp(module, prefixes[i], n);
            module += stripped ? n : 0;
        }
    }
    return NULL;
}
