/* Sinks: where finished frames go.  put() may block (back-pressure); nothing exists under the final name until
 * commit() returned 0; abort leaves nothing behind. */
#ifndef KN_MEDIA_SINK_H
#define KN_MEDIA_SINK_H

#include <stdbool.h>

#include "media/frame.h"

typedef struct kn_sink kn_sink;

/* An encoder that is not to be relied on: it failed earlier in this job, or a test wants to see what happens then. */
typedef struct kn_sink_fault {
    const char *encoder;
    int64_t frame;      /* 0: is not opened; n: fails at its n-th frame, or at the end if there are fewer */
    const char *reason; /* why it is not opened; may be NULL */
} kn_sink_fault;

typedef struct kn_sink_opts {
    int width, height;
    double fps;
    int64_t n_frames;    /* expected; 0 = unknown */
    const char *encoder; /* NULL = choose: the best that works; a given one must work */
    int crf;             /* 0 = 18 */
    bool no_software;    /* MP4 by hardware only; GIF or pictures if there is none */
    const kn_sink_fault *faults;
    int n_faults;
    bool growing; /* NAME.mp4.part can be played while it is written */
} kn_sink_opts;

/* What was tried, in order. */
typedef struct kn_sink_attempt {
    char name[32];
    bool ok;
    char reason[160]; /* "" if ok */
} kn_sink_attempt;
enum { KN_SINK_ATTEMPTS = 32 };

/* By what `path` says.  KN_EINVAL for a name it does not know, naming those it does.  Unwritable places fail here,
 * before any work.
 *
 * NAME.mp4: video without sound, BT.709 limited range yuv420p, index in front.  yuv420p has even sides: an odd width or
 *   height is made even by repeating the last column or row.  H.264 by hardware (each encoder proves itself on a frame),
 *   then by software, then what else MP4 holds.
 * NAME.webm: the same pixels as VP9 or AV1.
 * NAME.gif: 256 colours, at most 50 frames a second (more are shown at 50).  NAME.webp: animated, lossy.
 * NAME.png: one picture; a second frame is KN_EINVAL.
 * FOLDER/ or an existing folder: frame_00000.png, frame_00001.png, ... and kinora.json (the metadata, or {}).
 *   - A folder that does not exist is written as FOLDER.part and renamed when complete.
 *   - In an existing one every frame is written as NAME.part and all are renamed at commit.  If it holds frame_NNNNN.png
 *     files they are replaced, and those beyond the new last frame removed, only if a kinora.json says that they are
 *     ours; without it they are someone's, and opening fails with KN_EINVAL.  Other files are never touched.
 *
 * Where no encoder of the kind works and none was named, the next kind takes its place under a name that is free beside
 * `path`: WebM as MP4, then MP4 and WebP as GIF, then all as a folder of PNG (NAME_frames).  kn_sink_path says where. */
int kn_sink_open(const char *path, const kn_sink_opts *opts, kn_sink **ret, kn_err *err);
/* Frames in order. Consumes f, also on failure.  KN_EDEVICE (also of commit): the encoder failed, and another may do. */
int kn_sink_put(kn_sink *s, kn_frame *f, kn_err *err);
/* Finishes the file; metadata_json (may be NULL) goes into the `comment` tag (MP4, WebM), a comment block (GIF), XMP
 * (WebP) or kinora.json (folder).  Frees the sink, also on failure. */
int kn_sink_commit(kn_sink *s, const char *metadata_json, kn_err *err);
void kn_sink_abort(kn_sink *s);                /* accepts NULL */
const char *kn_sink_encoder(const kn_sink *s); /* what is used: "libx264", "png" */
const char *kn_sink_path(const kn_sink *s);    /* what is written: the path given, or one beside it */
const kn_sink_attempt *kn_sink_attempts(const kn_sink *s, int *ret_n);
/* "", or one line for the user: that a lesser encoder or another kind of file is used, and why. */
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

/* Encoders for doctor, in the order they are tried: calls fn for each with "" if it really encodes, else why it does not,
 * and what it writes ("MP4", "WebM, MP4"). */
void kn_media_encoders(void (*fn)(void *ud, const char *name, const char *writes, const char *why_not),
                       void *ud);
const char *kn_media_versions(char *buf, unsigned long size); /* "libavcodec 59.37.100, ..." */

#endif
