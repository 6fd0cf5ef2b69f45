/* Copying a request: not by way of JSON, which cannot hold file names that are not UTF-8. */
#include <string.h>

#include "engine/request_internal.h"

static int copy_strings(const kn_strings *src, kn_strings *dst, const kn_param *p, kn_err *err)
{
    int rc = 0;
    for (int i = 0; i < src->n && !rc; i++)
        rc = kn_request_add_string(dst, p, src->items[i], err);
    return rc;
}

static int copy_reals(const kn_reals *src, kn_reals *dst, const kn_param *p, kn_err *err)
{
    int rc = 0;
    for (int i = 0; i < src->n && !rc; i++)
        rc = kn_request_add_real(dst, p, src->items[i], err);
    return rc;
}

static int copy_loras(const kn_loras *src, kn_loras *dst, const kn_param *p, kn_err *err)
{
    int rc = 0;
    for (int i = 0; i < src->n && !rc; i++) {
        const kn_lora_ref *l = &src->items[i];
        rc = kn_request_add_lora(dst, p, l->path, strlen(l->path), l->strength, l->expert, err);
    }
    return rc;
}

static int copy_param(const void *src, void *dst, const kn_param *p, kn_err *err)
{
    switch (p->type) {
    case KN_PARAM_INT:
    case KN_PARAM_BYTES:
        *(int64_t *)dst = *(const int64_t *)src;
        return 0;
    case KN_PARAM_REAL:
        *(double *)dst = *(const double *)src;
        return 0;
    case KN_PARAM_FILES:
    case KN_PARAM_TEXTS:
        return copy_strings(src, dst, p, err);
    case KN_PARAM_REALS:
        return copy_reals(src, dst, p, err);
    case KN_PARAM_LORAS:
        return copy_loras(src, dst, p, err);
    default:
        return kn_request_set_string(dst, p, *(char *const *)src, err);
    }
}

/* A copy of `first`, with what only `second` (may be NULL) has. */
static int merge(const kn_request *first, const kn_request *second, kn_request *ret, kn_err *err)
{
    kn_request copy;
    int rc = 0;
    kn_request_init(&copy);
    copy.size_is_default = first->size_is_default;
    copy.native_frames = first->native_frames;
    for (const kn_param *p = kn_params; p->name && !rc; p++) {
        const kn_request *from = kn_request_has(first, p) ? first : second;
        if (from && kn_request_has(from, p))
            rc = copy_param(kn_request_field(from, p), kn_request_field(&copy, p), p, err);
    }
    if (rc)
        kn_request_done(&copy);
    else
        *ret = copy;
    return rc;
}

int kn_request_copy(const kn_request *rq, kn_request *ret, kn_err *err)
{
    return merge(rq, NULL, ret, err);
}

int kn_request_fill(kn_request *rq, const kn_request *from, kn_err *err)
{
    kn_request filled;
    int rc = merge(rq, from, &filled, err);
    if (rc)
        return rc;
    kn_request_done(rq);
    *rq = filled;
    return 0;
}
