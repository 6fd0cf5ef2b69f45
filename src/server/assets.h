/* The page's files, made by the build from web/ and part of the program. */
#ifndef KN_SERVER_ASSETS_H
#define KN_SERVER_ASSETS_H

#include <stddef.h>

typedef struct kn_asset {
    const char *path; /* "/app.js"; "/" is the page */
    const char *type; /* "text/javascript; charset=utf-8" */
    const unsigned char *data;
    size_t size;
    const char *etag; /* with its quotes */
} kn_asset;

extern const kn_asset kn_web_assets[]; /* gzipped; ends with path NULL */

#endif
