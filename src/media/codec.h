/* The encoders Kinora knows: what each can be put into, in order of preference, and how it is set up. */
#ifndef KN_MEDIA_CODEC_H
#define KN_MEDIA_CODEC_H

#include <stdbool.h>

#include "media/av.h"

typedef enum kn_container {
    KN_CONTAINER_MP4 = 1,
    KN_CONTAINER_WEBM = 2,
    KN_CONTAINER_GIF = 4,
    KN_CONTAINER_WEBP = 8,
    KN_CONTAINER_PNG = 16,
} kn_container;

typedef struct kn_encoder_opts {
    int width, height; /* even for all that take YUV */
    AVRational fps;
    int crf;            /* x264's scale, 0..51; others get the nearest they have */
    bool global_header; /* the container keeps the codec's headers */
} kn_encoder_opts;

typedef struct kn_codec {
    const char *name;         /* libav's */
    unsigned containers;      /* kn_container bits */
    bool is_hardware;         /* being there says nothing: it must prove itself on a frame */
    bool needs_a_frame;       /* hangs when it is closed without ever having had one */
    enum AVPixelFormat takes; /* yuv420p, nv12, vaapi, rgb32, pal8 */
    void (*setup)(AVCodecContext *ctx, const kn_encoder_opts *o);
    const char *warning; /* what is lesser about it, or "" */
} kn_codec;

/* In order of preference within each container; NULL after the last. */
const kn_codec *kn_codec_at(int i);
const kn_codec *kn_codec_find(const char *name); /* NULL: unknown */
/* "MP4" */
const char *kn_container_name(kn_container c);

#endif
