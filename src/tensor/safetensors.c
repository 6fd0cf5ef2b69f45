/* safetensors: 8 bytes of header length (little-endian), a JSON header, the data.
 * Format: https://github.com/huggingface/safetensors#format */
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "tensor/checkpoint_priv.h"
#include "tensor/safetensors.h"

static const struct {
    const char *name;
    kn_dtype dtype;
} dtypes[] = {
    {"F64", KN_F64}, {"F32", KN_F32}, {"F16", KN_F16},         {"BF16", KN_BF16},
    {"I64", KN_I64}, {"I32", KN_I32}, {"I16", KN_I16},         {"I8", KN_I8},
    {"U8", KN_U8},   {"BOOL", KN_U8}, {"F8_E4M3", KN_F8_E4M3}, {"F8_E5M2", KN_F8_E5M2},
};

const char *kn_safetensors_dtype_name(kn_dtype t)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == t)
            return dtypes[i].name;
    return NULL;
}

typedef struct reader {
    kn_checkpoint *ck;
    const char *file;
    const unsigned char *data; /* after the header */
    size_t data_size;
    const char *name; /* of the tensor being read */
} reader;

static int read_dtype(const reader *r, const json_t *v, kn_dtype *ret, kn_err *err)
{
    const char *name = json_string_value(v);
    if (!name)
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s has no dtype", r->file, r->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!strcmp(dtypes[i].name, name)) {
            *ret = dtypes[i].dtype;
            return 0;
        }
    }
    return kn_fail(
        err, KN_EUNSUPPORTED,
        "%s: tensor %.200s has dtype %.40s, expected F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, "
        "I16, I8, U8 or BOOL",
        r->file, r->name, name);
}

static int read_shape(const reader *r, const json_t *v, kn_entry *e, kn_err *err)
{
    if (!json_is_array(v))
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s has no shape", r->file, r->name);
    size_t n = json_array_size(v);
    if (n > KN_ENTRY_MAX_DIMS)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: tensor %.200s has %zu dimensions, expected at most %d",
                       r->file, r->name, n, KN_ENTRY_MAX_DIMS);
    e->n_dims = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *d = json_array_get(v, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return kn_fail(err, KN_EFORMAT, "%s: dimension %zu of tensor %.200s is not a size", r->file, i,
                           r->name);
        e->dims[i] = json_integer_value(d);
    }
    return 0;
}

static int read_place(const reader *r, const json_t *v, kn_entry *e, kn_err *err)
{
    const json_t *b = json_array_get(v, 0), *f = json_array_get(v, 1);
    if (json_array_size(v) != 2 || !json_is_integer(b) || !json_is_integer(f))
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s has no data_offsets of two numbers", r->file,
                       r->name);
    int64_t begin = json_integer_value(b), end = json_integer_value(f);
    if (begin < 0 || end < begin)
        return kn_fail(err, KN_EFORMAT,
                       "%s: tensor %.200s lies at bytes %lld to %lld, expected 0 <= begin <= end", r->file,
                       r->name, (long long)begin, (long long)end);
    if ((uint64_t)end > r->data_size)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: tensor %.200s lies at bytes %lld to %lld of the data, but the file has only %zu; is it "
            "truncated?",
            r->file, r->name, (long long)begin, (long long)end, r->data_size);
    e->data = r->data + begin;
    e->bytes = (size_t)(end - begin);
    return 0;
}

static int read_tensor(reader *r, const char *name, const json_t *v, kn_err *err)
{
    kn_entry e = {.name = name, .file = r->file};
    r->name = name;
    if (!json_is_object(v))
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s is not described by an object", r->file, name);
    int rc = read_dtype(r, json_object_get(v, "dtype"), &e.dtype, err);
    if (!rc)
        rc = read_shape(r, json_object_get(v, "shape"), &e, err);
    if (!rc)
        rc = read_place(r, json_object_get(v, "data_offsets"), &e, err);
    if (rc)
        return rc;
    char buf[KN_DIMS_STR];
    int64_t n = kn_entry_numel(&e), bytes;
    if (n < 0 || __builtin_mul_overflow(n, kn_dtype_block_bytes(e.dtype), &bytes) ||
        (uint64_t)bytes != e.bytes)
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s is %s %s but has %zu bytes", r->file, name,
                       kn_dtype_name(e.dtype), kn_dims_str(e.n_dims, e.dims, buf, sizeof buf), e.bytes);
    return kn_ck_add(r->ck, &e, err);
}

static int read_metadata(const reader *r, const json_t *v, kn_err *err)
{
    if (!json_is_object(v))
        return kn_fail(err, KN_EFORMAT, "%s: __metadata__ is not an object", r->file);
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
    {
        if (!json_is_string(value))
            return kn_fail(err, KN_EFORMAT, "%s: __metadata__ %.200s is not a string", r->file, key);
        rc = kn_ck_add_meta(r->ck, key, json_string_value(value), json_string_length(value), err);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_header(reader *r, const json_t *header, kn_err *err)
{
    if (!json_is_object(header))
        return kn_fail(err, KN_EFORMAT, "%s: the safetensors header is not a JSON object", r->file);
    int first = kn_checkpoint_count(r->ck), rc = 0;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)header, name, v)
    {
        rc = strcmp(name, "__metadata__") ? read_tensor(r, name, v, err) : read_metadata(r, v, err);
        if (rc)
            return rc;
    }
    return kn_ck_check_overlaps(r->ck, first, err);
}

int kn_safetensors_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file,
                        kn_err *err)
{
    enum { LENGTH_BYTES = 8 };
    if (size < LENGTH_BYTES)
        return kn_fail(err, KN_EFORMAT, "%s: %zu bytes are too few for a safetensors file", file, size);
    uint64_t n = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint64_t)data[i] << 8 * i;
    if (n > KN_LIMIT_SAFETENSORS_HEADER_BYTES)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: not a safetensors file: it would have a header of %llu bytes, at most %llu are read", file,
            (unsigned long long)n, (unsigned long long)KN_LIMIT_SAFETENSORS_HEADER_BYTES);
    if (n > size - LENGTH_BYTES)
        return kn_fail(err, KN_EFORMAT,
                       "%s: a safetensors header of %llu bytes in a file of %zu; is it truncated?", file,
                       (unsigned long long)n, size);
    json_t *header = NULL;
    int rc = kn_json_parse((const char *)data + LENGTH_BYTES, (size_t)n, file, &header, err);
    if (rc)
        return rc;
    reader r = {
        .ck = ck, .file = file, .data = data + LENGTH_BYTES + n, .data_size = size - LENGTH_BYTES - n};
    rc = read_header(&r, header, err);
    json_decref(header);
    return rc;
}
