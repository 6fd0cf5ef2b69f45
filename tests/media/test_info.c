#include "sink_test.h"

static void count(void *ud, const char *name, const char *writes, const char *why_not)
{
    assert_true(*writes);
    if (!strcmp(name, "png") || !strcmp(name, "mpeg4") || !strcmp(name, "gif"))
        *(int *)ud += !*why_not;
    if (!strcmp(name, "libvpx-vp9"))
        assert_string_equal(writes, "MP4, WebM");
}

static void test_encoders_and_versions(void **state)
{
    char buf[256];
    int n = 0;
    (void)state;
    kn_media_encoders(count, &n);
    assert_int_equal(n, 3);
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
        cmocka_unit_test(test_encoders_and_versions),
        cmocka_unit_test(test_info_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
