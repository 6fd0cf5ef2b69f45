#include "media_test.h"

#include "base/limits.h"

static void check_animation(const char *path)
{
    static const uint8_t want[3][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
    kn_image *frames = NULL;
    int n = 0;
    double fps = 0.0;
    kn_err err = {0};
    assert_ok(kn_video_load(path, 100, &frames, &n, &fps, &err));
    assert_int_equal(n, 3);
    assert_near(fps, 10.0, 1e-6);
    for (int i = 0; i < n; i++) {
        assert_int_equal(frames[i].width, 24);
        assert_int_equal(frames[i].height, 16);
        assert_memory_equal(test_pixel(&frames[i], 3, 4), want[i], 3);
        assert_memory_equal(test_pixel(&frames[i], 23, 15), want[i], 3);
    }
    kn_images_free(frames, n);
}

static void test_animated_gif_and_png(void **state)
{
    (void)state;
    check_animation(FIXTURE("animated.gif"));
    check_animation(FIXTURE("animated.png"));
}

static void test_at_most_max_frames(void **state)
{
    kn_image *frames = NULL;
    int n = 0;
    kn_err err = {0};
    (void)state;
    assert_ok(kn_video_load(FIXTURE("animated.gif"), 2, &frames, &n, NULL, &err));
    assert_int_equal(n, 2);
    kn_images_free(frames, n);
    assert_int_equal(kn_video_load(FIXTURE("animated.gif"), 0, &frames, &n, NULL, &err), KN_EINVAL);
    assert_int_equal(kn_video_load(FIXTURE("animated.gif"), KN_LIMIT_FRAMES + 1, &frames, &n, NULL, &err),
                     KN_EINVAL);
}

static void test_still(void **state)
{
    kn_image *frames = NULL;
    int n = 0;
    double fps = 5.0;
    kn_err err = {0};
    (void)state;
    assert_ok(kn_video_load(FIXTURE("quadrants.webp"), 5, &frames, &n, &fps, &err));
    assert_int_equal(n, 1);
    assert_true(fps == 0.0);
    kn_images_free(frames, n);
}

/* Sorted as people count: 2 before 10; what is no picture is not looked at. */
static void test_folder(void **state)
{
    static const char *const names[] = {"f10.png", "f2.png", "f1.PNG", ".hidden.png", "notes.txt"};
    char *dir = test_dir_make();
    kn_image *frames = NULL;
    int n = 0;
    kn_err err = {0};
    (void)state;
    for (int i = 0; i < 5; i++) {
        char *path = kn_path_join(dir, names[i]);
        kn_image im = {0};
        assert_ok(kn_image_new(4, 4, &im, &err));
        im.rgb[0] = (uint8_t)i;
        assert_ok(kn_image_save_png(&im, path, &err));
        kn_image_done(&im);
        free(path);
    }
    assert_ok(kn_video_load(dir, 100, &frames, &n, NULL, &err));
    assert_int_equal(n, 3);
    assert_int_equal(frames[0].rgb[0], 2);
    assert_int_equal(frames[1].rgb[0], 1);
    assert_int_equal(frames[2].rgb[0], 0);
    kn_images_free(frames, n);
    assert_ok(kn_video_load(dir, 1, &frames, &n, NULL, &err));
    assert_int_equal(n, 1);
    kn_images_free(frames, n);
    test_dir_remove(dir);
}

static void test_refused(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *gif = NULL;
    kn_image *frames = NULL;
    int n = 0;
    size_t size;
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_video_load(path, 5, &frames, &n, NULL, &err), KN_ENOTFOUND);
    assert_int_equal(kn_video_load(dir, 5, &frames, &n, NULL, &err), KN_ENOTFOUND);
    assert_non_null(strstr(err.msg, dir));
    test_write(path, "nothing that moves", 18);
    assert_int_equal(kn_video_load(path, 5, &frames, &n, NULL, &err), KN_EFORMAT);
    assert_ok(kn_file_read(FIXTURE("animated.gif"), 4096, &gif, &size, &err));
    for (size_t k = 0; k < size; k++) { /* no beginning of a file crashes */
        test_write(path, gif, k);
        if (!kn_video_load(path, 5, &frames, &n, NULL, &err))
            kn_images_free(frames, n);
    }
    free(gif);
    free(path);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_animated_gif_and_png),
        cmocka_unit_test(test_at_most_max_frames),
        cmocka_unit_test(test_still),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
