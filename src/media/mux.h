/* A file that libav writes: one encoder, one stream, NAME.part until it is whole. */
#ifndef KN_MEDIA_MUX_H
#define KN_MEDIA_MUX_H

#include "media/chain.h"

typedef struct kn_mux {
    char *path, *part;
    kn_encoder enc;
    AVFormatContext *out;
    AVStream *stream;
    AVPacket *packet;
    int64_t fault_frame; /* 0: none */
    bool part_exists;
    bool is_growing; /* in fragments, which can be played while more follow */
    bool must_end;   /* the muxer keeps a packet that only its trailer frees */
} kn_mux;

/* Opens the part file, then an encoder of the container.  fps as it is to be written. */
int kn_mux_open(kn_mux *m, kn_container container, const char *path, const kn_sink_opts *opts, AVRational fps,
                kn_attempts *tried, kn_err *err);
/* Consumes f (kn_encoder_frame), also on failure. KN_EDEVICE: the encoder failed; KN_EIO: the disk did. */
int kn_mux_write(kn_mux *m, AVFrame *f, kn_err *err);
/* Writes what the encoder still has, the comment (may be NULL; MP4 only takes one as late as this) and the trailer. */
int kn_mux_end(kn_mux *m, const char *comment, kn_err *err);
/* Gives the file its name. */
int kn_mux_commit(kn_mux *m, kn_err *err);
/* Frees, and removes the part file if it has not got its name. */
void kn_mux_close(kn_mux *m);

/* Sides rounded up to even where `even`; crf 0 becomes the default. */
kn_encoder_opts kn_mux_encoder_opts(const kn_sink_opts *opts, AVRational fps, bool even);
/* The clip's frame rate as a fraction whose terms every container can store. */
AVRational kn_mux_fps(double fps);

/* Copies a finished file's packets into a new one of the same kind, whole and with a comment (may be NULL): Matroska wants it in
 * front, and an MP4 that grew becomes one that every program seeks in. */
int kn_mux_copy(const char *from, const char *to, const char *format, const char *comment, kn_err *err);

#endif
