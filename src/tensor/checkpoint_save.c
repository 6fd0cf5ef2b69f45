/* Writing safetensors. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tensor/checkpoint_priv.h"
#include "tensor/safetensors.h"

enum { HEADER_ALIGN = 8 };

static int describe(const kn_save_tensor *t, uint64_t offset, json_t *header, size_t *ret_bytes, kn_err *err)
{
    const char *dtype = kn_safetensors_dtype_name(t->dtype);
    int64_t n = kn_ck_numel(t->n_dims, t->dims), bytes;
    if (!dtype)
        return kn_fail(err, KN_EINVAL, "tensor %.200s: safetensors has no type %s", t->name,
                       kn_dtype_name(t->dtype));
    if (n < 0 || __builtin_mul_overflow(n, kn_dtype_block_bytes(t->dtype), &bytes))
        return kn_fail(err, KN_EINVAL, "tensor %.200s has no valid shape", t->name);
    if (json_object_get(header, t->name))
        return kn_fail(err, KN_EINVAL, "tensor %.200s is to be saved twice", t->name);
    json_t *shape = json_array();
    for (int i = 0; i < t->n_dims; i++)
        json_array_append_new(shape, json_integer(t->dims[i]));
    json_t *v = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets",
                          (json_int_t)offset, (json_int_t)offset + bytes);
    if (json_object_set_new(header, t->name, v))
        return kn_fail(err, KN_EINVAL, "tensor %.200s cannot be described in JSON: is its name UTF-8?",
                       t->name);
    *ret_bytes = (size_t)bytes;
    return 0;
}

/* The header text, padded with spaces so that the data lies aligned; the caller frees it. */
static int make_header(int n, const kn_save_tensor *tensors, const json_t *metadata, size_t *bytes,
                       char **ret, size_t *ret_size, kn_err *err)
{
    json_t *header = json_object();
    if (metadata)
        json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata);
    char *text = NULL, *padded = NULL;
    uint64_t offset = 0;
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        rc = describe(&tensors[i], offset, header, &bytes[i], err);
        if (!rc)
            offset += bytes[i];
    }
    if (rc)
        goto out;
    text = json_dumps(header, JSON_COMPACT);
    size_t size = text ? strlen(text) : 0, aligned = (size + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    padded = text ? malloc(aligned + 1) : NULL;
    if (!padded) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for the header of %d tensors", n);
        goto out;
    }
    memset(padded, ' ', aligned);
    memcpy(padded, text, size);
    *ret = padded;
    *ret_size = aligned;
out:
    free(text);
    json_decref(header);
    return rc;
}

int kn_checkpoint_save(const char *path, int n, const kn_save_tensor *tensors, kn_err *err)
{
    return kn_checkpoint_save_with(path, n, tensors, NULL, err);
}

int kn_checkpoint_save_with(const char *path, int n, const kn_save_tensor *tensors, const json_t *metadata,
                            kn_err *err)
{
    kn_atomic_file file = {0};
    char *header = NULL;
    size_t header_size = 0, *bytes = kn_calloc((size_t)n, sizeof *bytes);
    int rc = bytes ? 0 : kn_fail(err, KN_ENOMEM, "no memory to write %s", path);
    if (!rc)
        rc = make_header(n, tensors, metadata, bytes, &header, &header_size, err);
    if (!rc)
        rc = kn_atomic_open(&file, path, err);
    if (rc)
        goto out;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header_size >> 8 * i);
    /* commit asks ferror, so that one check covers every write */
    (void)fwrite(length, 1, sizeof length, file.f);
    (void)fwrite(header, 1, header_size, file.f);
    for (int i = 0; i < n && !ferror(file.f); i++)
        if (bytes[i])
            (void)fwrite(tensors[i].data, 1, bytes[i], file.f);
    rc = kn_atomic_commit(&file, err);
out:
    free(header);
    free(bytes);
    return rc;
}
