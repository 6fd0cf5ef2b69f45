/* fp8 checkpoints come with scale tensors beside their weights: ComfyUI's `<module>.scale_weight`, or
 * `<module>.weight_scale` of later files and of vLLM; with `scaled_fp8` (a marker whose type says which fp8),
 * activation scales that only fp8 arithmetic needs, and `comfy_quant` (JSON that names the format). */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tensor/checkpoint_priv.h"

static bool is_fp8(const kn_entry *e)
{
    return e && (e->dtype == KN_F8_E4M3 || e->dtype == KN_F8_E5M2);
}

/* "scaled_fp8", alone or after a prefix that ends in a dot. */
static bool is_marker(const kn_entry *e)
{
    static const char marker[] = "scaled_fp8";
    size_t n = strlen(e->name), m = sizeof marker - 1;
    return n >= m && !strcmp(e->name + n - m, marker) && (n == m || e->name[n - m - 1] == '.');
}

/* The fp8 weight whose module has this entry as `suffix`; NULL if there is none. */
static kn_entry *weight_of(kn_checkpoint *ck, const kn_entry *e, const char *suffix)
{
    char name[KN_LIMIT_TENSOR_NAME_BYTES + 16];
    size_t n = strlen(e->name), m = strlen(suffix);
    if (n <= m || strcmp(e->name + n - m, suffix) != 0)
        return NULL;
    memcpy(name, e->name, n - m);
    memcpy(name + n - m, ".weight", sizeof ".weight");
    kn_entry *w = kn_checkpoint_find(ck, name);
    return is_fp8(w) ? w : NULL;
}

static int link_scale(kn_entry *weight, const kn_entry *scale, kn_err *err)
{
    bool is_float = scale->dtype == KN_F32 || scale->dtype == KN_BF16 || scale->dtype == KN_F16;
    int64_t n = kn_entry_numel(scale), rows = weight->n_dims ? weight->dims[0] : 1;
    char buf[KN_DIMS_STR];
    if (!is_float || (n != 1 && (n != rows || n < 1)))
        return kn_fail(err, KN_EUNSUPPORTED,
                       "%s: scale %.120s is %s %s, expected one float number or one for each of %lld rows",
                       scale->file, scale->name, kn_dtype_name(scale->dtype),
                       kn_dims_str(scale->n_dims, scale->dims, buf, sizeof buf), (long long)rows);
    if (weight->scale)
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.120s has two scales, %.120s and %.120s", weight->file,
                       weight->name, weight->scale->name, scale->name);
    weight->scale = scale;
    return 0;
}

int kn_ck_link_scales(kn_checkpoint *ck, kn_err *err)
{
    static const char *const scales[] = {".scale_weight", ".weight_scale", NULL};
    static const char *const unneeded[] = {".scale_input", ".input_scale", ".comfy_quant", NULL};
    bool *keep = kn_calloc((size_t)ck->n_entries, sizeof *keep);
    if (!keep)
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", ck->path);
    int rc = 0;
    bool any = false;
    for (int i = 0; i < ck->n_entries && !rc; i++) {
        const kn_entry *e = ck->entries[i];
        keep[i] = !is_marker(e);
        for (int k = 0; scales[k] && !rc; k++) {
            kn_entry *w = weight_of(ck, e, scales[k]);
            keep[i] &= !w;
            rc = w ? link_scale(w, e, err) : 0;
        }
        for (int k = 0; unneeded[k]; k++)
            keep[i] &= !weight_of(ck, e, unneeded[k]);
        any |= !keep[i];
    }
    if (!rc && any)
        rc = kn_ck_filter(ck, keep, err);
    free(keep);
    return rc;
}
