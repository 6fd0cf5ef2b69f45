#include "server/answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

typedef struct answer {
    char *question, *text;
    kn_stamp made_of;
    uint64_t used; /* the turn in which it was last asked for */
} answer;

struct kn_answers {
    pthread_mutex_t lock; /* of all below */
    answer items[KN_LIMIT_KEPT_ANSWERS];
    uint64_t turn;
};

static bool is_same(const kn_stamp *a, const kn_stamp *b)
{
    return a->event == b->event && a->progress == b->progress && a->is_held == b->is_held;
}

kn_answers *kn_answers_new(void)
{
    kn_answers *a = kn_calloc(1, sizeof *a);
    if (a)
        pthread_mutex_init(&a->lock, NULL);
    return a;
}

static void clear(answer *item)
{
    free(item->question);
    free(item->text);
    *item = (answer){0};
}

void kn_answers_free(kn_answers *a)
{
    if (!a)
        return;
    for (int i = 0; i < KN_LIMIT_KEPT_ANSWERS; i++)
        clear(&a->items[i]);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* That of the question, else the one that is to make room. */
static answer *place_of(kn_answers *a, const char *question)
{
    answer *oldest = &a->items[0];
    for (int i = 0; i < KN_LIMIT_KEPT_ANSWERS; i++) {
        answer *item = &a->items[i];
        if (item->question && strcmp(item->question, question) == 0)
            return item;
        if (item->used < oldest->used)
            oldest = item;
    }
    return oldest;
}

char *kn_answers_find(kn_answers *a, const char *question, const kn_stamp *now)
{
    char *text = NULL;
    pthread_mutex_lock(&a->lock);
    answer *item = place_of(a, question);
    if (item->question && strcmp(item->question, question) == 0 && is_same(&item->made_of, now)) {
        item->used = ++a->turn;
        text = kn_strdup(item->text);
    }
    pthread_mutex_unlock(&a->lock);
    return text;
}

void kn_answers_keep(kn_answers *a, const char *question, const kn_stamp *made_of, const char *text)
{
    if (strlen(question) + strlen(text) > KN_LIMIT_KEPT_ANSWER_BYTES)
        return;
    answer made = {kn_strdup(question), kn_strdup(text), *made_of, 0};
    if (!made.question || !made.text) {
        clear(&made);
        return;
    }
    pthread_mutex_lock(&a->lock);
    made.used = ++a->turn;
    answer *item = place_of(a, question), old = *item;
    *item = made;
    pthread_mutex_unlock(&a->lock);
    clear(&old);
}
