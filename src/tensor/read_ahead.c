#include "tensor/read_ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

struct kn_read_ahead {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const kn_read_range *ranges;
    int n, done; /* of ranges */
    bool stop;
};

static bool next(kn_read_ahead *r, kn_read_range *ret)
{
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->done == r->n)
        pthread_cond_wait(&r->changed, &r->lock);
    bool more = !r->stop;
    if (more)
        *ret = r->ranges[r->done++];
    pthread_mutex_unlock(&r->lock);
    return more;
}

static void *work(void *arg)
{
    kn_read_range range;
    while (next(arg, &range))
        kn_map_prefetch(range.data, range.bytes);
    return NULL;
}

kn_read_ahead *kn_read_ahead_new(void)
{
    kn_read_ahead *r = kn_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (pthread_create(&r->thread, NULL, work, r)) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
    }
    return r;
}

void kn_read_ahead_free(kn_read_ahead *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void kn_read_ahead_want(kn_read_ahead *r, const kn_read_range *ranges, int n)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->ranges = ranges;
    r->n = n;
    r->done = 0;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}
