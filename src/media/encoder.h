/* One open encoder: frames in, packets out, whatever memory its hardware wants them in. */
#ifndef KN_MEDIA_ENCODER_H
#define KN_MEDIA_ENCODER_H

#include "base/err.h"
#include "media/codec.h"

typedef struct kn_encoder {
    const kn_codec *codec;
    AVCodecContext *ctx;
    int64_t n_sent;
} kn_encoder;

/* BT.709, 16..235 where it takes YUV.  A hardware encoder has encoded a frame before this returns 0.
 * KN_EUNSUPPORTED with the reason, KN_ENOMEM. */
int kn_encoder_open(const kn_codec *codec, const kn_encoder_opts *opts, kn_encoder *ret, kn_err *err);
void kn_encoder_close(kn_encoder *e); /* accepts a zeroed one */

/* An empty frame as kn_encoder_send wants it: yuv420p for all that take YUV (the rest is done there), else as the codec
 * takes it, with the colour's description. KN_ENOMEM. */
int kn_encoder_frame(const kn_encoder *e, AVFrame **ret, kn_err *err);
/* f NULL: that was all.  KN_EDEVICE if the encoder fails, KN_ENOMEM. */
int kn_encoder_send(kn_encoder *e, AVFrame *f, kn_err *err);
/* The next packet, or *ret_got = false: send more, or all have come. */
int kn_encoder_receive(kn_encoder *e, AVPacket *ret, bool *ret_got, kn_err *err);

/* Whether it really works: a frame of the size in opts goes through it. One that may hang is only looked for. */
int kn_encoder_try(const kn_codec *codec, const kn_encoder_opts *opts, kn_err *err);

#endif
