/* A still picture's bytes as libav decodes them. */
#ifndef KN_MEDIA_IMAGE_DECODE_H
#define KN_MEDIA_IMAGE_DECODE_H

#include "media/av.h"
#include "media/av_util.h"
#include "media/image_probe.h"

/* Checked against what the file says of itself; errors as of kn_image_load. */
int kn_image_decode(const void *data, size_t size, const char *origin, kn_image_probe *ret_probe,
                    AVFrame **ret, kn_err *err);
/* How the pixels of a format are to be read where they do not say so. */
kn_av_color kn_image_color(kn_image_format f);

#endif
