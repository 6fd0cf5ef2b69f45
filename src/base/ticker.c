#define _GNU_SOURCE
#include "base/ticker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct kn_ticker {
    double period_s;
    void (*fn)(void *ud);
    void *ud;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
};

/* On the clock that nobody sets, or a change of the time of day would make a pause of hours. */
static struct timespec from_now(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long long ns = t.tv_nsec + (long long)(seconds * 1e9);
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

static bool pause_or_stop(kn_ticker *t)
{
    struct timespec until = from_now(t->period_s);
    pthread_mutex_lock(&t->lock);
    int rc = 0;
    while (!t->stop && !rc)
        rc = pthread_cond_timedwait(&t->stopped, &t->lock, &until);
    bool stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

static void *run(void *arg)
{
    kn_ticker *t = arg;
    do
        t->fn(t->ud);
    while (!pause_or_stop(t));
    return NULL;
}

int kn_ticker_start(double period_s, void (*fn)(void *ud), void *ud, const char *what, kn_ticker **ret,
                    kn_err *err)
{
    pthread_condattr_t monotonic;
    kn_ticker *t = kn_calloc(1, sizeof *t);
    if (!t)
        return kn_fail(err, KN_ENOMEM, "no memory for %s", what);
    *t = (kn_ticker){.period_s = period_s, .fn = fn, .ud = ud};
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!pthread_create(&t->thread, NULL, run, t)) {
        *ret = t;
        return 0;
    }
    pthread_cond_destroy(&t->stopped);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return kn_fail(err, KN_ENOMEM, "no thread for %s", what);
}

void kn_ticker_stop(kn_ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->stopped);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->stopped);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
