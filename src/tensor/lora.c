#include "tensor/lora.h"

#include <stdlib.h>

#include "base/mem.h"

struct kn_lora_set {
    int n_files;
};

int kn_lora_set_new(kn_lora_set **ret, kn_err *err)
{
    kn_lora_set *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory for a LoRA");
    *ret = s;
    return 0;
}

void kn_lora_set_free(kn_lora_set *s)
{
    free(s);
}

int kn_lora_set_add(kn_lora_set *s, const char *path, float strength, kn_checkpoint *target,
                    const kn_name_map *map, kn_err *err)
{
    (void)s, (void)strength, (void)target, (void)map;
    return kn_fail(err, KN_EUNSUPPORTED, "%s: LoRAs", path);
}

int kn_lora_set_count(const kn_lora_set *s)
{
    return s->n_files;
}

bool kn_lora_set_touches(const kn_lora_set *s, const char *tensor)
{
    (void)s, (void)tensor;
    return false;
}

int kn_lora_set_apply(const kn_lora_set *s, const char *tensor, float *w, int64_t n_out, int64_t n_in,
                      kn_err *err)
{
    (void)s, (void)w, (void)n_out, (void)n_in;
    return kn_fail(err, KN_EINTERNAL, "no LoRA touches %s", tensor);
}
