#include "tensor/read_ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

/* What is asked for. */
typedef struct wanted {
    const kn_read_range *ranges;
    int n, block;
    kn_timeline *timeline;
} wanted;

struct kn_read_ahead {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    wanted wanted;
    int done;          /* of its ranges */
    unsigned n_wanted; /* so many times something was asked for */
    bool stop;
};

/* Waits for something to be asked for and not done; *ret_i: the range that is next. */
static bool next(kn_read_ahead *r, wanted *ret, int *ret_i, unsigned *ret_n_wanted)
{
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->done == r->wanted.n)
        pthread_cond_wait(&r->changed, &r->lock);
    bool more = !r->stop;
    if (more) {
        *ret = r->wanted;
        *ret_i = r->done++;
        *ret_n_wanted = r->n_wanted;
    }
    pthread_mutex_unlock(&r->lock);
    return more;
}

static size_t missing(const wanted *w)
{
    size_t bytes = 0;
    for (int i = 0; i < w->n; i++)
        bytes += kn_map_missing(w->ranges[i].data, w->ranges[i].bytes);
    return bytes;
}

/* Asking does not wait for the disk to be done; whoever looks wants to know when it was. Every 1 ms would take a third of a core
 * from those who compute. */
static void wait_for_disk(kn_read_ahead *r, const wanted *w, unsigned n_wanted)
{
    enum { PAUSE_NS = 20000000 };
    bool still = true;
    while (still && missing(w)) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        pthread_mutex_lock(&r->lock);
        still = !r->stop && r->n_wanted == n_wanted;
        pthread_mutex_unlock(&r->lock);
    }
}

static void *work(void *arg)
{
    kn_read_ahead *r = arg;
    wanted w;
    int i;
    unsigned n_wanted;
    double begin = 0, bytes = 0;
    while (next(r, &w, &i, &n_wanted)) {
        if (w.timeline && i == 0) {
            begin = kn_clock_s();
            bytes = (double)missing(&w);
        }
        kn_map_prefetch(w.ranges[i].data, w.ranges[i].bytes);
        if (w.timeline && i == w.n - 1 && bytes > 0) {
            wait_for_disk(r, &w, n_wanted);
            kn_timeline_add(w.timeline, KN_TRACK_DISK, "read", w.block, begin, kn_clock_s(), bytes);
        }
    }
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

void kn_read_ahead_want(kn_read_ahead *r, const kn_read_range *ranges, int n, int block,
                        kn_timeline *timeline)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->wanted = (wanted){ranges, n, block, timeline};
    r->done = 0;
    r->n_wanted++;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}
