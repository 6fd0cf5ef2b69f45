/* Small bodies sent to addresses that someone else named: several at a time, in one thread, with nothing followed and nothing of
 * the answer believed but its status. */
#ifndef KN_HUB_POST_H
#define KN_HUB_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hub/libs.h"

typedef struct kn_post {
    /* The owner's, and borrowed until it is over. */
    const char *url;
    const char *body;
    size_t size;
    const char *const *headers; /* "Name: value"; NULL-terminated */
    bool allow_private;         /* addresses that are not of the internet (hub/ip.h), too */

    /* What came of it. */
    int status; /* 0: there was no answer, and `why` says why */
    int64_t took_ms;
    int64_t retry_after_s; /* what the answer asks for; 0: nothing */
    kn_err why;            /* without the address, which may have a secret in it */

    /* The rest is its own. */
    CURL *easy;
    struct curl_slist *lines;
    uint64_t n_read;
    bool is_refused;
    int64_t began_ns;
} kn_post;

typedef struct kn_posts kn_posts;

/* timeout_ms: of a whole request. */
int kn_posts_new(int timeout_ms, kn_posts **ret, kn_err *err);
void kn_posts_free(kn_posts *p); /* none is under way; accepts NULL */
int kn_posts_begin(kn_posts *p, kn_post *post, kn_err *err);
/* Goes on with all; *ret: one that is over, NULL: none was within wait_ms, or kn_posts_wake was called. */
int kn_posts_wait(kn_posts *p, int wait_ms, kn_post **ret, kn_err *err);
void kn_posts_wake(kn_posts *p);                /* from any thread */
void kn_posts_drop(kn_posts *p, kn_post *post); /* one that is under way */

/* Whether an address can be posted to: http or https, a host, no user's name; with allow_private false no number that is not of the
 * internet. KN_EINVAL. */
int kn_post_check_url(const char *url, bool allow_private, kn_err *err);

#endif
