/* The VAEs stream: memory does not depend on the number of frames, pictures come in order and depend on the past only,
 * and a cancelled decode gives everything back.  Values are compared with goldens by tests/parity. */
#include "golden.h"

#include <stdatomic.h>

#include "base/rng.h"
#include "models/wan/model.h"
#include "tensor/pool.h"

typedef struct vae {
    kn_ctx c;
    kn_weight_set set;
    kn_wan_vae v;
} vae;

/* Takes its configuration and weights from an opened model; they stay the caller's. */
static void vae_open(vae *t, kn_device *dev, const kn_wan_model *m, kn_dtype act, unsigned halves)
{
    kn_loader l;
    memset(t, 0, sizeof *t);
    must(kn_ctx_init(&t->c, dev, act, 0, err));
    kn_weight_set_init(&t->set, dev);
    kn_loader_init(&l, &t->set, m->vae_ck, NULL, act);
    kn_wan_vae_load(&t->v, &m->vae, &l, halves);
    must(kn_loader_finish(
        &l, halves == KN_WAN_VAE_DECODER ? kn_wan_vae_ignore_encoder : kn_wan_vae_ignore_decoder, err));
}

static void vae_close(vae *t)
{
    kn_weight_set_done(&t->set);
    kn_ctx_done(&t->c);
}

static kn_wan_model *open_fixture(const char *dir)
{
    kn_wan_model *m = NULL;
    kn_request rq;
    kn_request_init(&rq);
    must(kn_request_set(&rq, "model", dir, err));
    must(kn_wan_model_open(&rq, &m, err));
    kn_request_done(&rq);
    return m;
}

static kn_wan_model *open_published(const char *name)
{
    kn_wan_model *m = NULL;
    must(kn_wan_model_open_random(name, false, &m, err));
    return m;
}

/* ---- decoding ---- */

/* What a decode hands out. */
typedef struct pictures {
    float *first; /* of the first n_kept pictures; may be NULL */
    int64_t n_kept, size, n, stop_at;
    atomic_bool *cancel; /* set at picture stop_at; NULL: fail there */
} pictures;

static int take(void *ud, int64_t first, int64_t n, const float *rgb, kn_err *err)
{
    pictures *p = ud;
    assert_int_equal(first, p->n);
    assert_int_equal(n, first ? 4 : 1);
    for (int64_t i = 0; i < n * p->size; i++)
        if (!(rgb[i] >= -1 && rgb[i] <= 1))
            fail_msg("a value of %g", (double)rgb[i]);
    for (int64_t i = 0; i < n && first + i < p->n_kept; i++)
        memcpy(p->first + (first + i) * p->size, rgb + i * p->size, (size_t)p->size * sizeof *rgb);
    p->n += n;
    if (!p->stop_at || p->n < p->stop_at)
        return 0;
    if (!p->cancel)
        return kn_fail(err, KN_EIO, "disk full");
    atomic_store(p->cancel, true);
    return 0;
}

/* Decodes noise of `frames` pictures (4n + 1); returns the error. */
static int decode(vae *t, int64_t frames, int64_t height, int64_t width, const kn_wan_tiling *tiling,
                  pictures *p, kn_err *err)
{
    const kn_wan_vae_config *f = &t->v.config;
    int64_t n = (frames - 1) / f->scale_temporal + 1, h = height / f->scale_spatial,
            w = width / f->scale_spatial;
    float *z = calloc((size_t)(n * h * w * f->z_dim), sizeof *z);
    kn_rng rng;
    assert_non_null(z);
    kn_rng_seed(&rng, 1);
    if (!t->c.dev->is_meta)
        kn_rng_normal(&rng, z, n * h * w * f->z_dim);
    if (p)
        p->size = height * width * 3;
    kn_wan_vae_hooks hooks = {.pictures = p ? take : NULL, .ud = p};
    kn_scope s = kn_scope_open(&t->c);
    kn_tensor x = kn_from_f32(&t->c, KN_F32, KN_DIMS(n, h, w, f->z_dim), z);
    kn_device_reset_peak(t->c.dev);
    int rc = kn_wan_vae_decode(&t->c, &t->v, x, tiling, &hooks, err);
    kn_scope_close(&t->c, s, (kn_tensor){0});
    free(z);
    return rc;
}

static size_t decode_peak(kn_device *dev, const kn_wan_model *m, kn_dtype act, int64_t frames, int64_t height,
                          int64_t width, const kn_wan_tiling *tiling)
{
    vae t;
    vae_open(&t, dev, m, act, KN_WAN_VAE_DECODER);
    must(decode(&t, frames, height, width, tiling, NULL, err));
    size_t peak = dev->mem_peak_bytes;
    vae_close(&t);
    return peak;
}

/* Encodes `frames` pictures of noise. */
static size_t encode_peak(kn_device *dev, const kn_wan_model *m, kn_dtype act, int64_t frames, int64_t height,
                          int64_t width)
{
    vae t;
    kn_rng rng;
    float *picture = calloc((size_t)(height * width), 3 * sizeof *picture);
    const float **list = calloc((size_t)frames, sizeof *list);
    assert_non_null(picture);
    assert_non_null(list);
    kn_rng_seed(&rng, 1);
    kn_rng_normal(&rng, picture, height * width * 3);
    for (int64_t i = 0; i < frames; i++)
        list[i] = picture;
    vae_open(&t, dev, m, act, KN_WAN_VAE_ENCODER);
    kn_wan_clip clip = {frames, height, width, list};
    kn_device_reset_peak(dev);
    kn_scope s = kn_scope_open(&t.c);
    kn_tensor moments = kn_wan_vae_encode(&t.c, &t.v, &clip, NULL, NULL);
    must_be_ok(&t.c);
    assert_int_equal(moments.dims[0], (frames - 1) / 4 + 1);
    assert_int_equal(moments.dims[3], 2 * m->vae.z_dim);
    size_t peak = dev->mem_peak_bytes;
    kn_scope_close(&t.c, s, (kn_tensor){0});
    vae_close(&t);
    free(picture);
    free(list);
    return peak;
}

/* ---- memory ---- */

static void at_most(const char *what, size_t large, size_t small, double factor)
{
    print_message("%-36s %9.2f MB against %9.2f MB\n", what, (double)large / 1e6, (double)small / 1e6);
    assert_true(small > 0);
    if ((double)large > factor * (double)small)
        fail_msg("%s: %zu bytes, expected at most %.2f x %zu", what, large, factor, small);
}

static void check_frames_cost_nothing(kn_device *dev, const kn_wan_model *m, kn_dtype act, int64_t height,
                                      int64_t width, const char *name)
{
    char what[96];
    snprintf(what, sizeof what, "%s, decode 81 against 17", name);
    at_most(what, decode_peak(dev, m, act, 81, height, width, NULL),
            decode_peak(dev, m, act, 17, height, width, NULL), 1.05);
    snprintf(what, sizeof what, "%s, encode 81 against 17", name);
    at_most(what, encode_peak(dev, m, act, 81, height, width), encode_peak(dev, m, act, 17, height, width),
            1.05);
}

static void test_frames_cost_no_memory(void **state)
{
    (void)state;
    static const char *const fixtures[] = {FIXTURE("wan21-t2v/model"), FIXTURE("wan22-ti2v-5b/model")};
    kn_device *dev = open_cpu();
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        kn_wan_model *m = open_fixture(fixtures[i]);
        check_frames_cost_nothing(dev, m, KN_F32, 64, 64, i ? "2.2 fixture" : "2.1 fixture");
        kn_wan_model_close(m);
    }
    kn_device_close(dev);
}

static void test_frames_cost_no_memory_at_published_sizes(void **state)
{
    (void)state;
    kn_device *dev = open_cpu(), *meta = NULL;
    must(kn_meta_device_open(dev, &meta, err));
    kn_wan_model *m = open_published("wan-1.3b");
    check_frames_cost_nothing(meta, m, KN_BF16, 480, 832, "Wan 2.1, 832x480");
    kn_wan_model_close(m);
    m = open_published("wan-5b");
    check_frames_cost_nothing(meta, m, KN_BF16, 704, 1280, "Wan 2.2, 1280x704");
    kn_wan_model_close(m);
    kn_device_close(meta);
    kn_device_close(dev);
}

static void test_tiles_cost_less(void **state)
{
    (void)state;
    kn_device *dev = open_cpu(), *meta = NULL;
    must(kn_meta_device_open(dev, &meta, err));
    const kn_wan_tiling small = {32, 32, 24, 24}, usual = {256, 256, 192, 192};
    kn_wan_model *m = open_fixture(FIXTURE("wan21-t2v/model"));
    at_most("fixture, tiles of 32 against 96x96", decode_peak(dev, m, KN_F32, 9, 96, 96, &small),
            decode_peak(dev, m, KN_F32, 9, 96, 96, NULL), 0.6);
    kn_wan_model_close(m);
    m = open_published("wan-1.3b");
    /* Tiles are blended on the host, all their frames at once: the canvas, and two rows of five tiles. */
    size_t more = (81 - 17) * 3 * sizeof(float) * (480 * 832 + 2 * 256 * 5 * 256);
    size_t longer = decode_peak(meta, m, KN_BF16, 81, 480, 832, &usual);
    at_most("Wan 2.1, tiles of 256, 81 against 17", longer - more,
            decode_peak(meta, m, KN_BF16, 17, 480, 832, &usual), 1.05);
    at_most("Wan 2.1, tiles of 256 against 832x480", decode_peak(meta, m, KN_BF16, 17, 480, 832, &usual),
            decode_peak(meta, m, KN_BF16, 17, 480, 832, NULL), 0.5);
    kn_wan_model_close(m);
    kn_device_close(meta);
    kn_device_close(dev);
}

/* What `meta` says is what the device then uses. */
static void test_meta_predicts(void **state)
{
    (void)state;
    kn_device *dev = open_cpu(), *meta = NULL;
    must(kn_meta_device_open(dev, &meta, err));
    kn_wan_model *m = open_fixture(FIXTURE("wan22-ti2v-5b/model"));
    for (kn_dtype act = KN_F32;; act = KN_BF16) {
        assert_int_equal(decode_peak(meta, m, act, 13, 64, 96, NULL),
                         decode_peak(dev, m, act, 13, 64, 96, NULL));
        assert_int_equal(encode_peak(meta, m, act, 13, 64, 96), encode_peak(dev, m, act, 13, 64, 96));
        if (act == KN_BF16)
            break;
    }
    kn_wan_model_close(m);
    kn_device_close(meta);
    kn_device_close(dev);
}

/* ---- order and the past ---- */

static void check_past_only(const char *dir)
{
    enum { KEPT = 9, SIDE = 64 };
    kn_device *dev = open_cpu();
    kn_wan_model *m = open_fixture(dir);
    float *kept[2];
    for (int k = 0; k < 2; k++) {
        vae t;
        kept[k] = calloc(KEPT, SIDE * SIDE * 3 * sizeof(float));
        assert_non_null(kept[k]);
        pictures p = {.first = kept[k], .n_kept = KEPT};
        vae_open(&t, dev, m, KN_F32, KN_WAN_VAE_DECODER);
        /* the noise of the longer one begins with that of the shorter */
        must(decode(&t, k ? 21 : KEPT, SIDE, SIDE, NULL, &p, err));
        assert_int_equal(p.n, k ? 21 : KEPT);
        vae_close(&t);
    }
    assert_memory_equal(kept[0], kept[1], KEPT * SIDE * SIDE * 3 * sizeof(float));
    free(kept[0]);
    free(kept[1]);
    kn_wan_model_close(m);
    kn_device_close(dev);
}

static void test_pictures_depend_on_the_past_only(void **state)
{
    (void)state;
    check_past_only(FIXTURE("wan21-t2v/model"));
    check_past_only(FIXTURE("wan22-ti2v-5b/model"));
}

/* ---- stopping ---- */

static void check_stopped(const kn_wan_tiling *tiling, bool cancel, int code)
{
    vae t;
    kn_err err = {0};
    atomic_bool flag = false;
    kn_device *dev = open_cpu();
    kn_wan_model *m = open_fixture(FIXTURE("wan21-t2v/model"));
    pictures p = {.stop_at = 5, .cancel = cancel ? &flag : NULL};
    vae_open(&t, dev, m, KN_F32, KN_WAN_VAE_DECODER);
    t.c.cancel = &flag;
    if (cancel && tiling) /* tiles hand out nothing before the end */
        atomic_store(&flag, true);
    assert_int_equal(decode(&t, 41, 64, 64, tiling, &p, &err), code);
    assert_int_equal(err.code, code);
    assert_true(p.n < 41);
    assert_int_equal(t.c.pool->live, 0);
    vae_close(&t);
    assert_int_equal(dev->mem_weights_bytes, 0);
    assert_int_equal(dev->mem_pool_bytes, 0);
    kn_wan_model_close(m);
    kn_device_close(dev);
}

static void test_cancel(void **state)
{
    (void)state;
    const kn_wan_tiling tiling = {32, 32, 24, 24};
    check_stopped(NULL, true, KN_ECANCELLED);
    check_stopped(&tiling, true, KN_ECANCELLED);
}

static void test_receiver_fails(void **state)
{
    (void)state;
    check_stopped(NULL, false, KN_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_cost_no_memory),
        cmocka_unit_test(test_frames_cost_no_memory_at_published_sizes),
        cmocka_unit_test(test_tiles_cost_less),
        cmocka_unit_test(test_meta_predicts),
        cmocka_unit_test(test_pictures_depend_on_the_past_only),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_receiver_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
