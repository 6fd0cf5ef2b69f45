/* Small pictures for lists. */
#ifndef KN_JOBS_THUMBNAIL_H
#define KN_JOBS_THUMBNAIL_H

#include "base/err.h"

/* rgb [height, width, 3] in 0..1 as a PNG whose longer side is at most KN_THUMBNAIL_SIDE; smaller ones stay. */
enum { KN_THUMBNAIL_SIDE = 320 };
int kn_thumbnail_save(int width, int height, const float *rgb, const char *path, kn_err *err);

#endif
