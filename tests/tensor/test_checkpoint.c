#include "weights_check.h"

#include <math.h>
#include <time.h>

#include "tensor/checkpoint_random.h"

static void save(const char *dir, const char *file, int n, const kn_save_tensor *tensors)
{
    char *path = kn_path_join(dir, file);
    kn_err err = {0};
    if (kn_checkpoint_save(path, n, tensors, &err))
        fail_msg("%s", err.msg);
    free(path);
}

static int open_in(const char *dir, const char *file, const char *variant, kn_checkpoint **ret, kn_err *err)
{
    char *path = *file ? kn_path_join(dir, file) : kn_strdup(dir);
    *ret = NULL;
    *err = (kn_err){0};
    int rc = kn_checkpoint_open(path, variant, ret, err);
    free(path);
    return rc;
}

static void round_trip(void **state)
{
    (void)state;
    static const float f[6] = {1, -2.5f, 3e-20f, 0, 7, -0.0f};
    static const uint16_t h[2] = {0x3f80, 0xc000};
    static const int64_t l[3] = {-1, 1ll << 40, 5};
    static const uint8_t u[5] = {0, 1, 127, 128, 255};
    const kn_save_tensor tensors[] = {
        {"u\u00e9", KN_U8, 1, {5}, u}, {"f", KN_F32, 3, {1, 2, 3}, f}, {"h", KN_BF16, 1, {2}, h},
        {"l", KN_I64, 1, {3}, l},      {"none", KN_F32, 1, {0}, NULL},
    };
    char *dir = make_folder();
    save(dir, "x.safetensors", 5, tensors);
    kn_checkpoint *ck;
    kn_err err;
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), 0);
    assert_int_equal(kn_checkpoint_count(ck), 5);
    for (int i = 0; i < 5; i++) {
        const kn_entry *e = kn_checkpoint_find(ck, tensors[i].name);
        assert_non_null(e);
        assert_int_equal(e->dtype, tensors[i].dtype);
        assert_int_equal(e->n_dims, tensors[i].n_dims);
        assert_memory_equal(e->dims, tensors[i].dims, sizeof(int64_t) * (size_t)e->n_dims);
        assert_int_equal(e->bytes, kn_dtype_bytes(e->dtype, kn_entry_numel(e)));
        if (e->bytes)
            assert_memory_equal(e->data, tensors[i].data, e->bytes);
    }
    float two[2];
    assert_int_equal(kn_entry_to_f32(kn_checkpoint_find(ck, "h"), two, &err), 0);
    assert_true(two[0] == 1 && two[1] == -2);
    kn_checkpoint_close(ck);
    const kn_save_tensor twice[] = {tensors[1], tensors[1]};
    assert_int_equal(kn_checkpoint_save("/nowhere/x", 2, twice, &err), KN_EINVAL);
    assert_message(err, "twice");
    assert_int_equal(kn_checkpoint_save("/nowhere/x", 1, twice, &err), KN_EIO);
    const char *const files[] = {"x.safetensors", NULL};
    remove_folder(dir, files);
}

static const uint8_t bytes[4] = {1, 2, 3, 4};
static const kn_save_tensor tensor_a = {"a", KN_U8, 1, {4}, bytes}, tensor_b = {"b", KN_U8, 1, {2}, bytes},
                            tensor_c = {"c", KN_U8, 1, {3}, bytes};

static void write_text(const char *dir, const char *file, const char *text)
{
    char *path = kn_path_join(dir, file);
    write_bytes(path, text, strlen(text));
    free(path);
}

static void sharded(void **state)
{
    (void)state;
    char *dir = make_folder();
    kn_checkpoint *ck;
    kn_err err;
    const kn_save_tensor two[] = {tensor_b, tensor_c};
    save(dir, "m-1.safetensors", 1, &tensor_a);
    save(dir, "m-2.safetensors", 2, two);
    write_text(
        dir, "model.safetensors.index.json",
        "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\",\"c\":\"m-2.safetensors\"}}");
    assert_int_equal(open_in(dir, "", NULL, &ck, &err), 0);
    assert_int_equal(kn_checkpoint_count(ck), 3);
    assert_non_null(strstr(kn_checkpoint_find(ck, "c")->file, "m-2.safetensors"));
    kn_checkpoint_close(ck);

    static const struct {
        const char *index;
        int code;
        const char *text;
    } bad[] = {
        {"{}", KN_EFORMAT, "weight_map"},
        {"{\"weight_map\":{}}", KN_EFORMAT, "weight_map"},
        {"{\"weight_map\":{\"a\":3}}", KN_EFORMAT, "not a string"},
        {"{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}", KN_EFORMAT, "beside the index"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", KN_EFORMAT, "beside the index"},
        {"{\"weight_map\":{\"a\":\"m-3.safetensors\"}}", KN_ENOTFOUND, "m-3.safetensors"},
        {"{\"weight_map\":{\"x\":\"m-1.safetensors\"}}", KN_EFORMAT, "tensor x is not in m-1.safetensors"},
        {"{\"weight_map\":", KN_EFORMAT, "JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(dir, "bad.json", bad[i].index);
        assert_int_equal(open_in(dir, "bad.json", NULL, &ck, &err), bad[i].code);
        assert_message(err, bad[i].text);
    }
    save(dir, "m-2.safetensors", 1, &tensor_a);
    write_text(dir, "bad.json", "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
    assert_int_equal(open_in(dir, "bad.json", NULL, &ck, &err), KN_EFORMAT);
    assert_message(err, "tensor a is there twice");
    const char *const files[] = {"m-1.safetensors", "m-2.safetensors", "model.safetensors.index.json",
                                 "bad.json", NULL};
    remove_folder(dir, files);
}

static void folders_and_variants(void **state)
{
    (void)state;
    char *dir = make_folder();
    kn_checkpoint *ck;
    kn_err err;
    assert_int_equal(open_in(dir, "", NULL, &ck, &err), KN_ENOTFOUND);
    assert_message(err, "found none");
    save(dir, "model.fp16.safetensors", 1, &tensor_a);
    assert_int_equal(open_in(dir, "", NULL, &ck, &err), KN_ENOTFOUND);
    assert_message(err, "found model.fp16.safetensors");
    assert_int_equal(open_in(dir, "", "fp16", &ck, &err), 0);
    assert_non_null(kn_checkpoint_find(ck, "a"));
    kn_checkpoint_close(ck);
    assert_int_equal(open_in(dir, "", "bf16", &ck, &err), KN_ENOTFOUND);
    assert_message(err, "variant bf16");
    save(dir, "diffusion_pytorch_model.safetensors", 1, &tensor_b);
    assert_int_equal(open_in(dir, "", NULL, &ck, &err), 0);
    assert_non_null(kn_checkpoint_find(ck, "b"));
    kn_checkpoint_close(ck);
    assert_int_equal(open_in(dir, "absent.safetensors", NULL, &ck, &err), KN_ENOTFOUND);
    assert_message(err, "absent.safetensors");
    const char *const files[] = {"model.fp16.safetensors", "diffusion_pytorch_model.safetensors", NULL};
    remove_folder(dir, files);
}

static int rename_some(void *ud, const char *name, char *out, size_t size)
{
    const char *to = ud;
    if (!strcmp(name, "a")) {
        snprintf(out, size, "%s", to);
        return 0;
    }
    return strcmp(name, "b") ? 1 : 2;
}

static void renames(void **state)
{
    (void)state;
    char *dir = make_folder();
    kn_checkpoint *ck;
    kn_err err;
    const kn_save_tensor three[] = {tensor_a, tensor_b, tensor_c};
    save(dir, "x.safetensors", 3, three);
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), 0);
    char to[] = "blocks.0.a";
    assert_int_equal(kn_checkpoint_rename(ck, rename_some, to, &err), 0);
    assert_int_equal(kn_checkpoint_count(ck), 2);
    assert_null(kn_checkpoint_find(ck, "a"));
    assert_null(kn_checkpoint_find(ck, "b"));
    assert_int_equal(kn_entry_numel(kn_checkpoint_find(ck, "blocks.0.a")), 4);
    assert_int_equal(kn_entry_numel(kn_checkpoint_find(ck, "c")), 3);
    kn_checkpoint_close(ck);
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), 0);
    char clash[] = "c";
    assert_int_equal(kn_checkpoint_rename(ck, rename_some, clash, &err), KN_EFORMAT);
    assert_message(err, "two tensors are named c");
    kn_checkpoint_close(ck);
    const char *const files[] = {"x.safetensors", NULL};
    remove_folder(dir, files);
}

/* fp8 values 1, 2, -1, 0.5 in e4m3fn: 0x38, 0x40, 0xb8, 0x30 */
static void fp8_scales(void **state)
{
    (void)state;
    static const uint8_t w[4] = {0x38, 0x40, 0xb8, 0x30};
    static const float scale = 3, rows[2] = {10, 100}, many[3] = {1, 2, 3};
    const kn_save_tensor tensors[] = {
        {"m.weight", KN_F8_E4M3, 2, {2, 2}, w},    {"m.scale_weight", KN_F32, 0, {0}, &scale},
        {"n.weight", KN_F8_E4M3, 2, {2, 2}, w},    {"n.weight_scale", KN_F32, 2, {2, 1}, rows},
        {"o.weight", KN_F8_E4M3, 2, {2, 2}, w},    {"scaled_fp8", KN_F8_E4M3, 1, {2}, w},
        {"n.input_scale", KN_F32, 0, {0}, &scale}, {"other.scale_weight", KN_F32, 0, {0}, &scale},
    };
    char *dir = make_folder();
    kn_checkpoint *ck;
    kn_err err;
    save(dir, "x.safetensors", 8, tensors);
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), 0);
    assert_int_equal(kn_checkpoint_count(ck), 4); /* m, n, o and the scale of nothing */
    static const struct {
        const char *name;
        float expected[4];
    } cases[] = {
        {"m.weight", {3, 6, -3, 1.5f}}, {"n.weight", {10, 20, -100, 50}}, {"o.weight", {1, 2, -1, 0.5f}}};
    for (int i = 0; i < 3; i++) {
        float v[4];
        assert_int_equal(kn_entry_to_f32(kn_checkpoint_find(ck, cases[i].name), v, &err), 0);
        assert_memory_equal(v, cases[i].expected, sizeof v);
    }
    kn_checkpoint_close(ck);
    const kn_save_tensor bad[] = {tensors[0], {"m.scale_weight", KN_F32, 1, {3}, many}};
    save(dir, "x.safetensors", 2, bad);
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), KN_EUNSUPPORTED);
    assert_message(err, "m.scale_weight is f32 [3]");
    const kn_save_tensor two[] = {tensors[0], tensors[1], {"m.weight_scale", KN_F32, 1, {2}, rows}};
    save(dir, "x.safetensors", 3, two);
    assert_int_equal(open_in(dir, "x.safetensors", NULL, &ck, &err), KN_EFORMAT);
    assert_message(err, "two scales");
    const char *const files[] = {"x.safetensors", NULL};
    remove_folder(dir, files);
}

static void random_values(void **state)
{
    (void)state;
    enum { N = 200000 };
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    assert_int_equal(kn_checkpoint_random(7, &ck, &err), 0);
    assert_true(kn_checkpoint_is_random(ck));
    assert_int_equal(kn_checkpoint_count(ck), 0);
    assert_null(kn_checkpoint_find(ck, "a"));
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    uint16_t *h = malloc(N * sizeof *h);
    assert_int_equal(kn_checkpoint_random_fill(ck, "a", 1, 0.5f, KN_F32, x, N, &err), 0);
    assert_int_equal(kn_checkpoint_random_fill(ck, "a", 1, 0.5f, KN_BF16, h, N, &err), 0);
    assert_int_equal(kn_checkpoint_random_fill(ck, "b", 1, 0.5f, KN_F32, y, N, &err), 0);
    double sum = 0, sum2 = 0, dot = 0;
    for (int i = 0; i < N; i++) {
        sum += x[i];
        sum2 += (x[i] - 1.0) * (x[i] - 1.0);
        dot += (x[i] - 1.0) * (y[i] - 1.0);
        assert_int_equal(h[i], kn_f32_to_bf16(x[i]));
    }
    assert_true(fabs(sum / N - 1) < 0.005);
    assert_true(fabs(sqrt(sum2 / N) - 0.5) < 0.005);
    assert_true(fabs(dot / N) < 0.005 * 0.5);
    assert_int_equal(kn_checkpoint_random_fill(ck, "a", 1, 0.5f, KN_F32, y, N, &err), 0);
    assert_memory_equal(x, y, N * sizeof *x);
    free(x);
    free(y);
    free(h);
    kn_checkpoint_close(ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(sharded),    cmocka_unit_test(folders_and_variants),
        cmocka_unit_test(renames),    cmocka_unit_test(fp8_scales), cmocka_unit_test(random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
