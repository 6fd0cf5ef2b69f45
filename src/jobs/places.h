/* Where the studio keeps its files: one folder, and what of it belongs to which job. */
#ifndef KN_JOBS_PLACES_H
#define KN_JOBS_PLACES_H

#include <stdbool.h>

#include "base/json.h"

typedef struct kn_places {
    char *data;                  /* all below is in it, unless said otherwise */
    char *outputs;               /* ID.mp4 and the like (media/format.h); ID_frames where no encoder works */
    char *thumbnails, *previews; /* ID.png */
    char *uploads;               /* upl_....EXT */
    char *state;                 /* ID/: what an interrupted job goes on from */
    char *models;                /* what requests may name; may lie elsewhere */
    char *cache;                 /* what can be made again (kn_dir_cache) */
} kn_places;

/* Makes the folders that are missing. */
int kn_places_open(kn_places *p, const char *data, kn_err *err);
/* Another folder of models than data/models. KN_ENOTFOUND. */
int kn_places_use_models(kn_places *p, const char *models, kn_err *err);
void kn_places_close(kn_places *p);

/* Heap; NULL without memory. `folder` is one of the above. */
char *kn_place_of(const char *folder, const char *id, const char *suffix);
/* What a job's worker is to write: heap; NULL without memory. */
char *kn_places_wanted(const kn_places *p, const char *job_id, const json_t *request);
/* What it wrote, which may be of another kind; where there is nothing, an MP4. Heap; NULL without memory. */
char *kn_places_output(const kn_places *p, const char *job_id);
/* Whether a name has only the letters, digits, '_', '-' and '.' of our own names, and begins with a letter or digit. */
bool kn_place_name_is_plain(const char *name);

/* A request as a client gave it, with every file where it lies: "upl_..." and "job_..." (its video) by their ids, LoRAs, models
 * and the like relative to the models folder. KN_EINVAL: leads elsewhere, or a parameter that clients may not set; the
 * message begins with the parameter's name. KN_ENOTFOUND. */
int kn_places_resolve(const kn_places *p, const json_t *request, json_t **ret, kn_err *err);
/* What of the studio's own folders was removed since kn_places_open is made again. */
int kn_places_mend(const kn_places *p, kn_err *err);
/* Whether a parameter takes the id of an upload, or of a job. */
bool kn_place_is_media(const char *param);
/* Videos of attempts that the queue never heard of: before a job is run, as the next one may be of another kind. */
void kn_places_drop_outputs(const kn_places *p, const char *job_id);
/* What a job leaves while it runs: part files, preview, state. */
void kn_places_sweep(const kn_places *p, const char *job_id);
/* That, and the thumbnail of a video that will not be. */
void kn_places_drop(const kn_places *p, const char *job_id);
/* The same without the state: where it failed for want of memory or of room on the disk, another attempt goes on there. */
void kn_places_drop_files(const kn_places *p, const char *job_id);

#endif
