#include "sink_test.h"

static void test_mp4_says_what_it_is(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "a:b c.mp4");
    kn_err err = {0};
    kn_media_info info = {0};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    assert_non_null(kn_sink_encoder(s));
    put_flat(s, &OPTS, 33, 0.2f, 0.5f, 0.8f);
    assert_false(kn_path_exists(path)); /* nothing under the name before the commit */
    assert_ok(
        kn_sink_commit(s, "{\"prompt\":\"a \\\"cat\\\" \xe7\x8c\xab\",\"seed\":9007199254740993}", &err));
    assert_int_equal(test_dir_count(dir), 1); /* and no .part after it */
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_int_equal(info.width, 64);
    assert_int_equal(info.height, 48);
    assert_int_equal(info.n_frames, 33);
    assert_near(info.fps, 16.0, 1e-9);
    assert_near(info.duration_s, 33.0 / 16.0, 1e-3);
    assert_string_equal(info.pixel_format, "yuv420p");
    assert_non_null(strstr(info.container, "mp4"));
    assert_string_equal(info.comment,
                        "{\"prompt\":\"a \\\"cat\\\" \xe7\x8c\xab\",\"seed\":9007199254740993}");
    kn_media_info_done(&info);
    free(path);
    test_dir_remove(dir);
}

static size_t find_box(const char *data, size_t size, const char *type)
{
    size_t at = 0;
    while (at + 8 <= size) {
        const unsigned char *p = (const unsigned char *)data + at;
        if (!memcmp(p + 4, type, 4))
            return at;
        at += (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    }
    fail_msg("no box %s", type);
    return 0;
}

static bool contains(const char *data, size_t size, const char *what, size_t n)
{
    for (size_t i = 0; i + n <= size; i++)
        if (!memcmp(data + i, what, n))
            return true;
    return false;
}

static void test_mp4_index_in_front_and_color_tags(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *data = NULL;
    size_t size;
    kn_err err = {0};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 5, 1.0f, 0.0f, 0.0f);
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_ok(kn_file_read(path, 1 << 20, &data, &size, &err));
    assert_true(find_box(data, size, "moov") < find_box(data, size, "mdat"));
    /* colr box: nclx, primaries 1, transfer 1, matrix 1 (BT.709), not full range */
    assert_true(contains(data, size, "colrnclx\0\1\0\1\0\1\0", 15));
    free(data);
    free(path);
    test_dir_remove(dir);
}

static void test_mp4_colors_survive(void **state)
{
    static const float colors[][3] = {{0.0f, 0.0f, 0.0f}, {1.0f, 1.0f, 1.0f}, {0.5f, 0.5f, 0.5f},
                                      {1.0f, 0.0f, 0.0f}, {0.0f, 1.0f, 0.0f}, {0.0f, 0.0f, 1.0f},
                                      {0.9f, 0.6f, 0.3f}, {0.1f, 0.3f, 0.7f}};
    (void)state;
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++) {
        char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
        kn_image *frames = NULL;
        int n = 0;
        double fps = 0.0;
        kn_err err = {0};
        kn_sink *s = open_sink(path, &OPTS);
        put_flat(s, &OPTS, 3, colors[i][0], colors[i][1], colors[i][2]);
        assert_ok(kn_sink_commit(s, NULL, &err));
        assert_ok(kn_video_load(path, 100, &frames, &n, &fps, &err));
        assert_int_equal(n, 3);
        assert_near(fps, 16.0, 1e-9);
        check_flat(&frames[2], colors[i], 3);
        kn_images_free(frames, n);
        free(path);
        test_dir_remove(dir);
    }
}

/* Left half red, right half blue: the chroma border stays where it is. */
static void test_mp4_chroma_is_in_place(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_sink_opts o = OPTS;
    kn_image *frames = NULL;
    int n = 0;
    kn_err err = {0};
    (void)state;
    o.crf = 4;
    kn_sink *s = open_sink(path, &o);
    kn_frame *f = test_flat_frame(64, 48, 0, 0.8f, 0.1f, 0.1f);
    for (int y = 0; y < 48; y++)
        for (int x = 32; x < 64; x++) {
            f->rgb[(y * 64 + x) * 3] = 0.1f;
            f->rgb[(y * 64 + x) * 3 + 2] = 0.8f;
        }
    assert_ok(kn_sink_put(s, f, &err));
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_ok(kn_video_load(path, 1, &frames, &n, NULL, &err));
    for (int y = 0; y < 48; y++) {
        assert_in_range(test_pixel(&frames[0], 28, y)[0], 196, 212);
        assert_in_range(test_pixel(&frames[0], 28, y)[2], 18, 34);
        assert_in_range(test_pixel(&frames[0], 35, y)[0], 18, 34);
        assert_in_range(test_pixel(&frames[0], 35, y)[2], 196, 212);
    }
    kn_images_free(frames, n);
    free(path);
    test_dir_remove(dir);
}

static void test_mp4_odd_size_is_padded(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_sink_opts o = {.width = 33, .height = 17, .fps = 30000.0 / 1001.0, .n_frames = 2};
    const float rgb[3] = {0.3f, 0.6f, 0.9f};
    kn_image *frames = NULL;
    int n = 0;
    double fps = 0.0;
    kn_err err = {0};
    (void)state;
    kn_sink *s = open_sink(path, &o);
    put_flat(s, &o, 2, rgb[0], rgb[1], rgb[2]);
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_ok(kn_video_load(path, 100, &frames, &n, &fps, &err));
    assert_int_equal(frames[0].width, 34);
    assert_int_equal(frames[0].height, 18);
    check_flat(&frames[1], rgb, 3);
    assert_near(fps, 30000.0 / 1001.0, 1e-9);
    kn_images_free(frames, n);
    free(path);
    test_dir_remove(dir);
}

static void test_mp4_long_comment(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *json = malloc(200001);
    kn_err err = {0};
    kn_media_info info = {0};
    (void)state;
    assert_non_null(json);
    for (int i = 0; i < 200000; i++)
        json[i] = (char)('a' + i % 26);
    json[200000] = '\0';
    kn_sink *s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 1, 0.0f, 0.0f, 0.0f);
    assert_ok(kn_sink_commit(s, json, &err));
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_string_equal(info.comment, json);
    kn_media_info_done(&info);
    free(json);
    free(path);
    test_dir_remove(dir);
}

static void test_mp4_other_encoder(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_sink_opts o = OPTS;
    kn_err err = {0};
    kn_media_info info = {0};
    kn_sink *s = NULL;
    (void)state;
    o.encoder = "mpeg4";
    s = open_sink(path, &o);
    assert_string_equal(kn_sink_encoder(s), "mpeg4");
    put_flat(s, &o, 4, 0.4f, 0.4f, 0.4f);
    assert_ok(kn_sink_commit(s, "{}", &err));
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_string_equal(info.codec, "mpeg4");
    assert_string_equal(info.comment, "{}");
    kn_media_info_done(&info);
    unlink(path);
    o.encoder = "libnothing";
    assert_int_equal(kn_sink_open(path, &o, &s, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "libnothing"));
    assert_non_null(strstr(err.msg, "libx264"));
    assert_int_equal(test_dir_count(dir), 0);
    free(path);
    test_dir_remove(dir);
}

static void test_gif_says_that_it_is_slow(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.gif");
    kn_sink_opts o = OPTS;
    kn_err err = {0};
    kn_media_info info = {0};
    (void)state;
    o.fps = 60;
    kn_sink *s = open_sink(path, &o);
    assert_non_null(strstr(kn_sink_note(s), "at most 50 frames a second"));
    put_flat(s, &o, 10, 0.1f, 0.2f, 0.3f);
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_near(info.fps, 50.0, 0.1);
    kn_media_info_done(&info);
    o.fps = 50;
    s = open_sink(path, &o);
    assert_string_equal(kn_sink_note(s), "");
    kn_sink_abort(s);
    free(path);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mp4_says_what_it_is),
        cmocka_unit_test(test_mp4_index_in_front_and_color_tags),
        cmocka_unit_test(test_mp4_colors_survive),
        cmocka_unit_test(test_mp4_chroma_is_in_place),
        cmocka_unit_test(test_mp4_odd_size_is_padded),
        cmocka_unit_test(test_mp4_long_comment),
        cmocka_unit_test(test_mp4_other_encoder),
        cmocka_unit_test(test_gif_says_that_it_is_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
