#include "weights_check.h"

#include "base/limits.h"

static void opens_and_reads(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"},"
                                 "\"a\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[6,10]},"
                                 "\"empty\":{\"dtype\":\"BF16\",\"shape\":[0,4],\"data_offsets\":[10,10]},"
                                 "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[10,11]}}  ";
    size_t size;
    unsigned char *p = make_safetensors(header, 11, &size);
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    assert_int_equal(kn_checkpoint_open_memory(p, size, "memory", &ck, &err), 0);
    assert_int_equal(kn_checkpoint_count(ck), 4);
    assert_int_equal(kn_checkpoint_bytes(ck), 11);
    assert_string_equal(kn_checkpoint_meta(ck, "k"), "v");
    assert_null(kn_checkpoint_meta(ck, "x"));
    assert_null(kn_checkpoint_find(ck, "c"));
    const kn_entry *a = kn_checkpoint_find(ck, "a");
    assert_non_null(a);
    assert_int_equal(a->dtype, KN_U8);
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->dims[0], 2);
    assert_int_equal(a->dims[1], 3);
    float values[6];
    assert_int_equal(kn_entry_to_f32(a, values, &err), 0);
    for (int i = 0; i < 6; i++)
        assert_true(values[i] == (float)i);
    const kn_entry *b = kn_checkpoint_find(ck, "b");
    assert_int_equal(b->n_dims, 0);
    assert_int_equal(kn_entry_numel(b), 1);
    assert_int_equal(kn_entry_numel(kn_checkpoint_find(ck, "empty")), 0);
    assert_int_equal(kn_checkpoint_find(ck, "flag")->dtype, KN_U8);
    kn_checkpoint_close(ck);
    free(p);
}

static void refuses_bad_files(void **state)
{
    (void)state;
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    assert_int_equal(kn_checkpoint_open_memory("abc", 3, "m", &ck, &err), KN_EFORMAT);
    assert_message(err, "3 bytes");
    unsigned char huge[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    assert_int_equal(kn_checkpoint_open_memory(huge, 16, "m", &ck, &err), KN_EFORMAT);
    assert_message(err, "9223372036854775808");
    unsigned char longer[16] = {9};
    assert_int_equal(kn_checkpoint_open_memory(longer, 16, "m", &ck, &err), KN_EFORMAT);
    assert_message(err, "truncated");
    assert_int_equal(kn_checkpoint_open_memory("PK\3\4....", 8, "m", &ck, &err), KN_EUNSUPPORTED);
    assert_message(err, "pickled");
    assert_int_equal(kn_checkpoint_open_memory(NULL, 0, "m", &ck, &err), KN_EFORMAT);
    assert_null(ck);
}

static void refuses_bad_headers(void **state)
{
    (void)state;
    refuse_header("", 0, KN_EFORMAT, "JSON");
    refuse_header("[]", 0, KN_EFORMAT, "not a JSON object");
    refuse_header("{\"a\":1}", 0, KN_EFORMAT, "tensor a");
    refuse_header("{\"__metadata__\":[]}", 0, KN_EFORMAT, "__metadata__");
    refuse_header("{\"__metadata__\":{\"k\":1}}", 0, KN_EFORMAT, "__metadata__ k");
    refuse_header("{\"a\":{\"shape\":[],\"data_offsets\":[0,1]}}", 1, KN_EFORMAT, "no dtype");
    refuse_header("{\"a\":{\"dtype\":\"F4_E2M1\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, KN_EUNSUPPORTED,
                  "tensor a has dtype F4_E2M1");
    refuse_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                  "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                  2, KN_EFORMAT, "duplicate");
    refuse_header("{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, KN_EFORMAT, "0 bytes");
    refuse_header("{\"a\\nb\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, KN_EFORMAT,
                  "0x0a");
    char header[2048], name[KN_LIMIT_TENSOR_NAME_BYTES + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    refuse_header(header, 1, KN_EFORMAT, "expected 1 to 512");
}

static void refuses_bad_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *shape;
        int code;
        const char *text;
    } cases[] = {
        {"3", KN_EFORMAT, "no shape"},
        {"[-1]", KN_EFORMAT, "dimension 0"},
        {"[1.5]", KN_EFORMAT, "dimension 0"},
        {"[1,1,1,1,1,1,1]", KN_EUNSUPPORTED, "7 dimensions"},
        {"[2]", KN_EFORMAT, "f32 [2] but has 4 bytes"},
        {"[4294967296,4294967296,4]", KN_EFORMAT, "but has 4 bytes"},
        {"[4611686018427387905]", KN_EFORMAT, "but has 4 bytes"}, /* x 4 = 4 modulo 2^64 */
        {"[0,9223372036854775807]", KN_EFORMAT, "but has 4 bytes"},
        {"[9223372036854775808]", KN_EFORMAT, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,4]}}",
                 cases[i].shape);
        refuse_header(header, 4, cases[i].code, cases[i].text);
    }
}

static void refuses_bad_places(void **state)
{
    (void)state;
    static const struct {
        const char *place, *text;
    } cases[] = {
        {"[0]", "two numbers"},
        {"[0,4,8]", "two numbers"},
        {"[0,\"4\"]", "two numbers"},
        {"[-4,0]", "bytes -4 to 0"},
        {"[4,0]", "bytes 4 to 0"},
        {"[4,8]", "the file has only 4; is it truncated?"},
        {"[9223372036854775803,9223372036854775807]", "truncated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s}}",
                 cases[i].place);
        refuse_header(header, 4, KN_EFORMAT, cases[i].text);
    }
    refuse_header("{\"one\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]},"
                  "\"two\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                  4, KN_EFORMAT, "two and one overlap");
}

static void refuses_too_many(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 32u << 20);
    for (int i = 0; i <= KN_LIMIT_TENSORS; i++)
        kn_buf_printf(&b, "%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? ',' : '{',
                      i);
    kn_buf_puts(&b, "}");
    char *header = kn_buf_take(&b);
    kn_err err;
    assert_non_null(header);
    assert_int_equal(open_header(header, 0, &err), KN_ELIMIT);
    assert_message(err, "more than 200000 tensors");
    free(header);
    kn_buf_done(&b);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    unsigned char *p =
        make_safetensors("{\"a\":{\"dtype\":\"I16\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8, &size);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, p, n);
        kn_checkpoint *ck = NULL;
        kn_err err = {0};
        assert_int_not_equal(kn_checkpoint_open_memory(cut, n, "cut", &ck, &err), 0);
        assert_null(ck);
        free(cut);
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_reads),     cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_bad_headers), cmocka_unit_test(refuses_bad_shapes),
        cmocka_unit_test(refuses_bad_places),  cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(refuses_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
