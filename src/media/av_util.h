/* What everything here needs of libav: errors as ours, and any decoded frame as 8-bit RGB. */
#ifndef KN_MEDIA_AV_UTIL_H
#define KN_MEDIA_AV_UTIL_H

#include <stdbool.h>

#include "media/av.h"
#include "base/err.h"
#include "media/image.h"

/* Fails with libav's reason appended: "<message>: Invalid data found ...".  Out of memory is KN_ENOMEM, system errors
 * (disk full, ...) KN_EIO, all else `code`. */
int kn_av_fail(kn_err *err, int code, int averror, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* How a frame that does not say so itself is to be read. */
typedef struct kn_av_color {
    bool full_range; /* JPEG: 0..255; video: 16..235 */
    bool center;     /* chroma lies between the pixels (JPEG), else on the left ones (MPEG-2 and later) */
} kn_av_color;

/* Alpha is dropped, not composited; samples of more than 8 bits lose their low bits, as PIL reads them; YUV goes
 * through the matrix the frame names, BT.601 if it names none. */
int kn_av_frame_to_rgb(const AVFrame *frame, kn_av_color dflt, kn_image *ret, kn_err *err);

/* EXIF orientation (1..8) of a display matrix (libavutil/display.h); 1 for anything but quarter turns and mirrors. */
int kn_av_orientation(const int32_t *matrix);

/* Turns and mirrors *im so that it is seen as EXIF orientation 1..8 says. */
int kn_image_orient(kn_image *im, int orientation, kn_err *err);

#endif
