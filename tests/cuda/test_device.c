#include "cuda/both.h"

#include "base/err.h"

static int find_library(void **state)
{
    (void)state;
#ifdef KN_CUDA_LIBRARY
    setenv("KINORA_CUDA_LIBRARY", KN_CUDA_LIBRARY, 0);
#endif
    return 0;
}

/* NULL where there is no CUDA device. */
static kn_device *open_card(void)
{
    kn_device *dev = NULL;
    kn_err err = {0};
    if (kn_device_open("cuda", NULL, &dev, &err))
        print_message("skipped: %s\n", err.msg);
    return dev;
}

static void names(void **state)
{
    (void)state;
    kn_device *dev = NULL;
    kn_err err = {0};
    assert_int_equal(kn_device_open("gpu", NULL, &dev, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "\"gpu\"; expected auto, cpu, cuda"));
    assert_int_equal(kn_device_open("cuda:x", NULL, &dev, &err), KN_EINVAL);
    assert_int_equal(kn_device_open("cuda:10", NULL, &dev, &err), KN_EINVAL);
    assert_int_equal(kn_device_open("cuda:9", NULL, &dev, &err), KN_EDEVICE);
    assert_int_equal(kn_device_open("cpu", NULL, &dev, &err), 0);
    assert_string_equal(dev->name, "cpu");
    kn_device_close(dev);
}

/* Without the library `auto` is the processor, and asking for a card says what to do. */
static void no_library(void **state)
{
    (void)state;
    kn_device *dev = NULL;
    kn_err err = {0};
    char *given = getenv("KINORA_CUDA_LIBRARY"), *kept = given ? strdup(given) : NULL;
    setenv("KINORA_CUDA_LIBRARY", "/nowhere/libkinora-cuda.so", 1);
    assert_int_equal(kn_device_open("cuda", NULL, &dev, &err), KN_EDEVICE);
    assert_non_null(strstr(err.msg, "cmake --preset cuda"));
    assert_int_equal(kn_device_open("auto", NULL, &dev, &err), 0);
    assert_string_equal(dev->name, "cpu");
    kn_device_close(dev);
    setenv("KINORA_CUDA_LIBRARY", "", 1); /* as if it were not set */
    assert_int_equal(kn_device_open("cuda", NULL, &dev, &err), KN_EDEVICE);
    assert_non_null(strstr(err.msg, "its library is not there"));
    if (kept)
        setenv("KINORA_CUDA_LIBRARY", kept, 1);
    free(kept);
}

enum { DIM = 64, ROWS = 200 };

/* A block of a transformer, with scopes as models have them. */
static void forward(kn_ctx *c, const kn_weight *w, const kn_weight *conv)
{
    const kn_mod none = {0};
    kn_tensor x = kn_zeros(c, KN_F32, KN_DIMS(ROWS, DIM));
    for (int i = 0; i < 20; i++) {
        kn_scope s = kn_scope_open(c);
        kn_tensor y = kn_layer_norm(c, x, (kn_tensor){0}, (kn_tensor){0}, 1e-6f, none, none, c->act);
        kn_tensor q = kn_rms_norm(c, kn_linear(c, y, w, KN_ACT_NONE, c->act), (kn_tensor){0}, 1e-6f,
                                  KN_ACT_NONE, NULL, 0, c->act);
        kn_tensor a = kn_attention(c, q, q, q, 2, 2, NULL, c->act);
        kn_linear_residual(c, x, a, w, none);
        kn_group_norm(c, x, 8, (kn_tensor){0}, (kn_tensor){0}, 1e-6f, KN_ACT_SILU, c->act);
        kn_scope_close(c, s, (kn_tensor){0});
    }
    kn_tensor picture = kn_reshape(c, x, KN_DIMS(2, 10, 10, DIM));
    kn_conv(c, picture, conv, &(kn_conv_opts){.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}}, c->act);
}

static kn_weight *make_weight(kn_device *dev, kn_weight_spec spec)
{
    kn_weight *w = NULL;
    kn_err err = {0};
    float *zeros = calloc((size_t)DIM * DIM * 9, sizeof *zeros);
    assert_non_null(zeros);
    if (kn_weight_new(dev, &spec, &(kn_weight_src){.data = zeros, .dtype = KN_F32, .bias = zeros}, &w, &err))
        fail_msg("%s", err.msg);
    free(zeros);
    return w;
}

static void run(kn_device *dev, kn_dtype weights, kn_ctx *ret)
{
    kn_err err = {0};
    kn_weight *w =
        make_weight(dev, (kn_weight_spec){.dims = {DIM, DIM, 1, 1, 1}, .dtype = weights, .bias = true});
    kn_weight *conv = make_weight(
        dev, (kn_weight_spec){
                 .kind = KN_WEIGHT_CONV, .dims = {DIM, DIM, 1, 3, 3}, .dtype = KN_BF16, .bias = true});
    if (kn_ctx_init(ret, dev, KN_BF16, 64 << 20, &err))
        fail_msg("%s", err.msg);
    int64_t waits = dev->n_waits;
    forward(ret, w, conv);
    if (!kn_ok(ret))
        fail_msg("%s", ret->err.msg);
    assert_int_equal(dev->n_waits, waits); /* nothing in a forward pass waits for the card */
    kn_weight_free(dev, w);
    kn_weight_free(dev, conv);
}

static void prediction(void **state)
{
    (void)state;
    static const kn_dtype types[] = {KN_F32, KN_BF16, KN_I8};
    kn_device *card = open_card(), *meta = NULL;
    if (!card)
        skip();
    assert_int_equal(kn_meta_device_open(card, &meta, NULL), 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        kn_ctx predicted, measured;
        kn_device_reset_peak(meta);
        kn_device_reset_peak(card);
        run(meta, types[i], &predicted);
        run(card, types[i], &measured);
        assert_int_equal(kn_pool_peak(&predicted), kn_pool_peak(&measured));
        assert_int_equal(meta->mem_peak_bytes, card->mem_peak_bytes);
        assert_memory_equal(&predicted.stats, &measured.stats, sizeof predicted.stats);
        kn_ctx_done(&predicted);
        kn_ctx_done(&measured);
    }
    kn_device_close(meta);
    kn_device_close(card);
}

#ifdef KN_CUDA_LIBRARY
/* A card that is full is an error, and what was taken goes back. */
static void full_card(void **state)
{
    (void)state;
    if (strcmp(getenv("KINORA_CUDA_LIBRARY"), KN_CUDA_LIBRARY) != 0)
        skip(); /* a real card */
    kn_device *card = open_card();
    kn_ctx c;
    size_t room = 8 << 20, taken = card->mem_total_bytes - card->ops->available(card);
    char limit[32];
    snprintf(limit, sizeof limit, "%zu", taken + room);
    setenv("KINORA_TEST_CARD_BYTES", limit, 1);
    assert_int_equal(kn_ctx_init(&c, card, KN_F32, 64 << 20, NULL), 0);
    kn_scope s = kn_scope_open(&c);
    kn_zeros(&c, KN_U8, KN_DIMS(6 << 20));
    assert_true(kn_ok(&c));
    kn_zeros(&c, KN_U8, KN_DIMS(6 << 20));
    assert_int_equal(c.err.code, KN_ENOMEM);
    c.err.code = 0;
    kn_scope_close(&c, s, (kn_tensor){0});
    kn_pool_trim(&c);
    assert_int_equal(card->ops->available(card), room);
    kn_weight_spec spec = {.dims = {4096, 4096, 1, 1, 1}, .dtype = KN_F32};
    kn_weight *w = NULL;
    float *zeros = calloc((size_t)4096 * 4096, sizeof *zeros);
    assert_non_null(zeros);
    assert_int_equal(kn_weight_new(card, &spec, &(kn_weight_src){.data = zeros, .dtype = KN_F32}, &w, NULL),
                     KN_ENOMEM);
    assert_int_equal(card->mem_weights_bytes, 0);
    free(zeros);
    kn_ctx_done(&c);
    unsetenv("KINORA_TEST_CARD_BYTES");
    kn_device_close(card);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(no_library),
        cmocka_unit_test(prediction),
#ifdef KN_CUDA_LIBRARY
        cmocka_unit_test(full_card),
#endif
    };
    return cmocka_run_group_tests(tests, find_library, NULL);
}
