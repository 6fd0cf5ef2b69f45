#include "media_test.h"

#include "tensor/checkpoint.h"

/* ---- against PIL and torch: the pictures that the reference pipelines saw and made ---- */

typedef struct golden {
    kn_checkpoint *ck;
    const char *dir;
} golden;

static golden golden_open(const char *dir)
{
    golden g = {.dir = dir};
    char *path = kn_path_join(dir, "golden.safetensors");
    kn_err err = {0};
    assert_ok(kn_checkpoint_open(path, NULL, &g.ck, &err));
    free(path);
    return g;
}

static float *golden_get(const golden *g, const char *name, int64_t n)
{
    kn_entry *e = kn_checkpoint_find(g->ck, name);
    kn_err err = {0};
    if (!e)
        fail_msg("%s has no %s", g->dir, name);
    assert_int_equal(kn_entry_numel(e), n);
    float *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    assert_ok(kn_entry_to_f32(e, v, &err));
    return v;
}

static kn_image load(const golden *g, const char *name)
{
    kn_image im = {0};
    kn_err err = {0};
    char *path = kn_path_join(g->dir, name);
    assert_ok(kn_image_load(path, &im, &err));
    free(path);
    return im;
}

/* The decoded file is the tensor [H, W, 3]. */
static void check_decoded(const golden *g, const char *name, const char *tensor)
{
    kn_image im = load(g, name);
    int64_t n = (int64_t)im.width * im.height * 3;
    float *want = golden_get(g, tensor, n);
    for (int64_t i = 0; i < n; i++)
        if ((float)im.rgb[i] != want[i])
            fail_msg("%s/%s: value %lld is %d, not %g", g->dir, name, (long long)i, im.rgb[i],
                     (double)want[i]);
    free(want);
    kn_image_done(&im);
}

/* tensor: [1, 3, h, w] of (v / 255 - mean) / std; the picture's window at (left, top) must be those v exactly. */
static void check_window(const kn_image *im, const golden *g, const char *tensor, int left, int top, int w,
                         int h, const double mean[3], const double std[3])
{
    float *want = golden_get(g, tensor, (int64_t)3 * w * h);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                double v = (want[(c * h + y) * w + x] * std[c] + mean[c]) * 255.0;
                int got = test_pixel(im, x + left, y + top)[c];
                if (fabs(v - got) > 0.01)
                    fail_msg("%s %s: (%d, %d) channel %d is %d, not %g", g->dir, tensor, x, y, c, got, v);
            }
    free(want);
}

/* CLIPImageProcessor of the fixtures: shortest edge to 28, bicubic, crop of 28x28. */
static void check_clip(const golden *g)
{
    static const double mean[3] = {0.48145466, 0.4578275, 0.40821073},
                        std[3] = {0.26862954, 0.26130258, 0.27577711};
    kn_image im = load(g, "image2.png"), out = {0};
    kn_err err = {0};
    int h = 28 * im.height / im.width, top = (h - 28) / 2;
    assert_ok(kn_image_resize_torch(&im, 28, h, KN_FILTER_BICUBIC, &out, &err));
    check_window(&out, g, "image.pixels", 0, top, 28, 28, mean, std);
    kn_image_done(&out);
    assert_ok(kn_image_resize_pil(&im, 28, h, KN_FILTER_BICUBIC, &out, &err));
    check_window(&out, g, "image.pixels_pil", 0, top, 28, 28, mean, std);
    kn_image_done(&out);
    kn_image_done(&im);
}

/* VaeImageProcessor: Lanczos stretch to 48x32, to -1..1. */
static void check_stretch(const golden *g, const char *name, const char *tensor)
{
    static const double half[3] = {0.5, 0.5, 0.5};
    kn_image im = load(g, name), out = {0};
    kn_err err = {0};
    assert_ok(kn_image_resize_pil(&im, 48, 32, KN_FILTER_LANCZOS, &out, &err));
    check_window(&out, g, tensor, 0, 0, 48, 32, half, half);
    kn_image_done(&out);
    kn_image_done(&im);
}

static void test_i2v(void **state)
{
    golden g = golden_open(KN_FIXTURES "/wan21-i2v");
    (void)state;
    check_decoded(&g, "image.png", "pipe.in.image");
    check_decoded(&g, "image2.png", "image.in");
    check_clip(&g);
    check_stretch(&g, "image.png", "pipe.cond.image");
    check_stretch(&g, "image2.png", "resize.cond.image"); /* vertical pass first */
    kn_checkpoint_close(g.ck);
}

static void test_flf2v(void **state)
{
    golden g = golden_open(KN_FIXTURES "/wan21-flf2v");
    (void)state;
    check_decoded(&g, "last.png", "pipe.in.last_image");
    check_clip(&g);
    check_stretch(&g, "image.png", "pipe.cond.image");
    check_stretch(&g, "last.png", "pipe.cond.last_image");
    kn_checkpoint_close(g.ck);
}

/* ---- sums of every byte, recorded from Pillow 13.0.0 ---- */

/* A picture any program can make: a linear congruential sequence, top byte, rows of RGB. */
static kn_image noise(int width, int height, uint32_t seed)
{
    kn_image im = {0};
    kn_err err = {0};
    assert_ok(kn_image_new(width, height, &im, &err));
    for (int i = 0; i < width * height * 3; i++) {
        seed = seed * 1664525u + 1013904223u;
        im.rgb[i] = (uint8_t)(seed >> 24);
    }
    return im;
}

static uint32_t fnv(const kn_image *im)
{
    uint32_t h = 2166136261u;
    for (int i = 0; i < im->width * im->height * 3; i++)
        h = (h ^ im->rgb[i]) * 16777619u;
    return h;
}

static void test_pillow(void **state)
{
    static const struct {
        int from_w, from_h, w, h;
        kn_filter filter;
        uint32_t hash;
    } cases[] = {
        {37, 53, 20, 11, KN_FILTER_BILINEAR, 0x88509b6cu}, {37, 53, 90, 11, KN_FILTER_BICUBIC, 0xe5801e7cu},
        {37, 53, 90, 11, KN_FILTER_LANCZOS, 0x903ff207u},  {40, 60, 30, 41, KN_FILTER_LANCZOS, 0xda4f2288u},
        {40, 60, 30, 40, KN_FILTER_LANCZOS, 0xada52cd7u},  {40, 60, 30, 39, KN_FILTER_LANCZOS, 0x4b973ddcu},
        {64, 64, 1, 1, KN_FILTER_BICUBIC, 0x1589457eu},    {3, 200, 5, 7, KN_FILTER_LANCZOS, 0x6ddf0b06u},
        {200, 3, 7, 5, KN_FILTER_LANCZOS, 0xdf5c1aaau},    {1, 1, 17, 9, KN_FILTER_BICUBIC, 0x6f33f1d1u},
        {99, 31, 99, 64, KN_FILTER_BICUBIC, 0x02c2953cu},  {99, 31, 12, 31, KN_FILTER_BILINEAR, 0x45345cb5u},
        {5, 4, 123, 77, KN_FILTER_LANCZOS, 0xc2246deeu},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_image im = noise(cases[i].from_w, cases[i].from_h, (uint32_t)i), out = {0};
        kn_err err = {0};
        assert_ok(kn_image_resize_pil(&im, cases[i].w, cases[i].h, cases[i].filter, &out, &err));
        if (fnv(&out) != cases[i].hash)
            fail_msg("%dx%d to %dx%d by filter %d differs from Pillow", cases[i].from_w, cases[i].from_h,
                     cases[i].w, cases[i].h, (int)cases[i].filter);
        kn_image_done(&out);
        kn_image_done(&im);
    }
}

/* ---- properties ---- */

static void test_flat_stays_flat(void **state)
{
    static const int sizes[][2] = {{1, 1}, {7, 3}, {64, 1}, {5, 90}};
    kn_image im = {0}, out = {0};
    kn_err err = {0};
    (void)state;
    assert_ok(kn_image_new(19, 23, &im, &err));
    memset(im.rgb, 201, 19 * 23 * 3);
    for (int i = 0; i < 4; i++)
        for (int f = KN_FILTER_BILINEAR; f <= KN_FILTER_BICUBIC; f++)
            for (int torch = 0; torch < 2; torch++) {
                if (torch)
                    assert_ok(kn_image_resize_torch(&im, sizes[i][0], sizes[i][1], (kn_filter)f, &out, &err));
                else
                    assert_ok(kn_image_resize_pil(&im, sizes[i][0], sizes[i][1], (kn_filter)f, &out, &err));
                for (int p = 0; p < out.width * out.height * 3; p++)
                    assert_int_equal(out.rgb[p], 201);
                kn_image_done(&out);
            }
    kn_image_done(&im);
}

static void test_same_size_is_a_copy(void **state)
{
    kn_image im = noise(9, 5, 1), out = {0};
    kn_err err = {0};
    (void)state;
    assert_ok(kn_image_resize_torch(&im, 9, 5, KN_FILTER_BICUBIC, &out, &err));
    assert_ptr_not_equal(im.rgb, out.rgb);
    assert_memory_equal(im.rgb, out.rgb, 9 * 5 * 3);
    kn_image_done(&out);
    kn_image_done(&im);
}

static void test_refused(void **state)
{
    kn_image im = noise(9, 5, 1), out = {0};
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_image_resize_pil(&im, 0, 5, KN_FILTER_LANCZOS, &out, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "0x5"));
    assert_int_equal(kn_image_resize_pil(&im, 1000000, 1000000, KN_FILTER_BILINEAR, &out, &err), KN_ELIMIT);
    assert_int_equal(kn_image_resize_torch(&im, 4, 4, KN_FILTER_LANCZOS, &out, &err), KN_EINVAL);
    assert_null(out.rgb);
    kn_image_done(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_i2v),
        cmocka_unit_test(test_flf2v),
        cmocka_unit_test(test_pillow),
        cmocka_unit_test(test_flat_stays_flat),
        cmocka_unit_test(test_same_size_is_a_copy),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
