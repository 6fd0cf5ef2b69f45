/* Answers that were given a moment ago and still hold: many clients ask the same, and nothing has changed. */
#ifndef KN_SERVER_ANSWERS_H
#define KN_SERVER_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kn_answers kn_answers;

/* The state of the studio that an answer was made of. It is read before the answer is made, so that an answer may be newer
 * than its stamp, never older. */
typedef struct kn_stamp {
    int64_t event;     /* the queue's last one */
    uint64_t progress; /* how often a job said how far it is */
    bool is_held;
} kn_stamp;

kn_answers *kn_answers_new(void); /* NULL without memory */
void kn_answers_free(kn_answers *a);
/* From any thread. A copy, heap; NULL: none is kept, or it was made of another state. */
char *kn_answers_find(kn_answers *a, const char *question, const kn_stamp *now);
/* Keeps a copy, if it is not larger than KN_LIMIT_KEPT_ANSWER_BYTES, in place of the one that was asked for longest ago. */
void kn_answers_keep(kn_answers *a, const char *question, const kn_stamp *made_of, const char *text);

#endif
