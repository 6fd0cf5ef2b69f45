/* The video encoders an MP4 may hold, in order of preference, and how each is set up. */
#ifndef KN_MEDIA_ENCODER_H
#define KN_MEDIA_ENCODER_H

#include <stdbool.h>

#include "media/av.h"
#include "base/err.h"

typedef struct kn_encoder_opts {
    int width, height; /* even */
    AVRational fps;
    int crf;            /* x264's scale, 0..51; others get the nearest they have */
    bool global_header; /* the container keeps the codec's headers */
} kn_encoder_opts;

/* name NULL: the first of the list that opens; *ret_note (size KN_ENCODER_NOTE) then says why not an earlier one, or "".
 * A given name must open.  BT.709, 16..235, yuv420p. KN_EUNSUPPORTED names what was tried. */
enum { KN_ENCODER_NOTE = 256 };
int kn_encoder_open(const char *name, const kn_encoder_opts *opts, AVCodecContext **ret, char *ret_note,
                    kn_err *err);

/* NULL after the last. */
const char *kn_encoder_name(int i);

#endif
