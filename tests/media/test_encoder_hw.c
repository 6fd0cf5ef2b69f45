/* What of the way to hardware encoders needs no hardware: the layout of the frames, and how their absence is said. */
#include "media_test.h"

#include "media/encoder.h"
#include "media/encoder_hw.h"

static void test_interleaved(void **state)
{
    enum { W = 34, H = 18 };
    AVFrame *f, *nv12 = NULL;
    (void)state;
    assert_int_equal(kn_av_load(NULL), 0);
    f = av_frame_alloc();
    assert_non_null(f);
    f->format = AV_PIX_FMT_YUV420P;
    f->width = W;
    f->height = H;
    f->pts = 77;
    f->colorspace = AVCOL_SPC_BT709;
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? H / 2 : H); y++)
            for (int x = 0; x < (p ? W / 2 : W); x++)
                f->data[p][y * f->linesize[p] + x] = (uint8_t)(p * 80 + 3 * y + x);
    assert_int_equal(kn_hw_interleave(f, &nv12), 0);
    assert_int_equal(nv12->format, AV_PIX_FMT_NV12);
    assert_int_equal(nv12->pts, 77);
    assert_int_equal(nv12->colorspace, AVCOL_SPC_BT709);
    for (int y = 0; y < H; y++)
        assert_memory_equal(nv12->data[0] + y * nv12->linesize[0], f->data[0] + y * f->linesize[0], W);
    for (int y = 0; y < H / 2; y++)
        for (int x = 0; x < W / 2; x++)
            for (int c = 0; c < 2; c++)
                assert_int_equal(nv12->data[1][y * nv12->linesize[1] + 2 * x + c],
                                 f->data[1 + c][y * f->linesize[1 + c] + x]);
    av_frame_free(&nv12);
    av_frame_free(&f);
}

/* Each works, or says why it does not; nothing crashes and nothing waits. */
static void test_each_says_why_not(void **state)
{
    const kn_encoder_opts o = {.width = 256, .height = 256, .fps = {16, 1}, .crf = 18};
    const kn_codec *c;
    int n = 0;
    (void)state;
    for (int i = 0; (c = kn_codec_at(i)); i++) {
        kn_err err = {0};
        kn_encoder e = {0};
        if (!c->is_hardware)
            continue;
        int rc = kn_encoder_open(c, &o, &e, &err);
        print_message("%s: %s\n", c->name, rc ? err.msg : "works");
        if (rc) {
            assert_int_equal(rc, KN_EUNSUPPORTED);
            assert_true(*err.msg);
        }
        kn_encoder_close(&e);
        n++;
    }
    assert_int_equal(n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_each_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
