/* Kinds of files that a video can be asked for as. */
#ifndef KN_MEDIA_FORMAT_H
#define KN_MEDIA_FORMAT_H

/* X(name, media type). The names are the endings that sinks know (media/sink.h); the first is what is made where nothing is asked
 * for. */
#define KN_VIDEO_FORMAT_LIST(X)                                                                              \
    X("mp4", "video/mp4")                                                                                    \
    X("webm", "video/webm")                                                                                  \
    X("gif", "image/gif")                                                                                    \
    X("webp", "image/webp")

#define KN_VIDEO_FORMAT_DEFAULT "mp4"
/* A folder of pictures, which takes a video's place where no encoder works, goes over the network as one file. */
#define KN_FRAMES_SUFFIX "_frames"
#define KN_FRAMES_TYPE   "application/zip"

/* The media type of a video by its file's name: one of the list, or KN_FRAMES_TYPE of a name without an ending; NULL: another. */
const char *kn_video_type(const char *path);

#endif
