#include "media_test.h"

#include "media/palette.h"

static kn_palette *new_palette(void)
{
    kn_palette *p = kn_palette_new();
    assert_non_null(p);
    return p;
}

static kn_image picture(int width, int height, void (*fill)(int x, int y, uint8_t *rgb))
{
    kn_image im = {0};
    assert_int_equal(kn_image_new(width, height, &im, NULL), 0);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            fill(x, y, im.rgb + ((size_t)y * (size_t)width + (size_t)x) * 3);
    return im;
}

static void few_colors(int x, int y, uint8_t *rgb)
{
    static const uint8_t colors[6][3] = {{255, 0, 0}, {3, 250, 7},     {0, 0, 255},
                                         {0, 0, 0},   {255, 255, 255}, {97, 98, 99}};
    memcpy(rgb, colors[(x / 4 + y / 4) % 6], 3);
}

static void gradient(int x, int y, uint8_t *rgb)
{
    rgb[0] = (uint8_t)(2 * x);
    rgb[1] = (uint8_t)(2 * y);
    rgb[2] = (uint8_t)(x + y);
}

static void other_gradient(int x, int y, uint8_t *rgb)
{
    rgb[0] = (uint8_t)(255 - x - y);
    rgb[1] = (uint8_t)(x / 4);
    rgb[2] = (uint8_t)(2 * y);
}

/* Mean squared error a channel. */
static double lay_on(kn_palette *p, const kn_image *im)
{
    uint8_t *index = malloc((size_t)im->width * (size_t)im->height);
    double sum = 0;
    assert_non_null(index);
    kn_palette_apply(p, im, index, im->width);
    for (int i = 0; i < im->width * im->height; i++)
        for (int c = 0; c < 3; c++) {
            int d = im->rgb[3 * i + c] - kn_palette_colors(p)[3 * index[i] + c];
            sum += d * d;
        }
    free(index);
    return sum / (im->width * im->height * 3);
}

static void test_few_colors_are_exact(void **state)
{
    (void)state;
    kn_palette *p = new_palette();
    kn_image im = picture(50, 30, few_colors);
    assert_true(kn_palette_adapt(p, &im));
    assert_true(lay_on(p, &im) == 0);
    assert_false(kn_palette_adapt(p, &im));
    kn_image_done(&im);
    kn_palette_free(p);
}

static void test_many_colors_are_near(void **state)
{
    (void)state;
    kn_palette *p = new_palette();
    kn_image im = picture(128, 128, gradient);
    assert_true(kn_palette_adapt(p, &im));
    double error = lay_on(p, &im);
    if (error > 60)
        fail_msg("mean squared error %g", error);
    kn_image_done(&im);
    kn_palette_free(p);
}

/* Still parts must not flicker: the palette changes only when the picture does. */
static void test_kept_until_the_picture_changes(void **state)
{
    (void)state;
    kn_palette *p = new_palette();
    kn_image a = picture(128, 128, gradient), b = picture(128, 128, other_gradient);
    uint8_t before[KN_PALETTE_COLORS * 3];
    assert_true(kn_palette_adapt(p, &a));
    memcpy(before, kn_palette_colors(p), sizeof before);
    for (int i = 0; i < 300; i++) /* a small thing that moves */
        a.rgb[i] = 200;
    assert_false(kn_palette_adapt(p, &a));
    assert_memory_equal(before, kn_palette_colors(p), sizeof before);
    assert_true(kn_palette_adapt(p, &b));
    double error = lay_on(p, &b);
    if (error > 60)
        fail_msg("mean squared error %g after a change", error);
    kn_image_done(&a);
    kn_image_done(&b);
    kn_palette_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_colors_are_exact),
        cmocka_unit_test(test_many_colors_are_near),
        cmocka_unit_test(test_kept_until_the_picture_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
