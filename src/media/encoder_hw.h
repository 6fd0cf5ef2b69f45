/* Frames where hardware encoders want them. */
#ifndef KN_MEDIA_ENCODER_HW_H
#define KN_MEDIA_ENCODER_HW_H

#include "media/codec.h"

/* Gives a VA-API encoder its device and a pool of surfaces; before it is opened.  libav's error. */
int kn_hw_attach(AVCodecContext *ctx);
/* nv12 of a yuv420p frame; libav's error. */
int kn_hw_interleave(const AVFrame *planar, AVFrame **ret);
/* A surface of the encoder's pool with the picture of an nv12 frame; libav's error. */
int kn_hw_upload(AVCodecContext *ctx, const AVFrame *nv12, AVFrame **ret);

#endif
