/* A file in the making: NAME.part beside its place, and NAME.part.etag while it is not whole. It gets its name when its digest
 * is right. */
#ifndef KN_HUB_PART_H
#define KN_HUB_PART_H

#include "hub/choose.h"
#include "hub/transfer.h"

typedef struct kn_part {
    const kn_choice *choice;
    kn_transfer *transfer; /* whose sink this is */
    char *path, *part, *tag, *url;
    int fd;
    kn_digest *digest;
    uint64_t there_before; /* bytes of an earlier attempt, while they are read again */
    bool is_open;
} kn_part;

/* folder/AS is to become the file at url, which is taken over. Sets up the transfer. */
int kn_part_init(kn_part *p, const kn_choice *choice, const char *folder, char *take_url, kn_transfer *t,
                 kn_err *err);
void kn_part_done(kn_part *p); /* what is on the disk stays */

#endif
