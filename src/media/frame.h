/* Frames: reference counted RGB pictures that move down the sink. */
#ifndef KN_MEDIA_FRAME_H
#define KN_MEDIA_FRAME_H

#include <stdint.h>

#include "base/err.h"

typedef struct kn_frame {
    int width, height;
    int64_t index; /* 0-based in the clip */
    float *rgb;    /* [height, width, 3], 0..1, sRGB */
    int refs;      /* atomic */
} kn_frame;

int kn_frame_new(int width, int height, int64_t index, kn_frame **ret, kn_err *err);
kn_frame *kn_frame_ref(kn_frame *f);
void kn_frame_unref(kn_frame *f);

/* round(255 x), ties to even as numpy rounds; values outside 0..1 (and NaN: 0) are clamped. */
void kn_rgb8_from_f32(const float *rgb, size_t n, unsigned char *dst);
/* The same of a frame's pixels: dst [height, width, 3]. */
void kn_frame_to_rgb8(const kn_frame *f, unsigned char *dst);

#endif
