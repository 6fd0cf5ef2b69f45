/* What a picture file says of itself before anything is decoded: format, size, orientation, and whether it is whole.
 *
 * Own code rather than libav's: sizes must be known before an allocation, libav's answers on EXIF differ by version
 * and format, and its decoders accept pictures that end early. */
#ifndef KN_MEDIA_IMAGE_PROBE_H
#define KN_MEDIA_IMAGE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kn_image_format {
    KN_IMAGE_PNG,
    KN_IMAGE_JPEG,
    KN_IMAGE_WEBP,
    KN_IMAGE_BMP,
    KN_IMAGE_TIFF,
    KN_IMAGE_GIF,
    KN_IMAGE_FORMAT_COUNT
} kn_image_format;

typedef struct kn_image_probe {
    kn_image_format format;
    int64_t width, height; /* as stored, before the orientation is applied */
    int orientation;       /* EXIF tag 274: 1..8; 1 if the file has none */
    bool animated;         /* APNG or animated WebP; a GIF does not say */
} kn_image_probe;

/* NULL, or why these bytes are not a whole picture ("ends before its last byte", ...).  *ret is set on success. */
const char *kn_image_probe_bytes(const void *data, size_t size, kn_image_probe *ret);

/* "PNG" */
const char *kn_image_format_name(kn_image_format f);

#endif
