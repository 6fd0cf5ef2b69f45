/* A file of moving pictures opened for reading: libavformat with everything but plain local files switched off. */
#ifndef KN_MEDIA_READER_H
#define KN_MEDIA_READER_H

#include "media/av.h"
#include "base/err.h"

/* Finds the video stream. KN_ENOTFOUND, KN_EIO, KN_EFORMAT (no video in it), KN_ELIMIT (KN_LIMIT_VIDEO_SIDE). */
int kn_reader_open(const char *path, AVFormatContext **ret, AVStream **ret_stream, kn_err *err);

/* Frames a second as the file says; 0 if it does not. */
double kn_reader_fps(AVFormatContext *in, AVStream *st);

/* EXIF orientation of a stream's display matrix (telephones film sideways), 1 without. */
int kn_reader_orientation(const AVStream *st);

#endif
