#include "media_test.h"

#include "base/limits.h"
#include "png_writer.h"

/* The picture of the quadrants.* fixtures: red, green / blue, white; 24x16, corners at (16, 8). */
static const uint8_t QUADRANTS[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};

static void check_quadrants(const kn_image *im, int tolerance)
{
    assert_int_equal(im->width, 24);
    assert_int_equal(im->height, 16);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 24; x++)
            for (int c = 0; c < 3; c++) {
                int want = QUADRANTS[(x >= 16) + 2 * (y >= 8)][c], got = test_pixel(im, x, y)[c];
                if (abs(want - got) > tolerance)
                    fail_msg("pixel (%d, %d) channel %d is %d, not %d", x, y, c, got, want);
            }
}

static void test_formats(void **state)
{
    static const struct {
        const char *path;
        int tolerance; /* 8-bit levels */
    } files[] = {{FIXTURE("quadrants.bmp"), 0},
                 {FIXTURE("quadrants.gif"), 0},
                 {FIXTURE("quadrants.tif"), 0},
                 {FIXTURE("quadrants.webp"), 0},
                 {FIXTURE("quadrants.jpg"), 2}};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        kn_image im = {0};
        kn_err err = {0};
        assert_ok(kn_image_load(files[i].path, &im, &err));
        check_quadrants(&im, files[i].tolerance);
        kn_image_done(&im);
    }
}

/* Halved chroma: exact away from the borders between colours. */
static void test_progressive_jpeg(void **state)
{
    static const int at[4][2] = {{4, 2}, {21, 2}, {4, 12}, {21, 12}};
    kn_image im = {0};
    kn_err err = {0};
    (void)state;
    assert_ok(kn_image_load(FIXTURE("progressive420.jpg"), &im, &err));
    for (int i = 0; i < 4; i++)
        for (int c = 0; c < 3; c++)
            assert_in_range(test_pixel(&im, at[i][0], at[i][1])[c] + 12 - QUADRANTS[i][c], 0, 24);
    kn_image_done(&im);
}

/* ---- PNG: every colour type, as PIL's convert("RGB") gives it ---- */

static kn_image load_png(const png_writer *p)
{
    kn_image im = {0};
    kn_err err = {0};
    assert_ok(kn_image_load_memory(p->data, p->size, "test.png", &im, &err));
    return im;
}

static void check_row(const png_writer *p, const uint8_t *rgb, int n)
{
    kn_image im = load_png(p);
    assert_int_equal(im.width, n);
    assert_int_equal(im.height, 1);
    assert_memory_equal(im.rgb, rgb, (size_t)n * 3);
    kn_image_done(&im);
}

static void test_png_grey(void **state)
{
    static const uint8_t one_bit[] = {0, 0xa0}, four_bits[] = {0, 0x07, 0xf0}, eight[] = {0, 0, 100, 255};
    static const uint8_t sixteen[] = {0, 0x12, 0x34, 0xff, 0x00, 0x00, 0xff};
    static png_writer p;
    (void)state;
    png_begin(&p, 3, 1, 1, 0);
    png_end(&p, one_bit, sizeof one_bit);
    check_row(&p, (const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255}, 3);
    png_begin(&p, 3, 1, 4, 0);
    png_end(&p, four_bits, sizeof four_bits);
    check_row(&p, (const uint8_t[]){0, 0, 0, 119, 119, 119, 255, 255, 255}, 3);
    png_begin(&p, 3, 1, 8, 0);
    png_end(&p, eight, sizeof eight);
    check_row(&p, (const uint8_t[]){0, 0, 0, 100, 100, 100, 255, 255, 255}, 3);
    /* The high byte.  PIL clips 16-bit grey at 255 instead, which makes nearly every such picture white. */
    png_begin(&p, 3, 1, 16, 0);
    png_end(&p, sixteen, sizeof sixteen);
    check_row(&p, (const uint8_t[]){0x12, 0x12, 0x12, 0xff, 0xff, 0xff, 0, 0, 0}, 3);
}

static void test_png_palette(void **state)
{
    static const uint8_t palette[] = {10, 20, 30, 40, 50, 60, 70, 80, 90}, alpha[] = {0, 128},
                         row[] = {0, 0, 1, 2};
    static png_writer p;
    (void)state;
    png_begin(&p, 3, 1, 8, 3);
    png_chunk(&p, "PLTE", palette, sizeof palette);
    png_chunk(&p, "tRNS", alpha, sizeof alpha);
    png_end(&p, row, sizeof row);
    check_row(&p, palette, 3);
}

static void test_png_alpha_is_dropped(void **state)
{
    static const uint8_t rgba[] = {0, 10, 20, 30, 0, 40, 50, 60, 77}, grey_alpha[] = {0, 10, 0, 200, 50};
    static const uint8_t rgba16[] = {0, 1, 255, 2, 128, 3, 0, 0, 0}, rgb16[] = {0, 9, 255, 8, 0, 7, 127};
    static png_writer p;
    (void)state;
    png_begin(&p, 2, 1, 8, 6);
    png_end(&p, rgba, sizeof rgba);
    check_row(&p, (const uint8_t[]){10, 20, 30, 40, 50, 60}, 2);
    png_begin(&p, 2, 1, 8, 4);
    png_end(&p, grey_alpha, sizeof grey_alpha);
    check_row(&p, (const uint8_t[]){10, 10, 10, 200, 200, 200}, 2);
    png_begin(&p, 1, 1, 16, 6);
    png_end(&p, rgba16, sizeof rgba16);
    check_row(&p, (const uint8_t[]){1, 2, 3}, 1);
    png_begin(&p, 1, 1, 16, 2);
    png_end(&p, rgb16, sizeof rgb16);
    check_row(&p, (const uint8_t[]){9, 8, 7}, 1);
}

static void test_png_color_key_is_dropped(void **state)
{
    static const uint8_t row[] = {0, 1, 2, 3, 4, 5, 6}, key[] = {0, 1, 0, 2, 0, 3};
    static png_writer p;
    (void)state;
    png_begin(&p, 2, 1, 8, 2);
    png_chunk(&p, "tRNS", key, sizeof key);
    png_end(&p, row, sizeof row);
    check_row(&p, (const uint8_t[]){1, 2, 3, 4, 5, 6}, 2);
}

/* ---- orientation ---- */

/* Where the quadrant that is stored at 0 (top left), 1, 2, 3 is seen, and whether width and height swap. */
static const struct {
    int seen[4];
    bool swap;
} ORIENTATION[9] = {[1] = {{0, 1, 2, 3}, false}, [2] = {{1, 0, 3, 2}, false}, [3] = {{3, 2, 1, 0}, false},
                    [4] = {{2, 3, 0, 1}, false}, [5] = {{0, 2, 1, 3}, true},  [6] = {{1, 3, 0, 2}, true},
                    [7] = {{3, 1, 2, 0}, true},  [8] = {{2, 0, 3, 1}, true}};

static void check_oriented(const kn_image *im, int orientation)
{
    assert_int_equal(im->width, ORIENTATION[orientation].swap ? 16 : 24);
    assert_int_equal(im->height, ORIENTATION[orientation].swap ? 24 : 16);
    for (int q = 0; q < 4; q++) {
        int seen = ORIENTATION[orientation].seen[q];
        const uint8_t *p = test_pixel(im, seen & 1 ? im->width - 1 : 0, seen & 2 ? im->height - 1 : 0);
        for (int c = 0; c < 3; c++)
            if (abs(p[c] - QUADRANTS[q][c]) > 2)
                fail_msg("orientation %d: quadrant %d is not seen at %d", orientation, q, seen);
    }
}

static void make_exif(uint8_t exif[26], int orientation, bool big)
{
    static const uint8_t le[26] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
    static const uint8_t be[26] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
    memcpy(exif, big ? be : le, 26);
    exif[big ? 19 : 18] = (uint8_t)orientation;
}

static void test_jpeg_orientation(void **state)
{
    (void)state;
    for (int o = 0; o <= 9; o++) { /* 0 and 9 are not orientations and change nothing */
        char *jpeg = NULL;
        size_t size;
        uint8_t file[2048] = {0xff, 0xd8, 0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f'};
        kn_image im = {0};
        kn_err err = {0};
        assert_ok(kn_file_read(FIXTURE("quadrants.jpg"), 1024, &jpeg, &size, &err));
        make_exif(file + 12, o, o & 1);
        memcpy(file + 38, jpeg + 2, size - 2);
        assert_ok(kn_image_load_memory(file, size + 36, "test.jpg", &im, &err));
        check_oriented(&im, o < 1 || o > 8 ? 1 : o);
        kn_image_done(&im);
        free(jpeg);
    }
}

static void test_png_orientation(void **state)
{
    static png_writer p;
    uint8_t rows[16 * 73] = {0};
    (void)state;
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 24; x++)
            memcpy(rows + y * 73 + 1 + 3 * x, QUADRANTS[(x >= 16) + 2 * (y >= 8)], 3);
    for (int o = 1; o <= 8; o++) {
        uint8_t exif[26];
        make_exif(exif, o, !(o & 1));
        png_begin(&p, 24, 16, 8, 2);
        png_chunk(&p, "eXIf", exif, sizeof exif);
        png_end(&p, rows, sizeof rows);
        kn_image im = load_png(&p);
        check_oriented(&im, o);
        kn_image_done(&im);
    }
}

static void test_webp_and_tiff_orientation(void **state)
{
    kn_image im = {0};
    kn_err err = {0};
    (void)state;
    assert_ok(kn_image_load(FIXTURE("orientation6.webp"), &im, &err));
    check_oriented(&im, 6);
    kn_image_done(&im);
    assert_ok(kn_image_load(FIXTURE("orientation6.tif"), &im, &err));
    check_oriented(&im, 6);
    kn_image_done(&im);
}

/* ---- what must be refused ---- */

static void check_refused(const void *data, size_t size, int code, const char *says)
{
    kn_image im = {.width = 7};
    kn_err err = {0};
    assert_int_equal(kn_image_load_memory(data, size, "some/name", &im, &err), code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.msg, "some/name"));
    if (says && !strstr(err.msg, says))
        fail_msg("the message says \"%s\", not \"%s\"", err.msg, says);
    assert_int_equal(im.width, 7); /* untouched */
    assert_null(im.rgb);
}

static void test_not_a_picture(void **state)
{
    static png_writer p;
    (void)state;
    check_refused("", 0, KN_EFORMAT, "empty");
    check_refused("hello, world", 12, KN_EFORMAT, "not a PNG, JPEG, WebP");
    check_refused("RIFF\x10\0\0\0WAVEfmt ", 16, KN_EFORMAT, "not a PNG");
    png_begin(&p, 0, 5, 8, 2);
    png_end(&p, (const uint8_t[]){0}, 1);
    check_refused(p.data, p.size, KN_EFORMAT, "size");
}

static void test_too_large_before_decoding(void **state)
{
    static png_writer p;
    (void)state;
    png_begin(&p, 100000, 100000, 8, 2);
    png_end(&p, (const uint8_t[]){0}, 1);
    check_refused(p.data, p.size, KN_ELIMIT, "KN_LIMIT_IMAGE_PIXELS");
    png_begin(&p, 0xffffffffu, 0xffffffffu, 8, 2);
    png_end(&p, (const uint8_t[]){0}, 1);
    check_refused(p.data, p.size, KN_ELIMIT, "4294967295");
}

static void test_animated_webp_is_named(void **state)
{
    kn_image im = {0};
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_image_load(FIXTURE("animated.webp"), &im, &err), KN_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "animated WebP"));
}

static void test_missing_file(void **state)
{
    kn_image im = {0};
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_image_load("/nowhere/picture.png", &im, &err), KN_ENOTFOUND);
    assert_non_null(strstr(err.msg, "/nowhere/picture.png"));
    assert_int_equal(kn_image_load("/tmp", &im, NULL), KN_EINVAL);
}

static const char *const HOSTILE[] = {FIXTURE("quadrants.jpg"),    FIXTURE("progressive420.jpg"),
                                      FIXTURE("quadrants.webp"),   FIXTURE("orientation6.webp"),
                                      FIXTURE("quadrants.bmp"),    FIXTURE("quadrants.gif"),
                                      FIXTURE("orientation6.tif"), FIXTURE("animated.png")};

/* Every beginning of a picture is refused; what libav thinks of it goes nowhere but into the error.  The last byte of
 * a GIF ends the file, not the picture; a TIFF may keep its directory in front and strips of free length behind. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++) {
        char *data = NULL;
        size_t size;
        kn_err err = {0};
        assert_ok(kn_file_read(HOSTILE[i], 4096, &data, &size, &err));
        size_t last = strstr(HOSTILE[i], ".gif") ? size - 1 : size;
        for (size_t n = 0; n < last; n++) {
            kn_image im = {0};
            /* exactly n bytes, so that a read beyond them is seen by the sanitizer */
            char *part = malloc(n ? n : 1);
            assert_non_null(part);
            memcpy(part, data, n);
            int rc = kn_image_load_memory(part, n, "part", &im, &err);
            if (rc == 0 && !strstr(HOSTILE[i], ".tif"))
                fail_msg("%s: the first %zu of %zu bytes pass for a picture", HOSTILE[i], n, size);
            kn_image_done(&im);
            free(part);
        }
        free(data);
    }
}

/* Damaged bytes give a picture or an error, never a crash, a leak or a word on standard error. */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++) {
        char *data = NULL;
        size_t size;
        kn_err err = {0};
        assert_ok(kn_file_read(HOSTILE[i], 4096, &data, &size, &err));
        for (size_t n = 0; n < size; n++)
            for (int bit = 0; bit < 8; bit += 3) {
                kn_image im = {0};
                data[n] ^= (char)(1 << bit);
                if (!kn_image_load_memory(data, size, "damaged", &im, &err))
                    assert_true((int64_t)im.width * im.height <= KN_LIMIT_IMAGE_PIXELS);
                kn_image_done(&im);
                data[n] ^= (char)(1 << bit);
            }
        free(data);
    }
}

/* ---- writing ---- */

static void test_save_png(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "out.png");
    kn_image im = {0}, back = {0};
    kn_err err = {0};
    (void)state;
    assert_ok(kn_image_new(13, 7, &im, &err));
    for (int i = 0; i < 13 * 7 * 3; i++)
        im.rgb[i] = (uint8_t)(i * 37);
    assert_ok(kn_image_save_png(&im, path, &err));
    assert_int_equal(test_dir_count(dir), 1); /* no .part */
    assert_ok(kn_image_load(path, &back, &err));
    assert_int_equal(back.width, 13);
    assert_int_equal(back.height, 7);
    assert_memory_equal(im.rgb, back.rgb, 13 * 7 * 3);
    assert_int_equal(kn_image_save_png(&im, "/nowhere/out.png", &err), KN_EIO);
    assert_non_null(strstr(err.msg, "/nowhere/out.png"));
    kn_image_done(&im);
    kn_image_done(&back);
    free(path);
    test_dir_remove(dir);
}

static void test_new_refuses_sizes(void **state)
{
    kn_image im = {0};
    (void)state;
    assert_int_equal(kn_image_new(0, 5, &im, NULL), KN_EINVAL);
    assert_int_equal(kn_image_new(-1, 5, &im, NULL), KN_EINVAL);
    assert_int_equal(kn_image_new(2000000, 2000000, &im, NULL), KN_ELIMIT);
    kn_image_done(&im);
    kn_image_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_progressive_jpeg),
        cmocka_unit_test(test_png_grey),
        cmocka_unit_test(test_png_palette),
        cmocka_unit_test(test_png_alpha_is_dropped),
        cmocka_unit_test(test_png_color_key_is_dropped),
        cmocka_unit_test(test_jpeg_orientation),
        cmocka_unit_test(test_png_orientation),
        cmocka_unit_test(test_webp_and_tiff_orientation),
        cmocka_unit_test(test_not_a_picture),
        cmocka_unit_test(test_too_large_before_decoding),
        cmocka_unit_test(test_animated_webp_is_named),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_save_png),
        cmocka_unit_test(test_new_refuses_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
