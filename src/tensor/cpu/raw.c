/* The raw rate: oneDNN's matrix product alone, which speeds are compared with. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tensor/cpu/cpu_device.h"

/* The feed-forward product of Wan 1.3B over about 4,000 tokens. */
enum { RAW_ROWS = 4096, RAW_IN = 1536, RAW_OUT = 8960, RAW_REPEATS = 5 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

const char *kn_cpu_versions(char *buf, size_t size)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(buf, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return buf;
}

/* Ordinary values: a product of zeros may draw less power and run faster. */
static void fill(void *data, kn_dtype dtype, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = (float)((i * 2654435761u >> 8) % 2001) * 1e-3f - 1.0f;
        if (dtype == KN_F32)
            ((float *)data)[i] = v;
        else
            ((uint16_t *)data)[i] = kn_f32_to_bf16(v);
    }
}

static int measure(kn_prims *prims, kn_prim *prim, const kn_prim_data *data, double *ret, kn_err *err)
{
    double seconds[RAW_REPEATS];
    int rc = kn_prim_run(prims, prim, data, err); /* generates the code */
    for (int i = 0; i < RAW_REPEATS && !rc; i++) {
        double begin = kn_clock_s();
        rc = kn_prim_run(prims, prim, data, err);
        seconds[i] = kn_clock_s() - begin;
    }
    if (rc)
        return rc;
    qsort(seconds, RAW_REPEATS, sizeof *seconds, by_value);
    *ret = 2.0 * RAW_ROWS * RAW_IN * RAW_OUT / seconds[RAW_REPEATS / 2];
    return 0;
}

int kn_cpu_raw_matmul(kn_device *dev, kn_dtype dtype, double *ret_flops, kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {RAW_OUT, RAW_IN, 1, 1, 1}, .dtype = dtype};
    kn_prim_key key = {.kind = KN_PRIM_MATMUL,
                       .src_type = dtype,
                       .weights_type = dtype,
                       .dst_type = dtype,
                       .src = {RAW_ROWS, RAW_IN},
                       .weights = {RAW_OUT, RAW_IN}};
    kn_weight *w = NULL;
    kn_prim *prim = NULL;
    void *values = NULL, *src = NULL, *dst = NULL, *scratch = NULL;
    if (dtype != KN_F32 && (dtype != KN_BF16 || !kn_cpu_of(dev)->bf16_math))
        return kn_fail(err, KN_EUNSUPPORTED, "no native %s matrix product on this processor",
                       kn_dtype_name(dtype));
    size_t size = kn_dtype_bytes(KN_F32, 1);
    values = kn_calloc((size_t)RAW_OUT * RAW_IN, size);
    src = kn_calloc((size_t)RAW_ROWS * RAW_IN, size);
    dst = kn_calloc((size_t)RAW_ROWS * RAW_OUT, size);
    int rc = values && src && dst ? 0 : kn_fail(err, KN_ENOMEM, "no memory to measure the matrix product");
    if (!rc) {
        fill(values, KN_F32, (int64_t)RAW_OUT * RAW_IN);
        fill(src, dtype, (int64_t)RAW_ROWS * RAW_IN);
    }
    kn_weight_src from = {.data = values, .dtype = KN_F32};
    if (!rc)
        rc = kn_weight_new(dev, &spec, &from, &w, err);
    if (!rc)
        rc = kn_prim_get(prims, &key, &prim, err);
    if (!rc) {
        scratch = kn_calloc(kn_prim_scratch_bytes(prim), 1);
        kn_prim_data data = {.src = src,
                             .weights = ((kn_cpu_weight *)w->priv)->packed[0].data,
                             .dst = dst,
                             .scratch = scratch};
        rc = scratch ? measure(prims, prim, &data, ret_flops, err)
                     : kn_fail(err, KN_ENOMEM, "no memory to measure");
    }
    kn_prim_put(prims, prim);
    kn_weight_free(dev, w);
    free(values);
    free(src);
    free(dst);
    free(scratch);
    return rc;
}
