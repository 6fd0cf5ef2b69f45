/* Tells those who asked for it: a thread that sends what the queue has to be delivered, several at a time, one a receiver, and
 * again later what was not taken. */
#ifndef KN_SERVER_WEBHOOKS_H
#define KN_SERVER_WEBHOOKS_H

#include "jobs/webhook.h"

typedef struct kn_webhooks kn_webhooks;

enum { KN_WEBHOOK_TRIES = 16 }; /* at most; an attempt is 100 bytes of a delivery's row */

typedef struct kn_webhooks_opts {
    kn_queue *queue; /* has the deliveries and the settings */
    const int *
        delays_ms; /* between tries, fewer than KN_WEBHOOK_TRIES, ends with 0; borrowed; NULL: 5 s, 30 s, 2 min, 10 min, 1 h, 6 h */
    int timeout_ms;                          /* of a try; 0: 10,000 */
    void (*log)(void *ud, const char *line); /* may be NULL */
    void *ud;
} kn_webhooks_opts;

int kn_webhooks_start(const kn_webhooks_opts *opts, kn_webhooks **ret, kn_err *err);
/* What is under way is given up and sent again after the next start. Accepts NULL. */
void kn_webhooks_stop(kn_webhooks *w);
/* There is something new to send, or someone new to send to. From any thread; accepts NULL. */
void kn_webhooks_wake(kn_webhooks *w);

/* The pause after the n_tried-th try, without its jitter; 0: it was the last. `delays_ms` as above. */
int64_t kn_webhook_delay_ms(const int *delays_ms, int n_tried);
/* What a try means for its delivery; `a` has at_s, status, error, took_ms. */
void kn_webhook_judge(kn_delivery_attempt *a, const int *delays_ms, int n_tried, int64_t retry_after_s);

json_t *kn_webhook_to_json(const kn_webhook *w); /* without its secret; NULL without memory */
json_t *kn_delivery_to_json(const kn_delivery *d);

#endif
