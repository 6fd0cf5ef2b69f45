/* Downloads of models: a line of them, fetched one after the other by a thread.  The list is kept in the queue's database: what
 * waited or ran when the server ended goes on when it is started again, from where it was. */
#ifndef KN_SERVER_DOWNLOADS_H
#define KN_SERVER_DOWNLOADS_H

#include "hub/hub.h"
#include "jobs/queue.h"

typedef struct kn_downloads kn_downloads;

typedef struct kn_downloads_opts {
    const char *models_dir; /* borrowed */
    kn_queue *queue;        /* keeps the list, and the settings with endpoint and token */
    kn_hub_patience patience;
    bool is_idle; /* nothing is fetched: they only wait in line */
    /* A download has changed or got on; borrowed. From any thread, in order; must not call this back, or wait. May be NULL. */
    void (*changed)(void *ud, const char *id, const json_t *download);
    void (*log)(void *ud, const char *line); /* may be NULL */
    void *ud;
} kn_downloads_opts;

int kn_downloads_start(const kn_downloads_opts *opts, kn_downloads **ret, kn_err *err);
/* What runs stops at once and is in line again. Accepts NULL. */
void kn_downloads_stop(kn_downloads *d);

typedef struct kn_download_spec {
    const char *model;                     /* "OWNER/NAME" */
    const char *revision, *file, *variant; /* may be NULL */
} kn_download_spec;

/* A download: {"id": "dl_...", "model", "revision", "file", "variant", "state": "queued|running|completed|failed|cancelled", "phase",
 * "done_bytes", "total_bytes", "done_files", "total_files", "bytes_per_s", "eta_s", "note", "error": {"code", "message"} or null,
 * "path", "commit", "was_there", "created_at", "started_at", "finished_at"}; what is not known is null. Every *ret is a new reference and may not
 * be NULL. KN_ENOTFOUND: no download has this id. */

/* KN_EINVAL: no model's name. KN_EBUSY: it is fetched already, or too many wait. */
int kn_downloads_add(kn_downloads *d, const kn_download_spec *spec, json_t **ret, kn_err *err);
int kn_downloads_get(kn_downloads *d, const char *id, json_t **ret, kn_err *err);
json_t *kn_downloads_list(kn_downloads *d); /* newest first; NULL without memory */
/* At once; what was fetched is kept for the next time. Of an ended one: no change. */
int kn_downloads_cancel(kn_downloads *d, const char *id, json_t **ret, kn_err *err);
/* Failed or cancelled: in line again. KN_EBUSY. */
int kn_downloads_retry(kn_downloads *d, const char *id, json_t **ret, kn_err *err);
/* Takes an ended one off the list, with what it has left unfinished. KN_EBUSY: it waits or runs. */
int kn_downloads_forget(kn_downloads *d, const char *id, kn_err *err);
/* Whether one that waits or runs writes to this model ("OWNER/NAME"). */
bool kn_downloads_use(kn_downloads *d, const char *model);

/* Where to fetch from and with which token; borrows from settings. A token of the environment goes to the endpoint of the
 * environment only: who may set another endpoint does not get it. */
kn_hub_config kn_hub_config_of(const json_t *settings);

#endif
