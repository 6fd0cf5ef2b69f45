/* Webhooks: who wants to be told of which changes, and what is to be told.
 *
 * A delivery is made in the transaction of the change that it tells of, so that whoever sees the change can rely on it, and keeps
 * its id until it is over: a receiver that is told twice can know it. What is sent is made then as well, and never changes.
 * Whoever sends asks for the next one, and settles each attempt; a process that dies between has it asked for again. */
#ifndef KN_JOBS_WEBHOOK_H
#define KN_JOBS_WEBHOOK_H

#include "jobs/queue.h"

enum { KN_WEBHOOK_ID_BYTES = 32 };

typedef struct kn_webhook {
    char id[KN_WEBHOOK_ID_BYTES]; /* "wh_..." */
    char *url;
    char *secret;    /* as its owner has it; never in an answer or a message */
    uint32_t states; /* bits 1 << kn_job_state: a job that comes to one of them is told of */
    bool is_active;
    char *why; /* why it was switched off, not by its owner; or NULL */
    double created_s;
} kn_webhook;

void kn_webhook_done(kn_webhook *w); /* accepts a zeroed one */

/* `w` has url, secret and states. KN_ELIMIT: there are KN_LIMIT_WEBHOOKS. */
int kn_queue_webhook_add(kn_queue *q, const kn_webhook *w, kn_webhook *ret, kn_err *err);
/* All of these: KN_ENOTFOUND. */
int kn_queue_webhook_get(kn_queue *q, const char *id, kn_webhook *ret, kn_err *err);
typedef struct kn_webhook_edit {
    const char *url;       /* NULL: stays */
    uint32_t states;       /* 0: stay */
    const bool *is_active; /* NULL: stays. Off: nothing new is told, and what waits, waits. */
} kn_webhook_edit;
int kn_queue_webhook_edit(kn_queue *q, const char *id, const kn_webhook_edit *edit, kn_webhook *ret,
                          kn_err *err);
int kn_queue_webhook_remove(kn_queue *q, const char *id, kn_err *err); /* with its deliveries */
/* Oldest first; heap array of *ret_n, each for kn_webhook_done. */
int kn_queue_webhook_list(kn_queue *q, kn_webhook **ret, int *ret_n, kn_err *err);

/* ---- deliveries ---- */

/* X(symbol, name in the database and the API) */
#define KN_DELIVERY_STATE_LIST(X)                                                                            \
    X(KN_DELIVERY_WAITING, "waiting")                                                                        \
    X(KN_DELIVERY_DELIVERED, "delivered")                                                                    \
    X(KN_DELIVERY_FAILED, "failed")

typedef enum kn_delivery_state {
#define X(sym, name) sym,
    KN_DELIVERY_STATE_LIST(X)
#undef X
        KN_DELIVERY_STATE_COUNT
} kn_delivery_state;
const char *kn_delivery_state_name(kn_delivery_state s);

typedef struct kn_delivery {
    char id[KN_WEBHOOK_ID_BYTES]; /* "msg_..." */
    char webhook_id[KN_WEBHOOK_ID_BYTES];
    char job_id[KN_JOB_ID_BYTES];
    kn_job_state event;
    kn_delivery_state state;
    double created_s, due_s; /* due: of one that waits */
    json_t *attempts;        /* [{"at", "status", "error", "ms"}], oldest first */
    char *body;              /* NULL in lists */
} kn_delivery;

void kn_delivery_done(kn_delivery *d);

/* The one that is due first, of an active webhook that is not among `busy`. KN_ENOTFOUND: none is due now, and *ret_due_s says
 * when the next will be, 0: none waits. */
int kn_queue_delivery_next(kn_queue *q, double now_s, const char *const *busy, int n_busy, kn_delivery *ret,
                           kn_webhook *ret_webhook, double *ret_due_s, kn_err *err);

typedef struct kn_delivery_attempt {
    double at_s;
    int status;        /* of the answer; 0: none came */
    const char *error; /* NULL: none */
    int64_t took_ms;
    kn_delivery_state state; /* what the delivery is now */
    double due_s;            /* if it waits */
    const char *switch_off;  /* the webhook is to be switched off, and why; or NULL */
} kn_delivery_attempt;
int kn_queue_delivery_settle(kn_queue *q, const char *id, const kn_delivery_attempt *a, kn_err *err);
/* Of a webhook, newest first: at most `limit`, those before the one with the id `before` (NULL: the newest). Heap array of
 * *ret_n, each for kn_delivery_done. */
int kn_queue_delivery_list(kn_queue *q, const char *webhook_id, const char *before, int limit,
                           kn_delivery **ret, int *ret_n, kn_err *err);

#endif
