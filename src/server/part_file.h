/* A file that comes in over the net: unique, for the user alone, gone unless somebody renames it. */
#ifndef KN_SERVER_PART_FILE_H
#define KN_SERVER_PART_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct kn_part_file {
    char *path; /* heap; NULL: none */
    int fd;
    uint64_t size;
} kn_part_file;

/* expected: bytes that are to come, as far as the client said; KN_ELIMIT without room for them. KN_EIO. */
int kn_part_file_open(kn_part_file *f, const char *dir, uint64_t expected, kn_err *err);
/* KN_ELIMIT: more than KN_LIMIT_UPLOAD_BYTES, or the disk is full (*ret_is_full). */
int kn_part_file_write(kn_part_file *f, const void *data, size_t size, bool *ret_is_full, kn_err *err);
int kn_part_file_close(kn_part_file *f, bool *ret_is_full, kn_err *err); /* the path stays */
void kn_part_file_done(kn_part_file *f);                                 /* removes what was not renamed */

/* Removes what a server that died left in the folder. */
void kn_part_file_sweep(const char *dir);

#endif
