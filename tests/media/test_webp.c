#include "sink_test.h"

#include "base/limits.h"
#include "media/webp.h"

enum { W = 64, H = 48, N = 6 };
/* A grey picture with a red square that moves: most of each frame stays, so the encoder stores parts and transparency. */
static void draw(kn_frame *f, int i)
{
    for (int y = 10; y < 26; y++)
        for (int x = 4 + 8 * i; x < 20 + 8 * i && x < W; x++) {
            float *p = f->rgb + (y * W + x) * 3;
            p[0] = 0.9f;
            p[1] = p[2] = 0.1f;
        }
}

static char *make_file(const char *dir, const char *json)
{
    char *path = kn_path_join(dir, "x.webp");
    kn_err err = {0};
    kn_sink *s = open_sink(path, &OPTS);
    for (int i = 0; i < N; i++) {
        kn_frame *f = test_flat_frame(W, H, i, 0.4f, 0.4f, 0.4f);
        draw(f, i);
        assert_ok(kn_sink_put(s, f, &err));
    }
    assert_ok(kn_sink_commit(s, json, &err));
    return path;
}

static void test_plays_as_it_was_made(void **state)
{
    char *dir = test_dir_make(), *path = make_file(dir, NULL);
    kn_image *frames = NULL;
    int n = 0;
    double fps = 0;
    kn_err err = {0};
    (void)state;
    assert_ok(kn_video_load(path, 100, &frames, &n, &fps, &err));
    assert_int_equal(n, N);
    assert_near(fps, 16.0, 0.1);
    for (int i = 0; i < n; i++) {
        const uint8_t *in = test_pixel(&frames[i], 12 + 8 * i, 18), *out = test_pixel(&frames[i], 2, 44);
        assert_in_range(in[0], 215, 245);
        assert_in_range(in[1], 10, 45);
        assert_in_range(out[0], 96, 108);
        assert_in_range(out[2], 96, 108);
        if (i) { /* where the square was before it moved on */
            const uint8_t *left = test_pixel(&frames[i], 2 + 8 * i - 2, 18);
            assert_in_range(left[0], 80, 125);
        }
    }
    kn_images_free(frames, n);
    assert_ok(kn_video_load(path, 2, &frames, &n, NULL, &err));
    assert_int_equal(n, 2);
    kn_images_free(frames, n);
    free(path);
    test_dir_remove(dir);
}

/* Of another program: three colours, a tenth of a second each. */
static void test_reads_others(void **state)
{
    static const uint8_t want[3][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
    kn_image *frames = NULL;
    int n = 0;
    double fps = 0;
    kn_err err = {0};
    kn_media_info info = {0};
    (void)state;
    assert_ok(kn_video_load(FIXTURE("animated.webp"), 100, &frames, &n, &fps, &err));
    assert_int_equal(n, 3);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            assert_true(abs(test_pixel(&frames[i], 3, 4)[c] - want[i][c]) <= 6);
    kn_images_free(frames, n);
    assert_ok(kn_media_info_read(FIXTURE("animated.webp"), &info, &err));
    assert_int_equal(info.n_frames, 3);
    assert_null(info.comment);
    kn_media_info_done(&info);
}

static void test_comment(void **state)
{
    static const char json[] = "{\"prompt\":\"a <b> & \\\"c\\\" &amp; \xe7\x8c\xab ]]>\"}";
    char *dir = test_dir_make(), *path = make_file(dir, json), *data = NULL;
    kn_media_info info = {0};
    kn_webp_info w = {0};
    unsigned char *again = NULL;
    size_t size, again_size = 0;
    kn_err err = {0};
    (void)state;
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_string_equal(info.comment, json);
    kn_media_info_done(&info);
    assert_ok(kn_file_read(path, 1 << 20, &data, &size, &err));
    assert_ok(kn_webp_with_comment(data, size, W, H, "new", &again, &again_size,
                                   &err)); /* takes the old one's place */
    assert_ok(kn_webp_info_read(again, again_size, "x", &w, &err));
    assert_string_equal(w.comment, "new");
    assert_true(again_size < size);
    assert_int_equal(w.n_frames, N);
    free(w.comment);
    free(again);
    free(data);
    free(path);
    test_dir_remove(dir);
}

/* One frame is a still; the comment needs the long form of the file. */
static void test_single_frame(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.webp");
    kn_media_info info = {0};
    kn_image im = {0};
    kn_err err = {0};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 1, 0.2f, 0.5f, 0.8f);
    assert_ok(kn_sink_commit(s, "{\"seed\":1}", &err));
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_int_equal(info.n_frames, 1);
    assert_int_equal(info.width, W);
    assert_string_equal(info.comment, "{\"seed\":1}");
    kn_media_info_done(&info);
    assert_ok(kn_image_load(path, &im, &err));
    check_flat(&im, (const float[]){0.2f, 0.5f, 0.8f}, 3);
    kn_image_done(&im);
    free(path);
    test_dir_remove(dir);
}

/* No beginning of a file, and no flipped byte of one, does harm. */
static void test_damaged(void **state)
{
    char *dir = test_dir_make(), *path = make_file(dir, "{}"), *data = NULL, *copy;
    size_t size;
    kn_err err = {0};
    (void)state;
    assert_ok(kn_file_read(path, 1 << 20, &data, &size, &err));
    copy = malloc(size);
    assert_non_null(copy);
    for (size_t k = 0; k < 2 * size; k += 1 + size / 300) {
        size_t n = k < size ? k : size;
        memcpy(copy, data, size);
        if (k >= size)
            copy[k - size] = (char)(copy[k - size] ^ 0x55);
        kn_webp_anim *a = NULL;
        bool end = false;
        int rc = kn_webp_anim_open(copy, n, "x", &a, &err);
        if (k < size)
            assert_int_not_equal(rc, 0);
        while (!rc && !end) {
            kn_image im = {0};
            rc = kn_webp_anim_next(a, &im, &end, &err);
            kn_image_done(&im);
        }
        kn_webp_anim_close(a);
    }
    free(copy);
    free(data);
    free(path);
    test_dir_remove(dir);
}

static void test_refused(void **state)
{
    static const unsigned char outside[] = "RIFF\x3c\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x0f\0\0\x0f\0\0"
                                           "ANMF\x18\0\0\0\x09\0\0\0\0\0\x0f\0\0\x0f\0\0\x64\0\0\0"
                                           "VP8L\0\0\0\0ICCP\0\0\0";
    kn_webp_info w = {0};
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_webp_info_read("not a picture", 13, "x", &w, &err), KN_EFORMAT);
    assert_int_equal(kn_webp_info_read(outside, sizeof outside, "x", &w, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, "outside the picture"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plays_as_it_was_made),
        cmocka_unit_test(test_reads_others),
        cmocka_unit_test(test_comment),
        cmocka_unit_test(test_single_frame),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
