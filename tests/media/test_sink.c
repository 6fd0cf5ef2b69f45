#include "sink_test.h"

#include <signal.h>
#include <sys/resource.h>

static void test_abort_leaves_nothing(void **state)
{
    static const char *const names[] = {"x.mp4", "x.png", "folder/", "x.webm", "x.gif", "x.webp"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
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

static void test_unwritable_places(void **state)
{
    (void)state;
    check_open_fails("/nowhere/x.mp4", &OPTS, KN_EIO, "/nowhere/x.mp4");
    check_open_fails("/nowhere/x.png", &OPTS, KN_EIO, "No such file");
    check_open_fails("/nowhere/folder/", &OPTS, KN_EIO, "/nowhere/folder");
    check_open_fails("/nowhere/x.webm", &OPTS, KN_EIO, "/nowhere/x.webm");
    check_open_fails("/nowhere/x.gif", &OPTS, KN_EIO, "/nowhere/x.gif");
    check_open_fails("/nowhere/x.webp", &OPTS, KN_EIO, "No such file");
    check_open_fails("/dev/null/x.mp4", &OPTS, KN_EIO, "/dev/null/x.mp4");
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
    static const char *const names[] = {"x.mp4", "folder/", "x.webm", "x.gif", "x.webp"};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (int k = 0; k < 5; k++) {
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
        for (int i = 0; !rc && i < (k == 2 ? 8 : 60); i++) {
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
        /* hours before the end; WebM writes seconds at once, WebP all */
        assert_true(at_put || k == 2 || k == 4);
        assert_non_null(strstr(err.msg, "File too large"));
        assert_int_equal(test_dir_count(dir), 0);
        free(path);
        test_dir_remove(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_abort_leaves_nothing), cmocka_unit_test(test_older_file_stays_until_commit),
        cmocka_unit_test(test_unwritable_places),    cmocka_unit_test(test_unknown_names_and_options),
        cmocka_unit_test(test_wrong_frame_size),     cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
