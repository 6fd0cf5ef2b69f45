/* WebP files (RIFF): what an animation holds, and a place for text in one.  FFmpeg before 7.2 reads no animation. */
#ifndef KN_MEDIA_WEBP_H
#define KN_MEDIA_WEBP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/image.h"

typedef struct kn_webp_info {
    int width, height;
    bool animated, lossless;
    int64_t n_frames, duration_ms; /* of a still: 1, 0 */
    char *comment;                 /* heap; what kn_webp_with_comment put in, or NULL */
} kn_webp_info;

/* KN_EFORMAT, KN_ELIMIT (KN_LIMIT_VIDEO_SIDE), KN_ENOMEM; the message begins with `origin`. */
int kn_webp_info_read(const void *data, size_t size, const char *origin, kn_webp_info *ret, kn_err *err);

/* The file with the text inside (XMP, dc:description), heap.  size: of the picture, needed where the file is the short
 * form of a still.  KN_EFORMAT, KN_ENOMEM, KN_ELIMIT (RIFF holds 4 GB). */
int kn_webp_with_comment(const void *data, size_t size, int width, int height, const char *text,
                         unsigned char **ret, size_t *ret_size, kn_err *err);

/* An animation played frame by frame on its canvas. */
typedef struct kn_webp_anim kn_webp_anim;
/* data must outlive it. */
int kn_webp_anim_open(const void *data, size_t size, const char *origin, kn_webp_anim **ret, kn_err *err);
/* The next picture, RGB; *ret_end = true and no picture after the last. */
int kn_webp_anim_next(kn_webp_anim *a, kn_image *ret, bool *ret_end, kn_err *err);
void kn_webp_anim_close(kn_webp_anim *a); /* accepts NULL */

#endif
