#include "sink_test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_folder),
        cmocka_unit_test(test_png_folder_again),
        cmocka_unit_test(test_png_folder_of_someone_else),
        cmocka_unit_test(test_one_png),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
