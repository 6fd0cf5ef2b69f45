/* Copying a request: not by way of JSON, which cannot hold file names that are not UTF-8. */
#include <string.h>

#include "engine/request_internal.h"

static int copy_files(const kn_strings *src, kn_strings *dst, const kn_param *p, kn_err *err)
{
    int rc = 0;
    for (int i = 0; i < src->n && !rc; i++)
        rc = kn_request_add_file(dst, p, src->items[i], err);
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
        *(int64_t *)dst = *(const int64_t *)src;
        return 0;
    case KN_PARAM_REAL:
        *(double *)dst = *(const double *)src;
        return 0;
    case KN_PARAM_FILES:
        return copy_files(src, dst, p, err);
    case KN_PARAM_REALS:
        return copy_reals(src, dst, p, err);
    case KN_PARAM_LORAS:
        return copy_loras(src, dst, p, err);
    default:
        return kn_request_set_string(dst, p, *(char *const *)src, err);
    }
}

int kn_request_copy(const kn_request *rq, kn_request *ret, kn_err *err)
{
    kn_request copy;
    int rc = 0;
    kn_request_init(&copy);
    for (const kn_param *p = kn_params; p->name && !rc; p++)
        if (kn_request_has(rq, p))
            rc = copy_param(kn_request_field(rq, p), kn_request_field(&copy, p), p, err);
    if (rc)
        kn_request_done(&copy);
    else
        *ret = copy;
    return rc;
}
