/* Several transfers at a time, in the thread that asks for them, until all are there or one cannot be had. */
#ifndef KN_HUB_FETCH_H
#define KN_HUB_FETCH_H

#include "base/mem.h"
#include "hub/transfer.h"

typedef struct kn_fetch_opts {
    const kn_hub_config *config; /* its endpoint is set */
    const atomic_bool *cancel;   /* may be NULL */
    int n_parallel;
    void (*tick)(void *ud);                   /* often; may be NULL */
    void (*note)(void *ud, const char *text); /* that a transfer is tried again; may be NULL */
    void *ud;
} kn_fetch_opts;

/* The first error ends all. Transfers that are not done keep what they have. */
int kn_transfers_run(const kn_fetch_opts *opts, kn_transfer *list, int n, kn_err *err);

/* A whole answer, at most max_bytes; ret is made by this. ret_next (may be NULL): KN_NEXT_BYTES, rel="next". */
int kn_hub_get(const kn_fetch_opts *opts, const char *name, const char *url, uint64_t max_bytes, kn_buf *ret,
               char *ret_next, kn_err *err);
/* The same, as JSON. */
int kn_hub_get_json(const kn_fetch_opts *opts, const char *name, const char *url, uint64_t max_bytes,
                    json_t **ret, char *ret_next, kn_err *err);

#endif
