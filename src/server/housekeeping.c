#define _GNU_SOURCE
#include "server/housekeeping.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/ticker.h"
#include "server/settings.h"

enum { PERIOD_S = 3600, DAY_S = 86400 };

struct kn_housekeeping {
    const kn_places *places;
    kn_queue *queue;
    void (*log)(void *ud, const char *line);
    void *ud;
    kn_ticker *ticker;
};

kn_retention kn_housekeeping_limits(const json_t *settings)
{
    return (kn_retention){
        .max_age_s = (double)json_integer_value(json_object_get(settings, "cleanup_max_age_days")) * DAY_S,
        .max_jobs = json_integer_value(json_object_get(settings, "cleanup_max_outputs_count")),
        .max_bytes = json_integer_value(json_object_get(settings, "cleanup_max_outputs_bytes")),
    };
}

/* ---- uploads ---- */

/* Every text of a request that is the id of an upload, as a member of `names`. */
static void note_uploads(const json_t *v, json_t *names)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(v) && strncmp(json_string_value(v), "upl_", 4) == 0)
        json_object_set_new(names, json_string_value(v), json_true());
    json_object_foreach((json_t *)(uintptr_t)v, key, item) note_uploads(item, names);
    json_array_foreach((json_t *)(uintptr_t)v, i, item) note_uploads(item, names);
}

/* All uploads that jobs name; NULL: it cannot be told. */
static json_t *named_uploads(kn_queue *queue)
{
    char before[KN_JOB_ID_BYTES] = "";
    json_t *names = json_object();
    for (int n = KN_LIMIT_JOB_PAGE; names && n == KN_LIMIT_JOB_PAGE;) {
        kn_job *jobs = NULL;
        kn_job_filter f = {.limit = KN_LIMIT_JOB_PAGE, .before = *before ? before : NULL};
        if (kn_queue_list(queue, &f, &jobs, &n, NULL)) {
            json_decref(names);
            return NULL;
        }
        for (int i = 0; i < n; i++) {
            note_uploads(jobs[i].request, names);
            snprintf(before, sizeof before, "%s", jobs[i].id);
            kn_job_done(&jobs[i]);
        }
        free(jobs);
    }
    return names;
}

int kn_housekeeping_uploads(const kn_places *places, kn_queue *queue, double age_s)
{
    int n_removed = 0;
    json_t *names = named_uploads(queue);
    DIR *dir = names ? opendir(places->uploads) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        char *path = kn_path_join(places->uploads, e->d_name);
        if (path && *e->d_name != '.' && !json_object_get(names, e->d_name) && stat(path, &st) == 0 &&
            (double)(kn_clock_unix() - st.st_mtime) > age_s && unlink(path) == 0)
            n_removed++;
        free(path);
    }
    if (dir)
        closedir(dir);
    json_decref(names);
    return n_removed;
}

/* ---- states of jobs ---- */

static bool is_state_needed(kn_queue *queue, const char *id)
{
    kn_job j = {0};
    int rc = kn_queue_get(queue, id, &j, NULL);
    bool is_over = j.state == KN_JOB_COMPLETED || j.state == KN_JOB_CANCELLED;
    kn_job_done(&j);
    return rc ? rc != KN_ENOTFOUND : !is_over;
}

int kn_housekeeping_states(const kn_places *places, kn_queue *queue)
{
    int n_removed = 0;
    DIR *dir = opendir(places->state);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (*e->d_name == '.' || is_state_needed(queue, e->d_name))
            continue;
        kn_places_sweep(places, e->d_name);
        n_removed++;
    }
    if (dir)
        closedir(dir);
    return n_removed;
}

/* ---- every hour ---- */

static void say(kn_housekeeping *h, const char *what, int n)
{
    char line[96];
    snprintf(line, sizeof line, "cleanup: %d %s", n, what);
    if (n && h->log)
        h->log(h->ud, line);
}

static void tidy(void *ud)
{
    kn_housekeeping *h = ud;
    json_t *settings = NULL;
    kn_cleanup c = {0};
    if (kn_settings_load(h->queue, &settings, NULL))
        return;
    kn_retention limits = kn_housekeeping_limits(settings);
    if (json_is_true(json_object_get(settings, "cleanup_enabled")) &&
        kn_cleanup_run(h->queue, &limits, false, &c, NULL) == 0) {
        say(h, "old jobs removed", c.n);
        kn_cleanup_done(&c);
    }
    say(h, "uploads removed that no job names", kn_housekeeping_uploads(h->places, h->queue, DAY_S));
    kn_housekeeping_states(h->places, h->queue);
    json_decref(settings);
}

int kn_housekeeping_start(const kn_places *places, kn_queue *queue, void (*log)(void *ud, const char *line),
                          void *ud, kn_housekeeping **ret, kn_err *err)
{
    kn_housekeeping *h = kn_calloc(1, sizeof *h);
    if (!h)
        return kn_fail(err, KN_ENOMEM, "no memory for housekeeping");
    *h = (kn_housekeeping){.places = places, .queue = queue, .log = log, .ud = ud};
    int rc = kn_ticker_start(PERIOD_S, tidy, h, "housekeeping", &h->ticker, err);
    if (rc)
        free(h);
    else
        *ret = h;
    return rc;
}

void kn_housekeeping_stop(kn_housekeeping *h)
{
    if (!h)
        return;
    kn_ticker_stop(h->ticker);
    free(h);
}
