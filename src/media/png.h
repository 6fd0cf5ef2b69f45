/* PNG bytes of a picture. */
#ifndef KN_MEDIA_PNG_H
#define KN_MEDIA_PNG_H

#include <stddef.h>

#include "media/image.h"

/* 8-bit RGB, heap. KN_ENOMEM, KN_EUNSUPPORTED (libavcodec without a PNG encoder), KN_ELIMIT. */
int kn_png_encode(const kn_image *im, void **ret_data, size_t *ret_size, kn_err *err);

#endif
