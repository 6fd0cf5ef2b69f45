#include "media_test.h"

#include <signal.h>
#include <sys/resource.h>

#include "media/sink.h"

static const kn_sink_opts OPTS = {.width = 64, .height = 48, .fps = 16.0, .n_frames = 0};

static kn_sink *open_sink(const char *path, const kn_sink_opts *opts)
{
    kn_sink *s = NULL;
    kn_err err = {0};
    assert_ok(kn_sink_open(path, opts, &s, &err));
    return s;
}

static void put_flat(kn_sink *s, const kn_sink_opts *o, int n, float r, float g, float b)
{
    kn_err err = {0};
    for (int i = 0; i < n; i++)
        assert_ok(kn_sink_put(s, test_flat_frame(o->width, o->height, i, r, g, b), &err));
}

/* ---- MP4 ---- */

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

static void check_flat(const kn_image *im, const float rgb[3], int tolerance)
{
    for (int y = 0; y < im->height; y++)
        for (int x = 0; x < im->width; x++)
            for (int c = 0; c < 3; c++) {
                int got = test_pixel(im, x, y)[c], want = (int)lrintf(rgb[c] * 255.0f);
                if (abs(got - want) > tolerance)
                    fail_msg("pixel (%d, %d) channel %d is %d, not %d", x, y, c, got, want);
            }
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

/* ---- what goes wrong ---- */

static void test_abort_leaves_nothing(void **state)
{
    static const char *const names[] = {"x.mp4", "x.png", "folder/"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        char *dir = test_dir_make(), *path = kn_path_join(dir, names[i]);
        kn_sink *s = open_sink(path, &OPTS);
        put_flat(s, &OPTS, 1, 0.5f, 0.5f, 0.5f);
        kn_sink_abort(s);
        assert_int_equal(test_dir_count(dir), 0);
        free(path);
        test_dir_remove(dir);
    }
    kn_sink_abort(NULL);
}

static void test_older_file_stays_until_commit(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *data = NULL;
    size_t size;
    kn_err err = {0};
    (void)state;
    test_write(path, "old", 3);
    kn_sink *s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 2, 0.5f, 0.5f, 0.5f);
    kn_sink_abort(s);
    assert_ok(kn_file_read(path, 100, &data, &size, &err));
    assert_string_equal(data, "old");
    free(data);
    free(path);
    test_dir_remove(dir);
}

static void check_open_fails(const char *path, const kn_sink_opts *o, int code, const char *says)
{
    kn_sink *s = NULL;
    kn_err err = {0};
    assert_int_equal(kn_sink_open(path, o, &s, &err), code);
    assert_null(s);
    if (!strstr(err.msg, says))
        fail_msg("the message says \"%s\", not \"%s\"", err.msg, says);
}

static void test_unwritable_places(void **state)
{
    (void)state;
    check_open_fails("/nowhere/x.mp4", &OPTS, KN_EIO, "/nowhere/x.mp4");
    check_open_fails("/nowhere/x.png", &OPTS, KN_EIO, "No such file");
    check_open_fails("/nowhere/folder/", &OPTS, KN_EIO, "/nowhere/folder");
    check_open_fails("/proc/x.mp4", &OPTS, KN_EIO, "/proc/x.mp4");
}

static void test_unknown_names_and_options(void **state)
{
    kn_sink_opts o = OPTS;
    (void)state;
    check_open_fails("x.avi", &OPTS, KN_EINVAL, "NAME.mp4");
    check_open_fails("x", &OPTS, KN_EINVAL, "FOLDER/");
    check_open_fails("", &OPTS, KN_EINVAL, "NAME.mp4");
    o.width = 0;
    check_open_fails("/tmp/x.mp4", &o, KN_EINVAL, "0x48");
    o = OPTS;
    o.fps = NAN;
    check_open_fails("/tmp/x.mp4", &o, KN_EINVAL, "frames a second");
    o = OPTS;
    o.n_frames = 2;
    check_open_fails("/tmp/x.png", &o, KN_EINVAL, "one picture");
}

static void test_wrong_frame_size(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_err err = {0};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    assert_int_equal(kn_sink_put(s, test_flat_frame(64, 64, 0, 0, 0, 0), &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "64x64"));
    assert_int_equal(kn_sink_commit(s, NULL, &err), KN_EINVAL); /* no frame */
    assert_int_equal(test_dir_count(dir), 0);
    free(path);
    test_dir_remove(dir);
}

/* A disk that is full after 64 KiB.  The limit holds for the process, so it is lifted before anything is asserted. */
static void test_disk_full(void **state)
{
    static const char *const names[] = {"x.mp4", "folder/"};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (int k = 0; k < 2; k++) {
        char *dir = test_dir_make(), *path = kn_path_join(dir, names[k]);
        kn_sink_opts o = {.width = 320, .height = 256, .fps = 16.0, .crf = 1};
        kn_err err = {0};
        kn_sink *s = open_sink(path, &o);
        struct rlimit old, small;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        small = old;
        small.rlim_cur = 64 << 10;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int rc = 0;
        uint32_t noise = 1;
        for (int i = 0; !rc && i < 60; i++) {
            kn_frame *f = test_flat_frame(o.width, o.height, i, 0, 0, 0);
            for (int p = 0; p < o.width * o.height * 3; p++) {
                noise = noise * 1664525u + 1013904223u;
                f->rgb[p] = (float)(noise >> 24) / 255.0f;
            }
            rc = kn_sink_put(s, f, &err);
        }
        bool at_put = rc != 0;
        if (rc)
            kn_sink_abort(s);
        else
            rc = kn_sink_commit(s, NULL, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(rc, KN_EIO);
        assert_true(at_put); /* hours before the end */
        assert_non_null(strstr(err.msg, "File too large"));
        assert_int_equal(test_dir_count(dir), 0);
        free(path);
        test_dir_remove(dir);
    }
}

/* ---- PNG ---- */

static void test_png_folder(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "clip/"),
         *recipe = kn_path_join(path, "kinora.json");
    kn_image *frames = NULL;
    int n = 0;
    kn_err err = {0};
    kn_media_info info = {0};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    assert_string_equal(kn_sink_encoder(s), "png");
    for (int i = 0; i < 12; i++)
        assert_ok(kn_sink_put(s, test_flat_frame(64, 48, i, (float)i / 255.0f, 1.5f, -0.5f), &err));
    assert_ok(kn_sink_commit(s, "{\"seed\":5}", &err));
    assert_int_equal(test_dir_count(dir), 1);
    assert_int_equal(test_dir_count(path), 13);
    assert_ok(kn_video_load(path, 100, &frames, &n, NULL, &err));
    assert_int_equal(n, 12);
    for (int i = 0; i < n; i++) {
        const uint8_t want[3] = {(uint8_t)i, 255, 0};
        assert_memory_equal(test_pixel(&frames[i], 5, 5), want, 3);
    }
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_int_equal(info.n_frames, 12);
    assert_int_equal(info.width, 64);
    assert_string_equal(info.comment, "{\"seed\":5}");
    kn_media_info_done(&info);
    kn_images_free(frames, n);
    free(recipe);
    free(path);
    test_dir_remove(dir);
}

static void test_png_folder_again(void **state)
{
    char *dir = test_dir_make(), *notes = kn_path_join(dir, "notes.txt"),
         *third = kn_path_join(dir, "frame_00002.png");
    kn_err err = {0};
    (void)state;
    test_write(notes, "mine", 4);
    kn_sink *s = open_sink(dir, &OPTS);
    put_flat(s, &OPTS, 4, 0.5f, 0.5f, 0.5f);
    assert_false(kn_path_exists(third));
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_int_equal(test_dir_count(dir), 6);
    s = open_sink(dir, &OPTS);
    put_flat(s, &OPTS, 3, 0.2f, 0.2f, 0.2f);
    kn_sink_abort(s);
    assert_int_equal(test_dir_count(dir), 6); /* the older clip is whole */
    s = open_sink(dir, &OPTS);
    put_flat(s, &OPTS, 2, 0.2f, 0.2f, 0.2f);
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_int_equal(test_dir_count(dir), 4); /* two frames, kinora.json, notes.txt */
    assert_true(kn_path_exists(notes));
    assert_false(kn_path_exists(third));
    free(notes);
    free(third);
    test_dir_remove(dir);
}

static void test_png_folder_of_someone_else(void **state)
{
    char *dir = test_dir_make(), *frame = kn_path_join(dir, "frame_00007.png");
    (void)state;
    test_write(frame, "precious", 8);
    check_open_fails(dir, &OPTS, KN_EINVAL, "frame_00007.png");
    assert_int_equal(test_dir_count(dir), 1);
    free(frame);
    test_dir_remove(dir);
}

static void test_one_png(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.png");
    kn_image im = {0};
    kn_err err = {0};
    const float rgb[3] = {0.2f, 0.4f, 0.6f};
    (void)state;
    kn_sink *s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 1, rgb[0], rgb[1], rgb[2]);
    assert_ok(kn_sink_commit(s, NULL, &err));
    assert_ok(kn_image_load(path, &im, &err));
    check_flat(&im, rgb, 0);
    kn_image_done(&im);
    s = open_sink(path, &OPTS);
    put_flat(s, &OPTS, 2, 0, 0, 0);
    assert_int_equal(kn_sink_commit(s, NULL, &err), KN_EINVAL);
    assert_int_equal(test_dir_count(dir), 1); /* the first picture */
    free(path);
    test_dir_remove(dir);
}

/* ---- reports ---- */

static void count(void *ud, const char *name, int available)
{
    if (!strcmp(name, "png") || !strcmp(name, "mpeg4"))
        *(int *)ud += available;
}

static void test_encoders_and_versions(void **state)
{
    char buf[256];
    int n = 0;
    (void)state;
    kn_media_encoders(count, &n);
    assert_int_equal(n, 2);
    assert_non_null(strstr(kn_media_versions(buf, sizeof buf), "libavcodec "));
    assert_string_equal(kn_media_versions(buf, 5), "liba");
}

static void test_info_refuses(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_media_info info = {0};
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_media_info_read(path, &info, &err), KN_ENOTFOUND);
    test_write(path, "this is not a video", 19);
    assert_int_equal(kn_media_info_read(path, &info, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, "x.mp4"));
    assert_int_equal(kn_media_info_read(dir, &info, &err), KN_ENOTFOUND);
    test_write(path, "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 31); /* playlists open other files */
    assert_int_equal(kn_media_info_read(path, &info, &err), KN_EFORMAT);
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
        cmocka_unit_test(test_abort_leaves_nothing),
        cmocka_unit_test(test_older_file_stays_until_commit),
        cmocka_unit_test(test_unwritable_places),
        cmocka_unit_test(test_unknown_names_and_options),
        cmocka_unit_test(test_wrong_frame_size),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_png_folder),
        cmocka_unit_test(test_png_folder_again),
        cmocka_unit_test(test_png_folder_of_someone_else),
        cmocka_unit_test(test_one_png),
        cmocka_unit_test(test_encoders_and_versions),
        cmocka_unit_test(test_info_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
