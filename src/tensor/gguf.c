/* GGUF versions 2 and 3, little-endian: magic, version, counts, metadata, tensor descriptions, aligned data.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tensor/checkpoint_priv.h"

/* llama.cpp files have about forty entries, of which none but the tokenizer is long. */
enum { MAX_METADATA = 65536 };
/* The format's default, and the largest anybody could want: a huge page. */
enum { DEFAULT_ALIGNMENT = 32, MAX_ALIGNMENT = 2 << 20 };

typedef struct orig_shape {
    const char *name;
    int n_dims;
    int64_t dims[KN_ENTRY_MAX_DIMS];
    struct orig_shape *next;
} orig_shape;

typedef struct reader {
    kn_checkpoint *ck;
    const char *file;
    const unsigned char *data;
    size_t size, at;
    uint64_t alignment;
    orig_shape *orig_shapes;
} reader;

/* ---- bytes ---- */

static int take(reader *r, uint64_t n, const unsigned char **ret, kn_err *err)
{
    if (n > r->size - r->at) {
        kn_fail(err, KN_EFORMAT, "%s: the GGUF header ends at byte %zu of %zu, where %llu more are expected",
                r->file, r->at, r->size, (unsigned long long)n);
        return KN_EFORMAT; /* literally, so that compilers see that *ret is set otherwise */
    }
    *ret = r->data + r->at;
    r->at += (size_t)n;
    return 0;
}

static uint64_t little_endian(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static int read_u32(reader *r, uint32_t *ret, kn_err *err)
{
    const unsigned char *p;
    int rc = take(r, 4, &p, err);
    if (!rc)
        *ret = (uint32_t)little_endian(p, 4);
    return rc;
}

static int read_u64(reader *r, uint64_t *ret, kn_err *err)
{
    const unsigned char *p;
    int rc = take(r, 8, &p, err);
    if (!rc)
        *ret = little_endian(p, 8);
    return rc;
}

static int read_string(reader *r, const char **ret, size_t *ret_size, kn_err *err)
{
    uint64_t n;
    const unsigned char *p;
    int rc = read_u64(r, &n, err);
    if (!rc)
        rc = take(r, n, &p, err);
    if (rc)
        return rc;
    *ret = (const char *)p;
    *ret_size = (size_t)n;
    return 0;
}

/* A tensor's or key's name into buf of KN_LIMIT_TENSOR_NAME_BYTES + 1. */
static int read_name(reader *r, char *buf, kn_err *err)
{
    const char *s;
    size_t n;
    int rc = read_string(r, &s, &n, err);
    if (rc)
        return rc;
    if (n > KN_LIMIT_TENSOR_NAME_BYTES || memchr(s, '\0', n))
        return kn_fail(err, KN_EFORMAT,
                       "%s: a name has %zu bytes or a NUL, expected at most %d bytes without", r->file, n,
                       KN_LIMIT_TENSOR_NAME_BYTES);
    memcpy(buf, s, n);
    buf[n] = '\0';
    return 0;
}

/* ---- metadata ---- */

enum value_type { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, N_VALUE_TYPES };
static const int value_bytes[N_VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static int check_type(const reader *r, const char *key, uint32_t type, kn_err *err)
{
    if (type < N_VALUE_TYPES)
        return 0;
    return kn_fail(err, KN_EFORMAT, "%s: metadata %.200s has type %u, expected 0 to %d", r->file, key, type,
                   N_VALUE_TYPES - 1);
}

/* An integer of any width, sign extended; two's complement makes u64 and i64 one. */
static int64_t integer_value(enum value_type t, const unsigned char *p)
{
    int bits = 8 * value_bytes[t];
    uint64_t v = little_endian(p, value_bytes[t]);
    bool is_signed = t == I8 || t == I16 || t == I32 || t == I64;
    return is_signed ? (int64_t)(v << (64 - bits)) >> (64 - bits) : (int64_t)v;
}

static int add_number(reader *r, const char *key, enum value_type t, const unsigned char *p, kn_err *err)
{
    char text[40];
    if (t == F32 || t == F64) {
        float f;
        double d;
        memcpy(&f, p, sizeof f);
        if (t == F64)
            memcpy(&d, p, sizeof d);
        else
            d = (double)f;
        snprintf(text, sizeof text, "%.9g", d);
    } else {
        snprintf(text, sizeof text, "%lld", (long long)integer_value(t, p));
    }
    return kn_ck_add_meta(r->ck, key, text, strlen(text), err);
}

/* ComfyUI folds tensors of more than four dimensions and notes their shape, outermost first, under this key. */
static const char orig_shape_key[] = "comfy.gguf.orig_shape.";

static int add_orig_shape(reader *r, const char *key, enum value_type t, uint64_t n, const unsigned char *p,
                          kn_err *err)
{
    if (t == F32 || t == F64 || t == BOOL || n > KN_ENTRY_MAX_DIMS)
        return kn_fail(err, KN_EFORMAT, "%s: metadata %.200s is not a shape of at most %d dimensions",
                       r->file, key, KN_ENTRY_MAX_DIMS);
    orig_shape *s = kn_arena_alloc(&r->ck->arena, sizeof *s);
    char *name = kn_arena_strdup(&r->ck->arena, key + sizeof orig_shape_key - 1);
    if (!s || !name)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for the metadata", r->file);
    *s = (orig_shape){.name = name, .n_dims = (int)n, .next = r->orig_shapes};
    for (uint64_t i = 0; i < n; i++)
        s->dims[i] = integer_value(t, p + i * (uint64_t)value_bytes[t]);
    r->orig_shapes = s;
    return 0;
}

static int skip_strings(reader *r, uint64_t n, kn_err *err)
{
    const char *s;
    size_t size;
    int rc = 0;
    for (uint64_t i = 0; i < n && !rc; i++)
        rc = read_string(r, &s, &size, err);
    return rc;
}

static int read_array(reader *r, const char *key, kn_err *err)
{
    uint32_t type;
    uint64_t n, bytes;
    const unsigned char *p;
    int rc = read_u32(r, &type, err);
    if (!rc)
        rc = check_type(r, key, type, err);
    if (!rc)
        rc = read_u64(r, &n, err);
    if (rc)
        return rc;
    if (type == ARRAY)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: metadata %.200s is an array of arrays", r->file, key);
    if (type == STRING)
        return skip_strings(r, n, err);
    if (__builtin_mul_overflow(n, (uint64_t)value_bytes[type], &bytes))
        bytes = UINT64_MAX;
    rc = take(r, bytes, &p, err);
    if (!rc && !strncmp(key, orig_shape_key, sizeof orig_shape_key - 1))
        rc = add_orig_shape(r, key, (enum value_type)type, n, p, err);
    return rc;
}

static int read_alignment(reader *r, const char *key, uint32_t type, const unsigned char *p, kn_err *err)
{
    uint64_t a = type == U32 ? little_endian(p, 4) : 0;
    if (a == 0 || a > MAX_ALIGNMENT || (a & (a - 1)))
        return kn_fail(err, KN_EFORMAT, "%s: %s is %llu, expected a power of two up to %d", r->file, key,
                       (unsigned long long)a, MAX_ALIGNMENT);
    r->alignment = a;
    return 0;
}

static int read_metadata(reader *r, kn_err *err)
{
    char key[KN_LIMIT_TENSOR_NAME_BYTES + 1];
    uint32_t type;
    const char *s;
    size_t n;
    const unsigned char *p;
    int rc = read_name(r, key, err);
    if (!rc)
        rc = read_u32(r, &type, err);
    if (!rc)
        rc = check_type(r, key, type, err);
    if (rc)
        return rc;
    if (type == ARRAY)
        return read_array(r, key, err);
    if (type == STRING) {
        rc = read_string(r, &s, &n, err);
        return rc ? rc : kn_ck_add_meta(r->ck, key, s, n, err);
    }
    rc = take(r, (uint64_t)value_bytes[type], &p, err);
    if (!rc && !strcmp(key, "general.alignment"))
        rc = read_alignment(r, key, type, p, err);
    return rc ? rc : add_number(r, key, (enum value_type)type, p, err);
}

/* ---- tensors ---- */

enum { UNSUPPORTED = -1 };
/* ggml's numbers; NULL where a type was removed. */
static const struct {
    const char *name;
    int dtype;
} tensor_types[] = {
    [0] = {"F32", KN_F32},
    [1] = {"F16", KN_F16},
    [2] = {"Q4_0", KN_Q4_0},
    [3] = {"Q4_1", KN_Q4_1},
    [6] = {"Q5_0", KN_Q5_0},
    [7] = {"Q5_1", KN_Q5_1},
    [8] = {"Q8_0", KN_Q8_0},
    [9] = {"Q8_1", UNSUPPORTED},
    [10] = {"Q2_K", KN_Q2_K},
    [11] = {"Q3_K", KN_Q3_K},
    [12] = {"Q4_K", KN_Q4_K},
    [13] = {"Q5_K", KN_Q5_K},
    [14] = {"Q6_K", KN_Q6_K},
    [15] = {"Q8_K", UNSUPPORTED},
    [16] = {"IQ2_XXS", UNSUPPORTED},
    [17] = {"IQ2_XS", UNSUPPORTED},
    [18] = {"IQ3_XXS", UNSUPPORTED},
    [19] = {"IQ1_S", UNSUPPORTED},
    [20] = {"IQ4_NL", UNSUPPORTED},
    [21] = {"IQ3_S", UNSUPPORTED},
    [22] = {"IQ2_S", UNSUPPORTED},
    [23] = {"IQ4_XS", UNSUPPORTED},
    [24] = {"I8", KN_I8},
    [25] = {"I16", KN_I16},
    [26] = {"I32", KN_I32},
    [27] = {"I64", KN_I64},
    [28] = {"F64", KN_F64},
    [29] = {"IQ1_M", UNSUPPORTED},
    [30] = {"BF16", KN_BF16},
    [34] = {"TQ1_0", UNSUPPORTED},
    [35] = {"TQ2_0", UNSUPPORTED},
    [39] = {"MXFP4", UNSUPPORTED},
};

static int read_tensor_type(reader *r, const char *name, kn_dtype *ret, kn_err *err)
{
    uint32_t t;
    int rc = read_u32(r, &t, err);
    if (rc)
        return rc;
    bool known = t < sizeof tensor_types / sizeof *tensor_types && tensor_types[t].name;
    if (!known || tensor_types[t].dtype == UNSUPPORTED)
        return kn_fail(
            err, KN_EUNSUPPORTED,
            "%s: tensor %.200s has GGUF type %u (%s), expected F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 "
            "or Q2_K to Q6_K",
            r->file, name, t, known ? tensor_types[t].name : "unknown");
    *ret = (kn_dtype)tensor_types[t].dtype;
    return 0;
}

/* GGUF lists the innermost dimension first. */
static int read_dims(reader *r, kn_entry *e, kn_err *err)
{
    uint32_t n;
    int rc = read_u32(r, &n, err);
    if (!rc && n > KN_ENTRY_MAX_DIMS)
        rc = kn_fail(err, KN_EUNSUPPORTED, "%s: tensor %.200s has %u dimensions, expected at most %d",
                     r->file, e->name, n, KN_ENTRY_MAX_DIMS);
    if (rc)
        return rc;
    e->n_dims = (int)n;
    for (int i = e->n_dims - 1; i >= 0 && !rc; i--) {
        uint64_t d;
        rc = read_u64(r, &d, err);
        if (!rc && d > INT64_MAX)
            rc = kn_fail(err, KN_EFORMAT, "%s: a dimension of tensor %.200s is %llu", r->file, e->name,
                         (unsigned long long)d);
        if (!rc)
            e->dims[i] = (int64_t)d;
    }
    return rc;
}

static int measure(const reader *r, kn_entry *e, kn_err *err)
{
    char buf[KN_DIMS_STR];
    int64_t n = kn_entry_numel(e), block = kn_dtype_block(e->dtype), bytes;
    int64_t inner = e->n_dims ? e->dims[e->n_dims - 1] : 1;
    if (n < 0 || inner % block || __builtin_mul_overflow(n / block, kn_dtype_block_bytes(e->dtype), &bytes))
        return kn_fail(err, KN_EFORMAT, "%s: tensor %.200s is %s %s, expected rows of whole blocks of %lld",
                       r->file, e->name, kn_dtype_name(e->dtype),
                       kn_dims_str(e->n_dims, e->dims, buf, sizeof buf), (long long)block);
    e->bytes = (size_t)bytes;
    return 0;
}

static int read_tensor(reader *r, uint64_t *ret_offset, kn_err *err)
{
    char name[KN_LIMIT_TENSOR_NAME_BYTES + 1];
    kn_entry e = {.name = name, .file = r->file};
    int rc = read_name(r, name, err);
    if (!rc)
        rc = read_dims(r, &e, err);
    if (!rc)
        rc = read_tensor_type(r, name, &e.dtype, err);
    if (!rc)
        rc = read_u64(r, ret_offset, err);
    if (!rc)
        rc = measure(r, &e, err);
    return rc ? rc : kn_ck_add(r->ck, &e, err);
}

static int place(const reader *r, kn_entry *e, size_t begin, uint64_t offset, kn_err *err)
{
    if (offset % r->alignment)
        return kn_fail(err, KN_EFORMAT,
                       "%s: tensor %.200s lies at byte %llu of the data, expected a multiple of %llu",
                       r->file, e->name, (unsigned long long)offset, (unsigned long long)r->alignment);
    size_t size = begin < r->size ? r->size - begin : 0;
    if (offset > size || e->bytes > size - offset)
        return kn_fail(err, KN_EFORMAT,
                       "%s: tensor %.200s lies at bytes %llu and the %zu after it, but the file has only %zu "
                       "of data; is "
                       "it truncated?",
                       r->file, e->name, (unsigned long long)offset, e->bytes, size);
    e->data = e->bytes ? r->data + begin + offset : r->data;
    return 0;
}

static int read_tensors(reader *r, uint64_t n, kn_err *err)
{
    int first = kn_checkpoint_count(r->ck), rc = 0;
    uint64_t *offsets = kn_calloc((size_t)n, sizeof *offsets);
    if (!offsets)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for the tensor list", r->file);
    for (uint64_t i = 0; i < n && !rc; i++)
        rc = read_tensor(r, &offsets[i], err);
    size_t begin = (r->at + (size_t)r->alignment - 1) & ~((size_t)r->alignment - 1);
    for (uint64_t i = 0; i < n && !rc; i++)
        rc = place(r, kn_checkpoint_at(r->ck, first + (int)i), begin, offsets[i], err);
    free(offsets);
    return rc ? rc : kn_ck_check_overlaps(r->ck, first, err);
}

static int restore_shapes(const reader *r, kn_err *err)
{
    for (const orig_shape *s = r->orig_shapes; s; s = s->next) {
        kn_entry *e = kn_checkpoint_find(r->ck, s->name);
        if (!e)
            continue;
        char was[KN_DIMS_STR], is[KN_DIMS_STR];
        if (kn_ck_numel(s->n_dims, s->dims) != kn_entry_numel(e))
            return kn_fail(err, KN_EFORMAT, "%s: tensor %.120s has shape %s, which its metadata says was %s",
                           r->file, e->name, kn_dims_str(e->n_dims, e->dims, is, sizeof is),
                           kn_dims_str(s->n_dims, s->dims, was, sizeof was));
        e->n_dims = s->n_dims;
        memcpy(e->dims, s->dims, sizeof e->dims);
    }
    return 0;
}

/* ---- the file ---- */

static int read_counts(reader *r, uint64_t *n_tensors, uint64_t *n_metadata, kn_err *err)
{
    const unsigned char *magic;
    uint32_t version;
    int rc = take(r, 4, &magic, err);
    if (!rc)
        rc = read_u32(r, &version, err);
    if (!rc && version != 2 && version != 3)
        rc = kn_fail(err, KN_EUNSUPPORTED, "%s: GGUF version %u%s, expected 2 or 3", r->file, version,
                     version > 0xffff ? " (a big-endian file)" : "");
    if (!rc)
        rc = read_u64(r, n_tensors, err);
    if (!rc)
        rc = read_u64(r, n_metadata, err);
    if (!rc && (*n_tensors > KN_LIMIT_TENSORS || *n_metadata > MAX_METADATA))
        rc = kn_fail(err, KN_ELIMIT, "%s: %llu tensors and %llu metadata entries, expected at most %d and %d",
                     r->file, (unsigned long long)*n_tensors, (unsigned long long)*n_metadata,
                     KN_LIMIT_TENSORS, MAX_METADATA);
    return rc;
}

int kn_gguf_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file, kn_err *err)
{
    reader r = {.ck = ck, .file = file, .data = data, .size = size, .alignment = DEFAULT_ALIGNMENT};
    uint64_t n_tensors, n_metadata;
    int rc = read_counts(&r, &n_tensors, &n_metadata, err);
    for (uint64_t i = 0; !rc && i < n_metadata; i++)
        rc = read_metadata(&r, err);
    if (!rc)
        rc = read_tensors(&r, n_tensors, err);
    return rc ? rc : restore_shapes(&r, err);
}
