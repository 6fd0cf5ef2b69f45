#include "tensor/weight.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tensor/device.h"

static int n_spec_dims(const kn_weight_spec *spec)
{
    return spec->kind == KN_WEIGHT_CONV ? 5 : 2;
}

static int check_spec(const kn_weight_spec *spec, kn_err *err)
{
    int64_t bytes = 4;
    for (int i = 0; i < n_spec_dims(spec); i++)
        if (spec->dims[i] < 1 || __builtin_mul_overflow(bytes, spec->dims[i], &bytes))
            return kn_fail(err, KN_EINTERNAL,
                           "weight: dimension %d is %lld, expected dimensions that fit into memory", i,
                           (long long)spec->dims[i]);
    if (spec->dtype == KN_I8 && spec->kind == KN_WEIGHT_CONV)
        return kn_fail(err, KN_EUNSUPPORTED, "weight: a convolution in int8; f32 and bf16 are supported");
    if (spec->upsample2 &&
        (spec->kind != KN_WEIGHT_CONV || spec->dims[2] != 1 || spec->dims[3] != 3 || spec->dims[4] != 3))
        return kn_fail(err, KN_EINTERNAL, "weight: for doubled pictures, expected a 1x3x3 convolution");
    if (spec->dtype != KN_F32 && spec->dtype != KN_BF16 && spec->dtype != KN_I8)
        return kn_fail(err, KN_EINTERNAL, "weight: %s, expected f32, bf16 or int8",
                       kn_dtype_name(spec->dtype));
    return 0;
}

static int check_src(const kn_weight_spec *spec, const kn_weight_src *src, kn_err *err)
{
    if (!src || !src->data)
        return kn_fail(err, KN_EINTERNAL, "weight: no data to pack");
    if (src->dtype != KN_F32 && src->dtype != KN_BF16 && src->dtype != KN_F16)
        return kn_fail(err, KN_EINTERNAL, "weight: data is %s, expected f32, bf16 or f16",
                       kn_dtype_name(src->dtype));
    if (spec->bias != (src->bias != NULL))
        return kn_fail(err, KN_EINTERNAL, "weight: a bias is %s but %s",
                       spec->bias ? "expected" : "not expected", src->bias ? "given" : "missing");
    return 0;
}

static int begin(kn_device *dev, const kn_weight_spec *spec, kn_weight **ret, kn_err *err)
{
    kn_weight *w = kn_calloc(1, sizeof *w);
    if (!w)
        return kn_fail(err, KN_ENOMEM, "no memory for a weight");
    w->spec = *spec;
    w->bytes = dev->ops->weight_bytes(dev, spec);
    *ret = w;
    return 0;
}

static int finish(kn_device *dev, kn_weight *w, int rc, kn_weight **ret)
{
    if (rc) {
        free(w);
        return rc;
    }
    kn_device_account(dev, (int64_t)w->bytes, 0);
    *ret = w;
    return 0;
}

int kn_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight **ret,
                  kn_err *err)
{
    int rc = check_spec(spec, err);
    if (!rc && !dev->is_meta)
        rc = check_src(spec, src, err);
    if (rc)
        return rc;
    if (!dev->ops->weight_bytes || (!dev->is_meta && !dev->ops->weight_new))
        return kn_fail(err, KN_EUNSUPPORTED, "weights are not supported by device %s", dev->name);
    kn_weight *w = NULL;
    rc = begin(dev, spec, &w, err);
    if (rc)
        return rc;
    if (!dev->is_meta) {
        rc = dev->ops->weight_new(dev, spec, src, w, err);
        dev->n_weights_made++;
    }
    return finish(dev, w, rc, ret);
}

void kn_weight_free(kn_device *dev, kn_weight *w)
{
    if (!w)
        return;
    if (!dev->is_meta && dev->ops->weight_free)
        dev->ops->weight_free(dev, w);
    kn_device_account(dev, -(int64_t)w->bytes, 0);
    free(w->name);
    free(w);
}

/* ---- packed weights that outlive the process ---- */

uint64_t kn_weight_format(kn_device *dev, const kn_weight_spec *spec)
{
    return dev->ops->weight_format ? dev->ops->weight_format(dev, spec) : 0;
}

int kn_weight_save(kn_device *dev, const kn_weight *w, kn_put_fn put, void *ud)
{
    KN_ASSERT(dev->ops->weight_save);
    return dev->ops->weight_save(dev, w, put, ud);
}

int kn_weight_map(kn_device *dev, const kn_weight_spec *spec, const void *data, size_t bytes, kn_weight **ret,
                  kn_err *err)
{
    KN_ASSERT(dev->ops->weight_map);
    kn_weight *w = NULL;
    int rc = check_spec(spec, err);
    if (!rc)
        rc = begin(dev, spec, &w, err);
    if (rc)
        return rc;
    if (bytes != w->bytes)
        rc = kn_fail(err, KN_EFORMAT, "a packed weight has %zu bytes, expected %zu", bytes, w->bytes);
    else
        rc = dev->ops->weight_map(dev, spec, data, bytes, w, err);
    dev->n_weights_recalled += !rc;
    return finish(dev, w, rc, ret);
}
