#include "jobs/retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"

/* A walk over the ended jobs, newest first: what stays so far, and what goes. */
typedef struct walk {
    const kn_retention *limits;
    double now_s;
    int64_t n_kept;
    uint64_t bytes_kept;
    bool
        is_size_reached; /* then all that are older go, or a large one would stay longer than a small one before it */
    kn_cleanup found;
    int capacity;
} walk;

/* NULL: it stays. */
static const char *judge(walk *w, const kn_job *j, uint64_t bytes)
{
    const kn_retention *r = w->limits;
    if (r->max_age_s > 0 && w->now_s - j->finished_s > r->max_age_s)
        return "age";
    if (r->max_jobs > 0 && w->n_kept >= r->max_jobs)
        return "count";
    if (r->max_bytes > 0 && bytes > 0) {
        w->is_size_reached = w->is_size_reached || w->bytes_kept + bytes > (uint64_t)r->max_bytes;
        if (w->is_size_reached)
            return "size";
    }
    w->n_kept++;
    w->bytes_kept += bytes;
    return NULL;
}

static int add_item(walk *w, const kn_job *j, const char *reason, uint64_t bytes, kn_err *err)
{
    kn_cleanup *c = &w->found;
    if (c->n == KN_LIMIT_CLEANUP) {
        c->has_more = true;
        return 0;
    }
    if (c->n == w->capacity) {
        int capacity = w->capacity * 2 + 16;
        kn_cleanup_item *grown = kn_realloc_array(c->items, (size_t)capacity, sizeof *grown);
        if (!grown)
            return kn_fail(err, KN_ENOMEM, "no memory to list %d jobs to clean up", c->n);
        c->items = grown;
        w->capacity = capacity;
    }
    c->items[c->n] = (kn_cleanup_item){.reason = reason, .bytes = bytes};
    memcpy(c->items[c->n].id, j->id, sizeof j->id);
    c->n++;
    c->bytes += bytes;
    return 0;
}

static int walk_page(walk *w, const kn_job *jobs, int n, kn_err *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < n; i++) {
        uint64_t bytes = kn_job_files_bytes(&jobs[i]);
        const char *reason = judge(w, &jobs[i], bytes);
        rc = reason ? add_item(w, &jobs[i], reason, bytes, err) : 0;
    }
    return rc;
}

static int walk_all(kn_queue *q, walk *w, kn_err *err)
{
    char before[KN_JOB_ID_BYTES];
    kn_job_filter page = {.states = 1u << KN_JOB_COMPLETED | 1u << KN_JOB_FAILED | 1u << KN_JOB_CANCELLED,
                          .limit = KN_LIMIT_JOB_PAGE};
    int rc = 0, n = KN_LIMIT_JOB_PAGE;
    while (!rc && n == KN_LIMIT_JOB_PAGE) {
        kn_job *jobs = NULL;
        rc = kn_queue_list(q, &page, &jobs, &n, err);
        if (rc)
            break;
        rc = walk_page(w, jobs, n, err);
        if (n > 0)
            memcpy(before, jobs[n - 1].id, sizeof before);
        page.before = before;
        for (int i = 0; i < n; i++)
            kn_job_done(&jobs[i]);
        free(jobs);
    }
    return rc;
}

/* Files first: a row without files is found again by the next cleanup, files without a row are not. An ended job that has
 * files is completed, and stays so. */
static int remove_job(kn_queue *q, const char *id, kn_err *err)
{
    kn_job j = {0};
    int rc = kn_queue_get(q, id, &j, err);
    if (!rc && kn_job_state_is_final(j.state))
        rc = kn_job_files_remove(&j, err);
    if (!rc)
        rc = kn_queue_remove_ended(q, id, err);
    kn_job_done(&j);
    return rc == KN_ENOTFOUND ? 0 : rc;
}

static int remove_all(kn_queue *q, kn_cleanup *c, kn_err *err)
{
    for (int i = c->n - 1; i >= 0; i--) {
        kn_cleanup_item *item = &c->items[i];
        kn_err why = {0};
        if (!remove_job(q, item->id, &why))
            continue;
        c->bytes -= item->bytes;
        item->error = kn_strdup(why.msg);
        if (!item->error)
            return kn_fail(err, KN_ENOMEM, "no memory for the outcome of a cleanup");
    }
    return 0;
}

int kn_cleanup_run(kn_queue *q, const kn_retention *r, bool dry_run, kn_cleanup *ret, kn_err *err)
{
    if (!(r->max_age_s >= 0) || r->max_jobs < 0 || r->max_bytes < 0)
        return kn_fail(err, KN_EINVAL,
                       "limits of a cleanup: %g s, %lld jobs, %lld bytes, expected none below 0",
                       r->max_age_s, (long long)r->max_jobs, (long long)r->max_bytes);
    walk w = {.limits = r, .now_s = kn_queue_now_s(), .found.is_dry_run = dry_run};
    int rc = walk_all(q, &w, err);
    if (!rc && !dry_run)
        rc = remove_all(q, &w.found, err);
    if (rc)
        kn_cleanup_done(&w.found);
    else
        *ret = w.found;
    return rc;
}

void kn_cleanup_done(kn_cleanup *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->items[i].error);
    free(c->items);
    *c = (kn_cleanup){0};
}

json_t *kn_cleanup_to_json(const kn_cleanup *c)
{
    json_t *jobs = json_array();
    for (int i = 0; i < c->n; i++) {
        const kn_cleanup_item *item = &c->items[i];
        if (json_array_append_new(jobs,
                                  json_pack("{s:s, s:s, s:I, s:o}", "id", item->id, "reason", item->reason,
                                            "size_bytes", (json_int_t)item->bytes, "error",
                                            item->error ? kn_json_text(item->error) : json_null()))) {
            json_decref(jobs);
            return NULL;
        }
    }
    return json_pack("{s:b, s:o, s:I, s:b}", "dry_run", c->is_dry_run, "jobs", jobs, "size_bytes",
                     (json_int_t)c->bytes, "has_more", c->has_more);
}
