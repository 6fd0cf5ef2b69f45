/* One GET with everything that may happen to it: redirects, resuming, being cut, being told to wait, being lied to.
 *
 * The owner fills in the upper part and hands it to kn_transfers_run. The bytes go to the sink in order; what the sink has
 * stays there when a transfer is cut, and the next try goes on behind it. */
#ifndef KN_HUB_TRANSFER_H
#define KN_HUB_TRANSFER_H

#include "hub/hub.h"
#include "hub/libs.h"

enum { KN_ETAG_BYTES = 256, KN_NEXT_BYTES = 2048 };

#define KN_SIZE_UNKNOWN UINT64_MAX

typedef struct kn_transfer_sink {
    /* Makes ready, in small steps until *ret_ready; sets `have`. NULL: nothing to do. */
    int (*prepare)(void *ud, bool *ret_ready, kn_err *err);
    int (*write)(void *ud, const void *data, size_t size, kn_err *err);
    int (*restart)(void *ud, kn_err *err); /* forgets all bytes */
    void (*tag)(void *ud);                 /* `etag` has changed; may be NULL */
    /* All bytes are there. KN_EFORMAT: they are wrong. NULL: nothing to do. */
    int (*finish)(void *ud, kn_err *err);
    void *ud;
} kn_transfer_sink;

typedef enum kn_outcome {
    KN_OUTCOME_NONE, /* no headers yet */
    KN_OUTCOME_BODY,
    KN_OUTCOME_REDIRECT,
    KN_OUTCOME_RETRY,
    KN_OUTCOME_FAIL,
} kn_outcome;

typedef enum kn_transfer_state {
    KN_TRANSFER_NEW,
    KN_TRANSFER_PREPARING,
    KN_TRANSFER_WAITING, /* until wake_ns */
    KN_TRANSFER_RUNNING,
    KN_TRANSFER_DONE,
} kn_transfer_state;

typedef struct kn_transfer {
    const char *name; /* for messages */
    const char *url;
    uint64_t size; /* KN_SIZE_UNKNOWN: whatever it is, at most max_bytes, and never resumed */
    uint64_t max_bytes;
    kn_transfer_sink sink;

    uint64_t have;            /* bytes that the sink has */
    char etag[KN_ETAG_BYTES]; /* of what it has; "": not known */
    char next[KN_NEXT_BYTES]; /* rel="next" of the answer; "": none */

    /* The rest is the transfer's own. */
    const kn_hub_config *config;
    kn_transfer_state state;
    CURL *easy;
    struct curl_slist *headers;
    char *at; /* where it is asked for now; NULL: url */
    int n_hops;
    int n_failed; /* tries in a row */
    uint64_t have_at_failure;
    bool has_been_wrong; /* finish said KN_EFORMAT once */
    int64_t wake_ns, window_ns;
    uint64_t window_bytes;
    /* of the answer that is being read */
    long status;
    char answer_etag[KN_ETAG_BYTES], location[KN_NEXT_BYTES], error_code[64], error_text[160];
    uint64_t length; /* KN_SIZE_UNKNOWN: not said */
    uint64_t range_begin, range_total;
    bool has_range, is_encoded;
    int64_t retry_after_ms;
    kn_outcome outcome;
    kn_err why; /* of RETRY and FAIL */
} kn_transfer;

/* ---- for kn_transfers_run ---- */

int kn_transfer_begin(kn_transfer *t, kn_err *err);
/* After the request has ended so. The outcome is final then: BODY: all is there. */
void kn_transfer_settle(kn_transfer *t, CURLcode code);
/* Leaves the request; accepts one that was never begun. */
void kn_transfer_drop(kn_transfer *t);
void kn_transfer_done(kn_transfer *t);
/* Reads one header line of the answer; true: its body is wanted. Visible for tests, which load the libraries first. */
bool kn_transfer_read_header(kn_transfer *t, const char *line, size_t size);

#endif
