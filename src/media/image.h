/* Pictures: 8-bit RGB in memory, decoded by libav, resized exactly as PIL and torchvision do. */
#ifndef KN_MEDIA_IMAGE_H
#define KN_MEDIA_IMAGE_H

#include <stdint.h>

#include "base/err.h"

typedef struct kn_image {
    int width, height;
    uint8_t *rgb; /* [height, width, 3] */
} kn_image;

/* PNG, JPEG, WebP (still), BMP, TIFF, GIF (first frame); EXIF orientation applied.  As PIL's convert("RGB"): alpha is
 * dropped, not composited; of 16 bits the high byte is kept (also for grey, which PIL clips instead); JPEG within a
 * few levels, everything without loss exact.
 * KN_EFORMAT (damaged, truncated, not a picture), KN_EUNSUPPORTED, KN_ELIMIT (KN_LIMIT_IMAGE_PIXELS, before anything
 * is decoded), KN_ENOTFOUND, KN_EIO, KN_ENOMEM; the message begins with the path or `origin`. */
int kn_image_load(const char *path, kn_image *ret, kn_err *err);
int kn_image_load_memory(const void *data, size_t size, const char *origin, kn_image *ret, kn_err *err);
int kn_image_new(int width, int height, kn_image *ret, kn_err *err); /* black */
void kn_image_done(kn_image *im);
int kn_image_save_png(const kn_image *im, const char *path, kn_err *err); /* atomic */

typedef enum kn_filter { KN_FILTER_BILINEAR, KN_FILTER_BICUBIC, KN_FILTER_LANCZOS } kn_filter;
/* PIL's Image.resize on 8-bit RGB, bit for bit (Pillow 13): separable, antialiased, 8-bit intermediate. */
int kn_image_resize_pil(const kn_image *src, int width, int height, kn_filter f, kn_image *ret, kn_err *err);
/* torch's antialiased uint8 interpolation (bilinear, bicubic) as torchvision's resize uses it, bit for bit. */
int kn_image_resize_torch(const kn_image *src, int width, int height, kn_filter f, kn_image *ret,
                          kn_err *err);

/* All frames of a video file, an animated GIF, PNG or WebP, a still, or a folder of pictures (sorted by name, numbers as
 * numbers), as RGB; at most max_frames.  *ret_frames is a heap array of *ret_n images; *ret_fps (may be NULL) is 0 where
 * there is none (stills, folders).  Frames of a file have one size.
 * KN_EINVAL (max_frames not 1..KN_LIMIT_FRAMES), KN_ELIMIT (KN_LIMIT_VIDEO_SIDE, KN_LIMIT_CLIP_BYTES), and as above. */
int kn_video_load(const char *path, int max_frames, kn_image **ret_frames, int *ret_n, double *ret_fps,
                  kn_err *err);
void kn_images_free(kn_image *frames, int n);

#endif
