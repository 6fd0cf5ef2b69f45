#include "media_test.h"

#include "media/image_probe.h"
#include "png_writer.h"

static kn_image_probe probe_file(const char *path)
{
    char *data = NULL;
    size_t size;
    kn_image_probe probe = {0};
    kn_err err = {0};
    assert_ok(kn_file_read(path, 1 << 16, &data, &size, &err));
    const char *why = kn_image_probe_bytes(data, size, &probe);
    if (why)
        fail_msg("%s: %s", path, why);
    free(data);
    return probe;
}

static void test_formats_and_sizes(void **state)
{
    static const struct {
        const char *path;
        kn_image_format format;
        bool animated;
        int orientation;
    } files[] = {
        {FIXTURE("quadrants.bmp"), KN_IMAGE_BMP, false, 1},
        {FIXTURE("quadrants.gif"), KN_IMAGE_GIF, false, 1},
        {FIXTURE("quadrants.jpg"), KN_IMAGE_JPEG, false, 1},
        {FIXTURE("progressive420.jpg"), KN_IMAGE_JPEG, false, 1},
        {FIXTURE("quadrants.webp"), KN_IMAGE_WEBP, false, 1},
        {FIXTURE("animated.webp"), KN_IMAGE_WEBP, true, 1},
        {FIXTURE("orientation6.webp"), KN_IMAGE_WEBP, false, 6},
        {FIXTURE("orientation6.tif"), KN_IMAGE_TIFF, false, 6},
        {FIXTURE("animated.png"), KN_IMAGE_PNG, true, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        kn_image_probe p = probe_file(files[i].path);
        assert_int_equal(p.format, files[i].format);
        assert_int_equal(p.width, 24);
        assert_int_equal(p.height, 16);
        assert_int_equal(p.animated, files[i].animated);
        assert_int_equal(p.orientation, files[i].orientation);
    }
    assert_string_equal(kn_image_format_name(KN_IMAGE_WEBP), "WebP");
}

static void test_bmp_from_top_to_bottom(void **state)
{
    uint8_t bmp[30] = {'B', 'M', [14] = 40, [18] = 5, [22] = 0xfd, 0xff, 0xff, 0xff};
    kn_image_probe p = {0};
    (void)state;
    assert_null(kn_image_probe_bytes(bmp, sizeof bmp, &p));
    assert_int_equal(p.width, 5);
    assert_int_equal(p.height, 3);
}

/* EXIF blocks whose directory lies outside, whose count overflows, or whose type is wrong are as good as none. */
static void test_damaged_exif_is_ignored(void **state)
{
    static const uint8_t bad[][26] = {
        "II*\0\xff\xff\xff\xff\x01\0\x12\x01\x03\0\x01\0\0\0\x06",
        "II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x01\0\0\0\x06",
        "II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\x06",
        "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09",
        "XX*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06",
    };
    static png_writer w;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t n = 0; n <= sizeof bad[i]; n++) {
            kn_image_probe p = {0};
            png_begin(&w, 1, 1, 8, 0);
            png_chunk(&w, "eXIf", bad[i], n);
            png_end(&w, (const uint8_t[]){0, 0}, 2);
            assert_null(kn_image_probe_bytes(w.data, w.size, &p));
            assert_int_equal(p.orientation, 1);
        }
}

static void test_output_untouched_on_failure(void **state)
{
    kn_image_probe p = {.width = 42};
    (void)state;
    assert_non_null(kn_image_probe_bytes("\x89PNG\r\n\x1a\n", 8, &p));
    assert_non_null(kn_image_probe_bytes("\xff\xd8\xff\xd9", 4, &p)); /* JPEG without a frame */
    assert_non_null(kn_image_probe_bytes(NULL, 0, &p));
    assert_int_equal(p.width, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_and_sizes),
        cmocka_unit_test(test_bmp_from_top_to_bottom),
        cmocka_unit_test(test_damaged_exif_is_ignored),
        cmocka_unit_test(test_output_untouched_on_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
