#include "weights_check.h"

#include <math.h>

#include "tensor/device.h"
#include "tensor/loader.h"

typedef struct fixture {
    kn_device *dev, *meta;
    char *dir, *path;
} fixture;

static int set_up(void **state)
{
    fixture *f = kn_calloc(1, sizeof *f);
    kn_err err = {0};
    kn_cpu_options opts = {.n_threads = 2};
    assert_int_equal(kn_cpu_device_open(&opts, &f->dev, &err), 0);
    assert_int_equal(kn_meta_device_open(f->dev, &f->meta, &err), 0);
    f->dir = make_folder();
    f->path = kn_path_join(f->dir, "x.safetensors");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    const char *const files[] = {"x.safetensors", NULL};
    assert_int_equal(f->dev->mem_weights_bytes, 0);
    assert_int_equal(f->meta->mem_weights_bytes, 0);
    kn_device_close(f->meta);
    kn_device_close(f->dev);
    remove_folder(f->dir, files);
    free(f->path);
    free(f);
    return 0;
}

/* ---- the file: lin and two more 3 -> 2 linears, a 1x1 convolution that is a linear, a gain, a table ---- */

static const float w[6] = {1, 2, 3, 4, 5, 6}, b[2] = {10, 20}, gain[3] = {1, 2, 4};
static const uint16_t w16[6] = {0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0}; /* 1 ... 6 in bf16 */
static const uint8_t w8[6] = {0x38, 0x40, 0x44, 0x48, 0x4a, 0x4c};               /* 1 ... 6 in e4m3fn */
static const float two = 2;

static kn_checkpoint *open_file(fixture *f)
{
    const kn_save_tensor tensors[] = {
        {"m.lin.weight", KN_F32, 2, {2, 3}, w},
        {"m.lin.bias", KN_F32, 1, {2}, b},
        {"m.b16.weight", KN_BF16, 2, {2, 3}, w16},
        {"m.b16.bias", KN_F32, 1, {2}, b},
        {"m.f8.weight", KN_F8_E4M3, 2, {2, 3}, w8},
        {"m.f8.scale_weight", KN_F32, 0, {0}, &two},
        {"m.conv.weight", KN_F32, 4, {2, 3, 1, 1}, w},
        {"m.odd", KN_U8, 1, {1}, w8}, /* so that more lies unaligned */
        {"m.odd16.weight", KN_BF16, 2, {2, 3}, w16},
        {"m.norm.weight", KN_F32, 4, {3, 1, 1, 1}, gain},
        {"table.weight", KN_F32, 2, {3, 2}, w},
    };
    kn_err err = {0};
    kn_checkpoint *ck = NULL;
    if (kn_checkpoint_save(f->path, (int)(sizeof tensors / sizeof *tensors), tensors, &err) ||
        kn_checkpoint_open(f->path, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    return ck;
}

/* x = [1, 1, 2] through the weight. */
static void check_linear(fixture *f, const kn_weight *weight, int n_out, const float *expected)
{
    assert_non_null(weight);
    static const float x[3] = {1, 1, 2};
    kn_ctx c;
    kn_err err = {0};
    float y[8] = {0};
    assert_int_equal(kn_ctx_init(&c, f->dev, KN_F32, 0, &err), 0);
    kn_to_f32(&c, kn_linear(&c, kn_from_f32(&c, KN_F32, KN_DIMS(1, 3), x), weight, KN_ACT_NONE, KN_F32), y);
    if (kn_ctx_error(&c, &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < n_out; i++)
        if (fabsf(y[i] - expected[i]) > 0.01f * fabsf(expected[i]))
            fail_msg("output %d is %g, expected %g", i, (double)y[i], (double)expected[i]);
    kn_ctx_done(&c);
}

/* ---- tests ---- */

static void loads(void **state)
{
    fixture *f = *state;
    kn_checkpoint *ck = open_file(f);
    kn_weight_set set, planned;
    kn_loader l, m;
    kn_err err = {0};
    kn_weight_set_init(&set, f->dev);
    kn_weight_set_init(&planned, f->meta);
    static const char *const stack[] = {"lin", "b16", NULL};
    kn_loader_init(&m, &planned, ck, NULL, KN_F32);
    kn_loader_init(&l, &set, ck, NULL, KN_F32);
    const kn_weight *lin = NULL, *both = NULL, *f8 = NULL, *conv = NULL, *odd = NULL;
    kn_tensor norm = {0};
    for (int i = 0; i < 2; i++) { /* first on meta */
        kn_loader *k = i ? &l : &m;
        kn_loader_prefix(k, "%s.", "m");
        lin = kn_load_linear(k, "lin", 3, 2, 0);
        both = kn_load_linear_stack(k, stack, 3, 2, 0);
        f8 = kn_load_linear(k, "f8", 3, 2, KN_LOAD_NO_BIAS);
        conv = kn_load_linear(k, "conv", 3, 2, KN_LOAD_NO_BIAS);
        odd = kn_load_linear(k, "odd16", 3, 2, KN_LOAD_NO_BIAS);
        norm = kn_load_vector(k, "norm.weight", KN_DIMS(3), 0);
        assert_null(kn_load_linear(k, "absent", 3, 2, KN_LOAD_OPTIONAL));
        assert_true(kn_is_null(kn_load_vector(k, "absent", KN_DIMS(1), KN_LOAD_OPTIONAL)));
        assert_string_equal(k->err.msg, "");
        assert_true(!kn_is_null(norm));
    }
    assert_int_equal(set.bytes, planned.bytes);
    assert_int_equal(f->dev->mem_weights_bytes, f->meta->mem_weights_bytes);
    check_linear(f, lin, 2, (float[]){19, 41});
    check_linear(f, both, 4, (float[]){19, 41, 19, 41});
    check_linear(f, f8, 2, (float[]){18, 42});
    check_linear(f, conv, 2, (float[]){9, 21});
    check_linear(f, odd, 2, (float[]){9, 21});
    float host[3];
    f->dev->ops->download(f->dev, host, norm.data, sizeof host, NULL);
    assert_memory_equal(host, gain, sizeof host);
    int64_t dims[KN_ENTRY_MAX_DIMS];
    assert_int_equal(kn_loader_shape(&l, "conv.weight", dims), 4);
    assert_int_equal(dims[1], 3);
    assert_int_equal(kn_loader_shape(&l, "absent", dims), 0);
    assert_int_equal(kn_loader_finish(&l, NULL, &err), KN_EFORMAT);
    assert_message(err, "tensor m.odd [1]");
    l.err = (kn_err){0};
    assert_int_equal(kn_loader_finish(&l, (const char *const[]){"*.odd", "table.", NULL}, &err), 0);
    kn_weight_set_done(&set);
    kn_weight_set_done(&planned);
    kn_checkpoint_close(ck);
}

static void int8_keeps_what_it_must(void **state)
{
    fixture *f = *state;
    kn_checkpoint *ck = open_file(f);
    kn_weight_set set;
    kn_loader l;
    kn_weight_set_init(&set, f->meta);
    kn_loader_init(&l, &set, ck, NULL, KN_I8);
    kn_loader_prefix(&l, "m.");
    assert_int_equal(kn_load_linear(&l, "lin", 3, 2, 0)->spec.dtype, KN_I8);
    assert_int_equal(kn_load_linear(&l, "lin", 3, 2, KN_LOAD_KEEP_FLOAT)->spec.dtype, KN_BF16);
    assert_int_equal(kn_load_linear(&l, "lin", 3, 2, KN_LOAD_F32)->spec.dtype, KN_F32);
    assert_int_equal(kn_load_conv(&l, "conv", 3, 2, 1, 1, 1, KN_LOAD_NO_BIAS)->spec.dtype, KN_BF16);
    kn_weight_set_done(&set);
    kn_checkpoint_close(ck);
}

static void errors(void **state)
{
    fixture *f = *state;
    kn_checkpoint *ck = open_file(f);
    kn_weight_set set;
    kn_err err = {0};
    atomic_bool cancel = true;
    kn_weight_set_init(&set, f->dev);
    for (int i = 0; i < 6; i++) {
        kn_loader l;
        kn_loader_init(&l, &set, ck, NULL, KN_F32);
        kn_loader_prefix(&l, "m.");
        int code = KN_EFORMAT;
        const char *text = NULL;
        switch (i) {
        case 0:
            assert_null(kn_load_linear(&l, "lin2", 3, 2, 0));
            text = "tensor m.lin2.weight is missing in";
            assert_message(l.err, "the nearest is m.lin.weight");
            assert_message(l.err, "10 tensors");
            break;
        case 1:
            assert_null(kn_load_linear(&l, "lin", 3, 3, 0));
            text = "is [2, 3], expected [3, 3]";
            break;
        case 2:
            assert_null(kn_load_linear(&l, "conv", 3, 2, 0));
            text = "tensor m.conv.bias is missing";
            break;
        case 3:
            assert_true(kn_is_null(kn_load_vector(&l, "norm.weight", KN_DIMS(2), 0)));
            text = "is [3, 1, 1, 1], expected [2]";
            break;
        case 4:
            l.cancel = &cancel;
            assert_null(kn_load_linear(&l, "lin", 3, 2, 0));
            code = KN_ECANCELLED;
            text = "cancelled";
            break;
        default:
            assert_null(kn_load_conv(&l, "lin", 3, 2, 1, 3, 3, 0));
            text = "is [2, 3], expected [2, 3, 1, 3, 3]";
        }
        assert_null(kn_load_linear(&l, "lin", 3, 2, 0)); /* nothing after an error */
        assert_int_equal(kn_loader_finish(&l, NULL, &err), code);
        assert_message(err, text);
    }
    assert_int_equal(set.bytes, 0);
    kn_weight_set_done(&set);
    kn_checkpoint_close(ck);
}

static void gathers(void **state)
{
    fixture *f = *state;
    kn_checkpoint *ck = open_file(f);
    kn_weight_set set;
    kn_loader l;
    float rows[4];
    kn_weight_set_init(&set, f->dev);
    kn_loader_init(&l, &set, ck, NULL, KN_F32);
    assert_int_equal(kn_loader_gather(&l, "table.weight", 2, 2, (int32_t[]){2, 0}, rows), 0);
    assert_memory_equal(rows, ((float[]){5, 6, 1, 2}), sizeof rows);
    assert_int_equal(kn_loader_gather(&l, "table.weight", 2, 1, (int32_t[]){3}, rows), KN_EINVAL);
    assert_message(l.err, "row 3 of table.weight is asked for, which has 3");
    l.err = (kn_err){0};
    assert_int_equal(kn_loader_gather(&l, "table.weight", 2, 1, (int32_t[]){-1}, rows), KN_EINVAL);
    l.err = (kn_err){0};
    assert_int_equal(kn_loader_gather(&l, "table.weight", 3, 1, (int32_t[]){0}, rows), KN_EFORMAT);
    kn_weight_set_done(&set);
    kn_checkpoint_close(ck);
}

static void random_weights(void **state)
{
    fixture *f = *state;
    kn_checkpoint *ck = NULL;
    kn_weight_set set;
    kn_loader l;
    kn_err err = {0};
    float rows[128], gains[64];
    assert_int_equal(kn_checkpoint_random(3, &ck, &err), 0);
    kn_weight_set_init(&set, f->dev);
    kn_loader_init(&l, &set, ck, NULL, KN_BF16);
    assert_non_null(kn_load_linear(&l, "a", 3, 2, 0));
    kn_tensor norm = kn_load_vector(&l, "blocks.0.norm_q.weight", KN_DIMS(64), 0);
    f->dev->ops->download(f->dev, gains, norm.data, sizeof gains, NULL);
    for (int i = 0; i < 64; i++)
        assert_true(fabsf(gains[i] - 1) < 0.1f);
    kn_tensor table = kn_load_vector(&l, "normal.scale_shift_table", KN_DIMS(64), 0);
    f->dev->ops->download(f->dev, gains, table.data, sizeof gains, NULL);
    for (int i = 0; i < 64; i++)
        assert_true(fabsf(gains[i]) < 0.1f);
    assert_int_equal(kn_loader_gather(&l, "shared.weight", 64, 2, (int32_t[]){1000000, 1000000}, rows), 0);
    assert_memory_equal(rows, rows + 64, 64 * sizeof *rows);
    assert_int_equal(kn_loader_finish(&l, NULL, &err), 0);
    kn_weight_set_done(&set);
    kn_checkpoint_close(ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(int8_keeps_what_it_must, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gathers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_weights, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
