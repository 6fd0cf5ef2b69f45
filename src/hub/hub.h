/* Models from Hugging Face, or what speaks as it does: search, details, download.
 *
 * Everything that comes over the network is hostile: names, sizes, lengths and redirects are checked, every file by its digest,
 * and a model appears under its name only when it is whole. What was fetched before an interruption is kept and gone on from. */
#ifndef KN_HUB_HUB_H
#define KN_HUB_HUB_H

#include <stdatomic.h>

#include "base/json.h"

#define KN_HUB_ENDPOINT "https://huggingface.co"

/* How patient a transfer is. 0: what is right for a real network; tests are less patient. */
typedef struct kn_hub_patience {
    int connect_ms;      /* 0: 30,000 */
    int stall_ms;        /* 0: 30,000; in which fewer than stall_bytes came */
    int64_t stall_bytes; /* 0: 30,000 */
    int n_tries;         /* 0: 6; in a row, without having got on by gain_bytes */
    int64_t gain_bytes;  /* 0: 1 MiB */
    int backoff_ms;      /* 0: 1,000; doubles with each try */
    int backoff_max_ms;  /* 0: 60,000 */
    int wait_max_ms;     /* 0: 300,000; a server that wants to be left alone for longer is given up */
    int progress_ms;     /* 0: 200; between two reports */
} kn_hub_patience;

typedef struct kn_hub_config {
    const char *endpoint; /* NULL: $HF_ENDPOINT, else KN_HUB_ENDPOINT */
    const char *token;    /* NULL: none. Goes to the endpoint's own host only, and into no message. */
    kn_hub_patience patience;
} kn_hub_config;

/* $HF_TOKEN, or NULL. */
const char *kn_hub_env_token(void);
/* "owner/name", as Hugging Face allows them. KN_EINVAL. */
int kn_hub_check_id(const char *id, kn_err *err);
/* An address that can be an endpoint: http or https, a host, no user and no question. KN_EINVAL. */
int kn_hub_check_endpoint(const char *url, kn_err *err);

typedef enum kn_hub_phase {
    KN_HUB_ASKING,   /* what there is */
    KN_HUB_CHECKING, /* what is there from before */
    KN_HUB_FETCHING,
    KN_HUB_FINISHING,
} kn_hub_phase;

const char *kn_hub_phase_name(kn_hub_phase p); /* "asking" */

typedef struct kn_hub_progress {
    kn_hub_phase phase;
    uint64_t done_bytes, total_bytes; /* what was there from before included */
    int n_done, n_files;
    double rate;      /* bytes a second of the last seconds; 0: not known */
    double eta_s;     /* negative: not known */
    const char *file; /* one that is being fetched; "" if there is none */
} kn_hub_progress;

typedef struct kn_hub_pull_opts {
    const char *id;
    const char *revision;      /* branch, tag or commit; NULL: main */
    const char *file;          /* this one only; NULL: the pipeline */
    const char *variant;       /* "fp16"; NULL: the weights without one, where there are such */
    const char *models_dir;    /* the model comes to models_dir/OWNER/NAME; made if missing */
    const atomic_bool *cancel; /* may be NULL */
    void (*progress)(void *ud, const kn_hub_progress *p); /* may be NULL */
    void (*note)(void *ud, const char *text); /* "FILE: the server says 503, again in 2 s"; may be NULL */
    void *ud;
} kn_hub_pull_opts;

typedef struct kn_hub_pulled {
    char *path;        /* heap: the model's folder, or the one file */
    char revision[65]; /* the commit */
    bool was_there;    /* nothing had to be fetched */
    uint64_t bytes;
    int n_files;
} kn_hub_pulled;

/* Fetches a model. KN_EBUSY: another process fetches it, or what lies there was not fetched by Kinora. KN_ECANCELLED: what was
 * fetched is kept. KN_ENOTFOUND: no such repository, revision, file or variant. KN_EINVAL: it wants a token, or its terms accepted.
 * KN_EUNSUPPORTED: pickled weights only. KN_EFORMAT: the server lied. KN_EIO: network or disk. */
int kn_hub_pull(const kn_hub_config *c, const kn_hub_pull_opts *opts, kn_hub_pulled *ret, kn_err *err);
/* Forgets what an unfinished download of this model has left. KN_EBUSY: it is running. */
int kn_hub_forget(const char *models_dir, const char *id, kn_err *err);

typedef struct kn_hub_query {
    const char *text;   /* NULL: anything */
    const char *task;   /* "t2v", "i2v", or Hugging Face's own ("text-to-video"); NULL: any */
    const char *sort;   /* "downloads", "likes", "updated", "created"; NULL: downloads */
    const char *cursor; /* "next" of the page before; NULL: the first */
    int limit;          /* 1..KN_LIMIT_HUB_RESULTS */
} kn_hub_query;

/* {"models": [{"id", "author", "downloads", "likes", "updated_at", "created_at", "pipeline_tag", "library", "class", "gated",
 * "tags"}], "next": cursor or null}. */
int kn_hub_search(const kn_hub_config *c, const kn_hub_query *q, const atomic_bool *cancel, json_t **ret,
                  kn_err *err);
/* That of one model, and "revision" (the commit), "size_bytes" (of everything), "pull": {"files", "size_bytes"} of what would be
 * fetched or null, "why_not": text or null, "variants": [...], "files": [{"path", "size_bytes", "wanted"}]. */
int kn_hub_model(const kn_hub_config *c, const char *id, const char *revision, const char *variant,
                 const atomic_bool *cancel, json_t **ret, kn_err *err);

#endif
