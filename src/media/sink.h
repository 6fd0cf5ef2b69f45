/* Sinks: where finished frames go.  put() may block (back-pressure); nothing exists under the final name until
 * commit() returned 0; abort leaves nothing behind. */
#ifndef KN_MEDIA_SINK_H
#define KN_MEDIA_SINK_H

#include "media/frame.h"

typedef struct kn_sink kn_sink;

typedef struct kn_sink_opts {
    int width, height;
    double fps;
    int64_t n_frames;     /* expected; 0 = unknown */
    const char *encoder;  /* NULL = choose: libx264, then other H.264 encoders, then mpeg4 */
    int crf;              /* 0 = 18 */
} kn_sink_opts;

/* By what `path` says: *.mp4, *.png or an existing/`/`-ended folder (PNG frames `frame_00000.png`).
 * KN_EINVAL for an extension it does not know, naming those it does. Unwritable places fail here, before any work. */
int kn_sink_open(const char *path, const kn_sink_opts *opts, kn_sink **ret, kn_err *err);
/* Frames in order. Consumes f, also on failure. */
int kn_sink_put(kn_sink *s, kn_frame *f, kn_err *err);
/* Finishes the file; metadata_json (may be NULL) goes into the `comment` tag. Frees the sink, also on failure. */
int kn_sink_commit(kn_sink *s, const char *metadata_json, kn_err *err);
void kn_sink_abort(kn_sink *s); /* accepts NULL */
const char *kn_sink_encoder(const kn_sink *s); /* what is used: "libx264", "png" */

/* What a finished file says of itself. */
typedef struct kn_media_info {
    int width, height;
    double fps, duration_s;
    int64_t n_frames;
    char codec[32], pixel_format[32], container[32];
    char *comment; /* heap; our JSON, or NULL */
} kn_media_info;
int kn_media_info_read(const char *path, kn_media_info *ret, kn_err *err);
void kn_media_info_done(kn_media_info *info);

/* Encoders of this build for doctor: calls fn for each of interest with whether it opens. */
void kn_media_encoders(void (*fn)(void *ud, const char *name, int available), void *ud);
const char *kn_media_versions(char *buf, unsigned long size); /* "libavcodec 59.37.100, ..." */

#endif
