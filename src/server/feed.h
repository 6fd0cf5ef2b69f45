/* A feed: messages to all who listen now, over server-sent events or WebSockets.  Publishing never waits: a listener that is
 * slow loses progress messages that a later one of the same key replaces, and is cut off when it falls further behind than
 * KN_LIMIT_FEED_BYTES. */
#ifndef KN_SERVER_FEED_H
#define KN_SERVER_FEED_H

#include "base/json.h"

typedef struct kn_feed kn_feed;

/* Gives what was published after last_id again, in the order of ids, by calling `put` for each; may be NULL. Called without a
 * lock, from any thread, and again with a later last_id when there was more than a listener could take at once. What it gives
 * must be kept before it is published. */
typedef void (*kn_feed_replay_fn)(void *ud, int64_t last_id,
                                  void (*put)(void *to, int64_t id, const char *json), void *to);

kn_feed *kn_feed_new(kn_feed_replay_fn replay, void *ud); /* NULL without memory */
void kn_feed_free(kn_feed *f);                            /* after kn_http_stop */
/* json: one object, whose "type" names the event. id 0: not kept, has no place in Last-Event-ID; others ascend. key: a later
 * message of the same key replaces it while it waits, which it may do for a second (server/loop.h); NULL: never. From any
 * thread. */
void kn_feed_publish(kn_feed *f, int64_t id, const char *key, const char *json);
int kn_feed_n_listeners(kn_feed *f);

#endif
