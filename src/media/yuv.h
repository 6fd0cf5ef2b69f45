/* YUV to RGB and back, own code: swscale takes the nearest chroma line when it does not scale, drifts at odd widths,
 * and gives other values in other versions. */
#ifndef KN_MEDIA_YUV_H
#define KN_MEDIA_YUV_H

#include <stdbool.h>

#include "media/av.h"
#include "media/frame.h"
#include "media/image.h"

/* True for 8-bit planar YUV (alpha is ignored), the only kind that kn_yuv_to_rgb8 reads. */
bool kn_yuv_is_planar8(const AVPixFmtDescriptor *desc);

/* Converts as libjpeg does: chroma interpolated linearly (halved directions; further reduced ones are repeated), then
 * the matrix of frame->colorspace (BT.601 if it names none or one that is not linear).
 * full: Y and chroma count 0..255, else 16..235 and 16..240.  center: chroma lies between two pixels of a row, else on
 * the left one.  im has the frame's size. KN_ENOMEM. */
int kn_yuv_to_rgb8(const AVFrame *frame, const AVPixFmtDescriptor *desc, bool full, bool center, kn_image *im,
                   kn_err *err);

/* BT.709, 16..235, chroma on the left pixel of each pair and between two lines (H.264's default), from the float
 * values clamped to 0..1.  dst is yuv420p, of the frame's size rounded up to even by repeating the last column and
 * row.  work holds 2 * dst->width floats. */
void kn_frame_to_yuv420(const kn_frame *f, AVFrame *dst, float *work);

#endif
