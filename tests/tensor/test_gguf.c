#include "weights_check.h"

#include <math.h>

#include "tensor/dequant.h"

/* ---- writing GGUF ---- */

typedef struct writer {
    unsigned char data[4096];
    size_t size;
} writer;

static void put(writer *w, uint64_t v, int n)
{
    assert_true(w->size + (size_t)n <= sizeof w->data);
    for (int i = 0; i < n; i++)
        w->data[w->size++] = (unsigned char)(v >> 8 * i);
}

static void put_string(writer *w, const char *s)
{
    put(w, strlen(s), 8);
    for (; *s; s++)
        put(w, (unsigned char)*s, 1);
}

static void put_head(writer *w, uint32_t version, uint64_t n_tensors, uint64_t n_metadata)
{
    w->size = 0;
    put(w, 0x46554747, 4);
    put(w, version, 4);
    put(w, n_tensors, 8);
    put(w, n_metadata, 8);
}

/* dims innermost first */
static void put_tensor(writer *w, const char *name, int n_dims, const uint64_t *dims, uint32_t type,
                       uint64_t offset)
{
    put_string(w, name);
    put(w, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++)
        put(w, dims[i], 8);
    put(w, type, 4);
    put(w, offset, 8);
}

static void align(writer *w, size_t to)
{
    while (w->size % to)
        put(w, 0, 1);
}

static int open_written(const writer *w, kn_checkpoint **ret, kn_err *err)
{
    *ret = NULL;
    *err = (kn_err){0};
    return kn_checkpoint_open_memory(w->data, w->size, "memory", ret, err);
}

static void refuse(const writer *w, int code, const char *text)
{
    kn_err err;
    kn_checkpoint *ck;
    int rc = open_written(w, &ck, &err);
    if (rc != code)
        fail_msg("got %d (%s), expected %d and %s", rc, err.msg, code, text);
    assert_null(ck);
    assert_message(err, text);
}

enum { TYPE_U32 = 4, TYPE_I32 = 5, TYPE_F32 = 6, TYPE_STRING = 8, TYPE_ARRAY = 9 };

/* ---- tests ---- */

static void reads(void **state)
{
    (void)state;
    writer w;
    put_head(&w, 3, 2, 6);
    put_string(&w, "general.architecture");
    put(&w, TYPE_STRING, 4);
    put_string(&w, "wan");
    put_string(&w, "blocks");
    put(&w, TYPE_I32, 4);
    put(&w, (uint32_t)-3, 4);
    put_string(&w, "general.alignment");
    put(&w, TYPE_U32, 4);
    put(&w, 64, 4);
    put_string(&w, "tokens");
    put(&w, TYPE_ARRAY, 4);
    put(&w, TYPE_STRING, 4);
    put(&w, 2, 8);
    put_string(&w, "one");
    put_string(&w, "two");
    put_string(&w, "comfy.gguf.orig_shape.folded");
    put(&w, TYPE_ARRAY, 4);
    put(&w, TYPE_I32, 4);
    put(&w, 5, 8);
    for (int i = 0; i < 5; i++)
        put(&w, (uint64_t[]){2, 3, 1, 2, 1}[i], 4);
    put_string(&w, "eps");
    put(&w, TYPE_F32, 4);
    put(&w, 0x3f000000, 4);
    put_tensor(&w, "folded", 4, (uint64_t[]){1, 2, 1, 6}, 0, 64);
    put_tensor(&w, "plain", 2, (uint64_t[]){3, 2}, 24, 0);
    align(&w, 64);
    size_t begin = w.size;
    for (int i = 0; i < 6; i++)
        put(&w, (uint64_t)i, 1);
    align(&w, 64);
    for (int i = 0; i < 12; i++)
        put(&w, i == 11 ? 0x40400000 : 0, 4);
    kn_checkpoint *ck;
    kn_err err;
    assert_int_equal(open_written(&w, &ck, &err), 0);
    assert_string_equal(kn_checkpoint_meta(ck, "general.architecture"), "wan");
    assert_string_equal(kn_checkpoint_meta(ck, "blocks"), "-3");
    assert_string_equal(kn_checkpoint_meta(ck, "eps"), "0.5");
    const kn_entry *plain = kn_checkpoint_find(ck, "plain"), *folded = kn_checkpoint_find(ck, "folded");
    assert_int_equal(plain->dtype, KN_I8);
    assert_int_equal(plain->dims[0], 2);
    assert_int_equal(plain->dims[1], 3);
    assert_ptr_equal(plain->data, w.data + begin);
    assert_int_equal(folded->n_dims, 5);
    assert_memory_equal(folded->dims, ((int64_t[]){2, 3, 1, 2, 1}), 5 * sizeof(int64_t));
    float v[12];
    assert_int_equal(kn_entry_to_f32(folded, v, &err), 0);
    assert_true(v[11] == 3);
    kn_checkpoint_close(ck);
    for (size_t n = 0; n < w.size; n++) { /* every truncation, in memory of exactly that size */
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, w.data, n);
        assert_int_not_equal(kn_checkpoint_open_memory(cut, n, "cut", &ck, &err), 0);
        free(cut);
    }
}

static void refuses_bad_heads(void **state)
{
    (void)state;
    writer w;
    put_head(&w, 1, 0, 0);
    refuse(&w, KN_EUNSUPPORTED, "GGUF version 1, expected 2 or 3");
    put_head(&w, 0x03000000, 0, 0);
    refuse(&w, KN_EUNSUPPORTED, "big-endian");
    put_head(&w, 3, UINT64_MAX, 0);
    refuse(&w, KN_ELIMIT, "18446744073709551615 tensors");
    put_head(&w, 3, 0, 1ull << 40);
    refuse(&w, KN_ELIMIT, "metadata entries");
    put_head(&w, 3, 0, 1);
    put(&w, UINT64_MAX - 3, 8);
    refuse(&w, KN_EFORMAT, "header ends at byte 32");
    put_head(&w, 3, 0, 1);
    put_string(&w, "key");
    put(&w, 13, 4);
    refuse(&w, KN_EFORMAT, "metadata key has type 13");
    put_head(&w, 3, 0, 1);
    put_string(&w, "nested");
    put(&w, TYPE_ARRAY, 4);
    put(&w, TYPE_ARRAY, 4);
    put(&w, 1, 8);
    refuse(&w, KN_EUNSUPPORTED, "array of arrays");
    put_head(&w, 3, 0, 1);
    put_string(&w, "long");
    put(&w, TYPE_ARRAY, 4);
    put(&w, TYPE_U32, 4);
    put(&w, 1ull << 62, 8); /* x 4 bytes = 0 modulo 2^64 */
    refuse(&w, KN_EFORMAT, "18446744073709551615 more");
    for (uint64_t a = 0; a < 4; a += 3) {
        put_head(&w, 3, 0, 1);
        put_string(&w, "general.alignment");
        put(&w, TYPE_U32, 4);
        put(&w, a, 4);
        refuse(&w, KN_EFORMAT, "expected a power of two");
    }
}

static void refuses_bad_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n_dims;
        uint64_t dims[8];
        uint32_t type;
        uint64_t offset;
        int code;
        const char *text;
    } cases[] = {
        {"t", 1, {32}, 20, 0, KN_EUNSUPPORTED, "tensor t has GGUF type 20 (IQ4_NL)"},
        {"t", 1, {32}, 4, 0, KN_EUNSUPPORTED, "type 4 (unknown)"},
        {"t", 1, {32}, 4000000000, 0, KN_EUNSUPPORTED, "type 4000000000 (unknown)"},
        {"t", 7, {1, 1, 1, 1, 1, 1, 1}, 0, 0, KN_EUNSUPPORTED, "7 dimensions"},
        {"t", 1, {1ull << 63}, 0, 0, KN_EFORMAT, "a dimension of tensor t is 9223372036854775808"},
        {"t", 2, {1ull << 32, 1ull << 32}, 0, 0, KN_EFORMAT, "tensor t is f32 [4294967296, 4294967296]"},
        {"t", 1, {(1ull << 62) + 1}, 0, 0, KN_EFORMAT, "tensor t is f32"},
        {"t", 2, {16, 4}, 2, 0, KN_EFORMAT, "whole blocks of 32"},
        {"t", 1, {16}, 0, 1, KN_EFORMAT, "expected a multiple of 32"},
        {"t", 1, {16}, 0, 32, KN_EFORMAT, "truncated"},
        {"t", 1, {17}, 0, 0, KN_EFORMAT, "truncated"},
        {"t", 1, {16}, 0, UINT64_MAX - 31, KN_EFORMAT, "truncated"},
        {"", 1, {16}, 0, 0, KN_EFORMAT, "0 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer w;
        put_head(&w, 2, 1, 0);
        put_tensor(&w, cases[i].name, cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
        align(&w, 32);
        for (int k = 0; k < 16; k++)
            put(&w, 0, 4);
        refuse(&w, cases[i].code, cases[i].text);
    }
    writer w;
    for (int twice = 0; twice < 2; twice++) {
        put_head(&w, 3, 2, 0);
        put_tensor(&w, "a", 1, (uint64_t[]){16}, 0, 0);
        put_tensor(&w, twice ? "a" : "b", 1, (uint64_t[]){8}, 0, twice ? 64 : 32);
        align(&w, 32);
        for (int k = 0; k < 32; k++)
            put(&w, 0, 4);
        refuse(&w, KN_EFORMAT, twice ? "tensor a is there twice" : "tensors a and b overlap");
    }
}

/* ---- the fixtures: the same transformer as float32 and quantised ---- */

static kn_checkpoint *open_fixture(const char *name)
{
    char *path = kn_asprintf("%s/wan21-original/%s", KN_FIXTURES, name);
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    if (kn_checkpoint_open(path, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    free(path);
    return ck;
}

static void compare(const char *name, double max_error)
{
    kn_checkpoint *ref = open_fixture("wan_t2v.safetensors"), *ck = open_fixture(name);
    kn_err err = {0};
    assert_int_equal(kn_checkpoint_count(ck), kn_checkpoint_count(ref));
    double diff = 0, norm = 0;
    for (int i = 0; i < kn_checkpoint_count(ref); i++) {
        const kn_entry *a = kn_checkpoint_at(ref, i), *b = kn_checkpoint_find(ck, a->name);
        if (!b)
            fail_msg("%s has no %s", name, a->name);
        int64_t n = kn_entry_numel(a);
        assert_int_equal(a->n_dims, b->n_dims);
        assert_memory_equal(a->dims, b->dims, (size_t)a->n_dims * sizeof(int64_t));
        float *x = malloc((size_t)n * 4), *y = malloc((size_t)n * 4);
        assert_int_equal(kn_entry_to_f32(a, x, &err), 0);
        assert_int_equal(kn_entry_to_f32(b, y, &err), 0);
        for (int64_t k = 0; k < n; k++) {
            diff += (double)(x[k] - y[k]) * (double)(x[k] - y[k]);
            norm += (double)x[k] * (double)x[k];
        }
        free(x);
        free(y);
    }
    double error = sqrt(diff / norm);
    if (error > max_error || error == 0)
        fail_msg("%s: relative error %g, expected at most %g", name, error, max_error);
    kn_checkpoint_close(ref);
    kn_checkpoint_close(ck);
}

static void fixtures_match(void **state)
{
    (void)state;
    compare("wan_t2v-F16.gguf", 3e-4);
    compare("wan_t2v-Q8_0.gguf", 8e-3);
    compare("wan_t2v-Q4_0.gguf", 0.12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses_bad_heads),
        cmocka_unit_test(refuses_bad_tensors),
        cmocka_unit_test(fixtures_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
