#include "media_test.h"

#include <pthread.h>

#include "base/limits.h"
#include "media/sink_driver.h"

static void *unref_many(void *arg)
{
    for (int i = 0; i < 1000; i++)
        kn_frame_unref(arg);
    return NULL;
}

static void test_references_from_two_threads(void **state)
{
    kn_frame *f = test_flat_frame(2, 2, 7, 0.5f, 0.5f, 0.5f);
    pthread_t thread;
    (void)state;
    assert_int_equal(f->index, 7);
    for (int i = 0; i < 2000; i++)
        assert_ptr_equal(kn_frame_ref(f), f);
    assert_int_equal(pthread_create(&thread, NULL, unref_many, f), 0);
    unref_many(f);
    pthread_join(thread, NULL);
    assert_int_equal(f->refs, 1);
    kn_frame_unref(f);
    kn_frame_unref(NULL);
}

static void test_sizes(void **state)
{
    kn_frame *f = NULL;
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_frame_new(0, 4, 0, &f, &err), KN_ELIMIT);
    assert_int_equal(kn_frame_new(4, KN_LIMIT_VIDEO_SIDE + 1, 0, &f, &err), KN_ELIMIT);
    assert_non_null(strstr(err.msg, "8192"));
    assert_null(f);
}

static void test_rounding_to_8_bits(void **state)
{
    static const float in[6] = {-1.0f, NAN, 2.0f, 0.498f, 127.5f / 255.0f, 1.0f};
    static const unsigned char want[6] = {0, 0, 255, 127, 128, 255};
    unsigned char out[6];
    kn_frame *f = test_flat_frame(2, 1, 0, 0, 0, 0);
    (void)state;
    memcpy(f->rgb, in, sizeof in);
    kn_frame_to_rgb8(f, out);
    assert_memory_equal(out, want, 6);
    kn_frame_unref(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_from_two_threads),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rounding_to_8_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
