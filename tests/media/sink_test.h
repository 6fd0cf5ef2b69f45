/* Opening and feeding sinks in tests. */
#ifndef KN_TESTS_MEDIA_SINK_TEST_H
#define KN_TESTS_MEDIA_SINK_TEST_H

#include "media_test.h"

#include "media/sink.h"

static const kn_sink_opts OPTS = {.width = 64, .height = 48, .fps = 16.0, .n_frames = 0};

static inline kn_sink *open_sink(const char *path, const kn_sink_opts *opts)
{
    kn_sink *s = NULL;
    kn_err err = {0};
    assert_ok(kn_sink_open(path, opts, &s, &err));
    return s;
}

static inline void put_flat(kn_sink *s, const kn_sink_opts *o, int n, float r, float g, float b)
{
    kn_err err = {0};
    for (int i = 0; i < n; i++)
        assert_ok(kn_sink_put(s, test_flat_frame(o->width, o->height, i, r, g, b), &err));
}

static inline void check_flat(const kn_image *im, const float rgb[3], int tolerance)
{
    for (int y = 0; y < im->height; y++)
        for (int x = 0; x < im->width; x++)
            for (int c = 0; c < 3; c++) {
                int got = test_pixel(im, x, y)[c], want = (int)lrintf(rgb[c] * 255.0f);
                if (abs(got - want) > tolerance)
                    fail_msg("pixel (%d, %d) channel %d is %d, not %d", x, y, c, got, want);
            }
}

static inline void check_open_fails(const char *path, const kn_sink_opts *o, int code, const char *says)
{
    kn_sink *s = NULL;
    kn_err err = {0};
    assert_int_equal(kn_sink_open(path, o, &s, &err), code);
    assert_null(s);
    if (!strstr(err.msg, says))
        fail_msg("the message says \"%s\", not \"%s\"", err.msg, says);
}

#endif
