/* Where a download grows and where it goes when it is whole:
 *
 *     MODELS/.partial/OWNER--NAME/      the files so far, as NAME.part or whole, and the list of what is wanted
 *     MODELS/.partial/OWNER--NAME.lock  held by who fetches
 *     MODELS/OWNER/NAME/                the model: moved here as a whole */
#ifndef KN_HUB_PLACE_H
#define KN_HUB_PLACE_H

#include "hub/manifest.h"

typedef struct kn_hub_place {
    char *partial, *old, *target;
    int lock_fd;
    json_t *installed; /* what the target's list says; NULL: there is no target */
} kn_hub_place;

/* Locks; file: NULL, or the single one that is fetched. KN_EBUSY. */
int kn_hub_place_open(kn_hub_place *p, const char *models_dir, const char *id, const char *file, kn_err *err);
void kn_hub_place_close(kn_hub_place *p); /* accepts one that failed to open */

/* Whether the target has all of it, each file with its size. */
bool kn_hub_place_has_all(const kn_hub_place *p, const kn_choices *c);
/* Removes what an earlier download has left that is not wanted any more, keeps the rest, takes what the target has already. */
int kn_hub_place_prepare(kn_hub_place *p, const char *id, const char *commit, const kn_choices *c,
                         kn_err *err);
/* Whether a file is there, whole; else how much of it. */
bool kn_hub_place_is_whole(const kn_hub_place *p, const kn_choice *c, uint64_t *ret_there);
/* KN_EIO: there is too little room for so many bytes more. */
int kn_hub_place_check_space(const kn_hub_place *p, uint64_t bytes, kn_err *err);
/* All is there: the partial folder becomes the target, or its file goes there. */
int kn_hub_place_install(kn_hub_place *p, const char *id, const char *commit, const kn_choices *c,
                         kn_err *err);

#endif
