/* A kind of sink: where frames go once the queue hands them over.  Files: sink_video.c (MP4, WebM),
 * sink_gif.c, sink_webp.c, sink_png.c. */
#ifndef KN_MEDIA_SINK_DRIVER_H
#define KN_MEDIA_SINK_DRIVER_H

#include "media/chain.h"

/* Order of calls: open, write*, [finish], close.  write runs on the encoding thread, the others on the caller's,
 * never at the same time. */
typedef struct kn_sink_driver {
    size_t priv_size; /* zeroed before open */
    /* Notes in *tried what it tries.  KN_EUNSUPPORTED: no encoder works. */
    int (*open)(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err);
    int (*write)(void *priv, const kn_frame *f, kn_err *err);
    /* All frames are in: gives the file its name.  json may be NULL. */
    int (*finish)(void *priv, const char *json, kn_err *err);
    /* Frees; removes what has not got its final name.  Also after a failed open. */
    void (*close)(void *priv);
    const char *(*encoder)(const void *priv);
} kn_sink_driver;

/* Browsers show frames of less than two hundredths of a second at ten a second. */
enum { KN_GIF_MAX_FPS = 50 };

extern const kn_sink_driver kn_sink_driver_mp4;
extern const kn_sink_driver kn_sink_driver_webm;
extern const kn_sink_driver kn_sink_driver_gif;
extern const kn_sink_driver kn_sink_driver_webp;
extern const kn_sink_driver kn_sink_driver_png;  /* one picture */
extern const kn_sink_driver kn_sink_driver_pngs; /* a folder of them */

#endif
