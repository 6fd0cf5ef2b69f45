/* Sinks: where finished frames go.  put() may block (back-pressure); nothing exists under the final name until
 * commit() returned 0; abort leaves nothing behind. */
#ifndef KN_MEDIA_SINK_H
#define KN_MEDIA_SINK_H

#include "media/frame.h"

typedef struct kn_sink kn_sink;

typedef struct kn_sink_opts {
    int width, height;
    double fps;
    int64_t n_frames;    /* expected; 0 = unknown */
    const char *encoder; /* NULL = choose: libx264, then other H.264 encoders, then mpeg4 */
    int crf;             /* 0 = 18 */
} kn_sink_opts;

/* By what `path` says.  KN_EINVAL for a name it does not know, naming those it does.  Unwritable places fail here,
 * before any work.
 *
 * NAME.mp4: video without sound, BT.709 limited range yuv420p, index in front.  yuv420p has even sides: an odd width or
 *   height is made even by repeating the last column or row.
 * NAME.png: one picture; a second frame is KN_EINVAL.
 * FOLDER/ or an existing folder: frame_00000.png, frame_00001.png, ... and kinora.json (the metadata, or {}).
 *   - A folder that does not exist is written as FOLDER.part and renamed when complete.
 *   - In an existing one every frame is written as NAME.part and all are renamed at commit.  If it holds frame_NNNNN.png
 *     files they are replaced, and those beyond the new last frame removed, only if a kinora.json says that they are
 *     ours; without it they are someone's, and opening fails with KN_EINVAL.  Other files are never touched. */
int kn_sink_open(const char *path, const kn_sink_opts *opts, kn_sink **ret, kn_err *err);
/* Frames in order. Consumes f, also on failure. */
int kn_sink_put(kn_sink *s, kn_frame *f, kn_err *err);
/* Finishes the file; metadata_json (may be NULL) goes into the `comment` tag (MP4) or kinora.json (folder).
 * Frees the sink, also on failure. */
int kn_sink_commit(kn_sink *s, const char *metadata_json, kn_err *err);
void kn_sink_abort(kn_sink *s);                /* accepts NULL */
const char *kn_sink_encoder(const kn_sink *s); /* what is used: "libx264", "png" */
/* "", or one line for the user: that a lesser encoder is used, and why no better one. */
const char *kn_sink_note(const kn_sink *s);

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
