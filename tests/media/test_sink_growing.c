/* A video that can be played while it is made, and is like any other when it is done. */
#include "sink_test.h"

#include <sys/stat.h>

enum { N = 120 };

static kn_sink_opts growing(void)
{
    kn_sink_opts o = OPTS;
    o.growing = true;
    return o;
}

/* Pictures from dark to light. */
static void put_ramp(kn_sink *s, int n)
{
    kn_err err = {0};
    for (int i = 0; i < n; i++) {
        float v = 0.1f + 0.8f * (float)i / N;
        assert_ok(kn_sink_put(s, test_flat_frame(OPTS.width, OPTS.height, i, v, v, 0.5f), &err));
    }
}

static void check_ramp(const char *path, int n)
{
    kn_image *frames = NULL;
    int found = 0;
    kn_err err = {0};
    assert_ok(kn_video_load(path, 1000, &frames, &found, NULL, &err));
    assert_int_equal(found, n);
    for (int i = 0; i < n; i++) {
        float v = 0.1f + 0.8f * (float)i / N;
        check_flat(&frames[i], (const float[]){v, v, 0.5f}, 4);
    }
    kn_images_free(frames, found);
}

static bool has_box(const char *data, size_t size, const char *type, size_t *ret_at)
{
    for (size_t at = 0; at + 8 <= size;) {
        const unsigned char *p = (const unsigned char *)data + at;
        size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (!memcmp(p + 4, type, 4)) {
            *ret_at = at;
            return true;
        }
        at += n < 8 ? 8 : n;
    }
    return false;
}

static void is_like_any_other_when_done(void **state)
{
    char *dir = test_dir_make(), *plain = kn_path_join(dir, "plain.mp4"),
         *path = kn_path_join(dir, "a:b c.mp4");
    char *data = NULL;
    size_t size, moov, mdat, moof;
    kn_err err = {0};
    kn_media_info a = {0}, b = {0};
    kn_sink_opts o = growing();
    (void)state;
    kn_sink *s = open_sink(plain, &OPTS);
    put_ramp(s, N);
    assert_ok(kn_sink_commit(s, "{\"a\":1}", &err));
    s = open_sink(path, &o);
    put_ramp(s, N);
    assert_false(kn_path_exists(path));
    assert_ok(kn_sink_commit(s, "{\"a\":1}", &err));
    assert_int_equal(test_dir_count(dir), 2);
    assert_ok(kn_media_info_read(plain, &a, &err));
    assert_ok(kn_media_info_read(path, &b, &err));
    assert_int_equal(b.n_frames, a.n_frames);
    assert_near(b.duration_s, a.duration_s, 1e-6);
    assert_near(b.fps, a.fps, 1e-9);
    assert_string_equal(b.codec, a.codec);
    assert_string_equal(b.pixel_format, a.pixel_format);
    assert_string_equal(b.comment, "{\"a\":1}");
    check_ramp(path, N);
    assert_ok(kn_file_read(path, 1 << 20, &data, &size, &err));
    assert_true(has_box(data, size, "moov", &moov));
    assert_true(has_box(data, size, "mdat", &mdat));
    assert_true(moov < mdat);
    assert_false(has_box(data, size, "moof", &moof));
    free(data);
    kn_media_info_done(&a);
    kn_media_info_done(&b);
    free(plain);
    free(path);
    test_dir_remove(dir);
}

/* Pictures of the part, once there are some; the encoder looks ahead, so that it is behind. */
static int wait_for_part(const char *part)
{
    for (int i = 0; i < 6000; i++) {
        kn_media_info info = {0};
        int n = kn_media_info_read(part, &info, NULL) ? 0 : (int)info.n_frames;
        kn_media_info_done(&info);
        if (n > 0)
            return n;
        usleep(10000);
    }
    fail_msg("%s cannot be played after a minute", part);
    return 0;
}

static void can_be_played_while_it_is_made(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *part = kn_path_join(dir, "x.mp4.part");
    kn_err err = {0};
    kn_sink_opts o = growing();
    (void)state;
    kn_sink *s = open_sink(path, &o);
    put_ramp(s, N);
    int n = wait_for_part(part);
    assert_true(n < N);
    kn_image *frames = NULL;
    int found = 0;
    assert_ok(kn_video_load(part, 1000, &frames, &found, NULL, &err));
    assert_true(found >= n && found < N);
    for (int i = 0; i < found; i++) {
        float v = 0.1f + 0.8f * (float)i / N;
        check_flat(&frames[i], (const float[]){v, v, 0.5f}, 4);
    }
    kn_images_free(frames, found);
    kn_sink_abort(s);
    assert_int_equal(test_dir_count(dir), 0);
    free(part);
    free(path);
    test_dir_remove(dir);
}

/* Where it cannot be rewritten, the fragments are the video. */
static void fragments_will_do(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"),
         *in_the_way = kn_path_join(dir, "x.mp4.whole.part");
    kn_err err = {0};
    kn_sink_opts o = growing();
    (void)state;
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    kn_sink *s = open_sink(path, &o);
    put_ramp(s, N);
    assert_ok(kn_sink_commit(s, "{}", &err));
    check_ramp(path, N);
    assert_int_equal(rmdir(in_the_way), 0);
    assert_int_equal(test_dir_count(dir), 1);
    free(in_the_way);
    free(path);
    test_dir_remove(dir);
}

/* Fewer frames than a fragment has. */
static void a_single_frame(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_err err = {0};
    kn_sink_opts o = growing();
    (void)state;
    kn_sink *s = open_sink(path, &o);
    put_ramp(s, 1);
    assert_ok(kn_sink_commit(s, NULL, &err));
    check_ramp(path, 1);
    free(path);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_like_any_other_when_done),
        cmocka_unit_test(can_be_played_while_it_is_made),
        cmocka_unit_test(fragments_will_do),
        cmocka_unit_test(a_single_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
