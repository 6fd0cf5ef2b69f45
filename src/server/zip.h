/* A folder's files as one ZIP, made while it is read: stored, not packed, as pictures are packed already, so that its size is known
 * before. Large ones are ZIP64. */
#ifndef KN_SERVER_ZIP_H
#define KN_SERVER_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct kn_zip kn_zip;

/* The files whose names `is_wanted` takes, in the order of their names, below the folder's own name. KN_ENOTFOUND: there is no such
 * folder, or none of them in it. KN_ELIMIT: more than KN_LIMIT_ZIP_FILES, or one is too large for the format. */
int kn_zip_open(const char *folder, bool (*is_wanted)(const char *name), kn_zip **ret, kn_err *err);
void kn_zip_close(kn_zip *z); /* accepts NULL */
uint64_t kn_zip_size(const kn_zip *z);
/* The next bytes, at most n; 0: that was all. KN_EIO: a file is not what it was. */
int kn_zip_read(kn_zip *z, void *buf, size_t n, size_t *ret_n, kn_err *err);
/* CRC-32 of the bytes before (0: none) and these. */
uint32_t kn_zip_crc(uint32_t crc, const void *data, size_t size);

#endif
