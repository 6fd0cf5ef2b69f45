#include "base/timeline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

static const char *const track_names[KN_TRACK_COUNT] = {"phases", "steps, or what else a phase counts",
                                                        "blocks", "disk"};

typedef struct span {
    kn_track track;
    const char *name;
    int64_t number;
    double begin_s, end_s, bytes;
} span;

struct kn_timeline {
    pthread_mutex_t lock;
    double origin_s;
    span *spans;
    int64_t n, room, n_left_out;
};

kn_timeline *kn_timeline_new(void)
{
    kn_timeline *t = kn_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->origin_s = kn_clock_s();
    return t;
}

void kn_timeline_free(kn_timeline *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t->spans);
    free(t);
}

static bool make_room(kn_timeline *t)
{
    if (t->n < t->room)
        return true;
    int64_t room = t->room ? 2 * t->room : 1024;
    if (room > KN_LIMIT_TIMELINE_SPANS)
        room = KN_LIMIT_TIMELINE_SPANS;
    span *more = t->n < room ? realloc(t->spans, (size_t)room * sizeof *more) : NULL;
    if (!more)
        return false;
    t->spans = more;
    t->room = room;
    return true;
}

void kn_timeline_add(kn_timeline *t, kn_track track, const char *name, int64_t number, double begin_s,
                     double end_s, double bytes)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    if (make_room(t))
        t->spans[t->n++] = (span){track, name, number, begin_s - t->origin_s, end_s - t->origin_s, bytes};
    else
        t->n_left_out++;
    pthread_mutex_unlock(&t->lock);
}

/* ---- the file: names are literals, so that nothing needs escaping ---- */

static void write_span(FILE *f, const span *s)
{
    fprintf(f, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.1f,\"dur\":%.1f,\"name\":\"%s", (int)s->track,
            s->begin_s * 1e6, (s->end_s - s->begin_s) * 1e6, s->name);
    if (s->number >= 0)
        fprintf(f, " %lld", (long long)s->number);
    fputs("\"", f);
    if (s->bytes > 0)
        fprintf(f, ",\"args\":{\"bytes\":%.0f}", s->bytes);
    fputs("}", f);
}

static void write_all(FILE *f, const kn_timeline *t)
{
    fprintf(f, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"left_out\":%lld},\"traceEvents\":[\n",
            (long long)t->n_left_out);
    fputs("{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"kinora\"}}", f);
    for (int64_t i = 0; i < t->n; i++)
        write_span(f, &t->spans[i]);
    for (int i = 0; i < KN_TRACK_COUNT; i++)
        fprintf(f,
                ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}",
                i, track_names[i]);
    fputs("\n]}\n", f);
}

int kn_timeline_write(kn_timeline *t, const char *path, kn_err *err)
{
    kn_atomic_file a = {0};
    int rc = t ? kn_atomic_open(&a, path, err) : 0;
    if (!t || rc)
        return rc;
    pthread_mutex_lock(&t->lock);
    write_all(a.f, t);
    pthread_mutex_unlock(&t->lock);
    return kn_atomic_commit(&a, err);
}
