/* The line: those of higher priority first, then by place.  Places lie far apart, so that a job can be put between two others;
 * where there is no number left between, all of that priority are moved apart.  Jobs that run or are paused keep theirs, and
 * come back to it. */
#include <stdlib.h>

#include "jobs/queue_internal.h"

#define PLACE_STEP     (1 << 20)
#define PLACE_STEP_SQL "1048576"
_Static_assert(PLACE_STEP == 1048576, "the SQL says so");

int kn_place_end(kn_db *db, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT max(place) + " PLACE_STEP_SQL " FROM jobs");
    return kn_stmt_run_int(&st, PLACE_STEP, ret, err);
}

/* The place next before that of `target`, a step before it if there is none. */
static int place_ahead(kn_db *db, const kn_job *target, int64_t place, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db,
                 "SELECT place FROM jobs WHERE " KN_SQL_IS_LIVE " AND priority = ? AND (place, id) < (?, ?) "
                 "ORDER BY place DESC, id DESC LIMIT 1");
    kn_stmt_int(&st, target->priority);
    kn_stmt_int(&st, place);
    kn_stmt_text(&st, target->id);
    return kn_stmt_run_int(&st, place - 2 * PLACE_STEP, ret, err);
}

static int move_apart(kn_db *db, int64_t priority, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db,
                 "UPDATE jobs SET place = line.n * " PLACE_STEP_SQL
                 " FROM (SELECT id, row_number() OVER (ORDER BY "
                 "place, id) AS n FROM jobs WHERE " KN_SQL_IS_LIVE
                 " AND priority = ?) AS line WHERE jobs.id = line.id");
    kn_stmt_int(&st, priority);
    return kn_stmt_run(&st, err);
}

static int place_of(kn_db *db, const char *id, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT place FROM jobs WHERE id = ?");
    kn_stmt_text(&st, id);
    return kn_stmt_run_int(&st, 0, ret, err);
}

int kn_place_before(kn_db *db, const kn_job *target, int64_t *ret, kn_err *err)
{
    int64_t place = target->place, ahead;
    int rc = place_ahead(db, target, place, &ahead, err);
    if (!rc && place - ahead < 2) {
        rc = move_apart(db, target->priority, err);
        if (!rc)
            rc = place_of(db, target->id, &place, err);
        if (!rc)
            rc = place_ahead(db, target, place, &ahead, err);
    }
    if (!rc)
        *ret = ahead + (place - ahead) / 2;
    return rc;
}

int kn_line_length(kn_db *db, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT count(*) FROM jobs WHERE state IN ('queued', 'interrupted')");
    return kn_stmt_run_int(&st, 0, ret, err);
}

int kn_line_first(kn_db *db, kn_job *ret, kn_err *err)
{
    kn_job *jobs;
    int n;
    kn_stmt st;
    kn_stmt_init(&st, db,
                 "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE " KN_SQL_IS_WAITING
                 " ORDER BY priority DESC, place, id LIMIT 1");
    int rc = kn_job_collect(&st, &jobs, &n, err);
    if (rc)
        return rc;
    if (n == 0)
        return kn_fail(err, KN_ENOTFOUND, "no job waits");
    *ret = jobs[0];
    free(jobs);
    return 0;
}

static int line_after(kn_db *db, const char *after, int limit, kn_job **ret_jobs, int *ret_n, kn_err *err)
{
    kn_job last = {0};
    kn_stmt st;
    int rc = kn_job_load(db, after, &last, err);
    if (rc)
        return rc;
    kn_stmt_init(&st, db,
                 "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE " KN_SQL_IS_WAITING
                 " AND (-priority, place, id) > (?, ?, ?) ORDER BY priority DESC, place, id LIMIT ?");
    kn_stmt_int(&st, -last.priority);
    kn_stmt_int(&st, last.place);
    kn_stmt_text(&st, last.id);
    kn_stmt_int(&st, limit);
    rc = kn_job_collect(&st, ret_jobs, ret_n, err);
    kn_job_done(&last);
    return rc;
}

int kn_queue_waiting(kn_queue *q, const char *after, int limit, kn_job **ret_jobs, int *ret_n, kn_err *err)
{
    kn_stmt st;
    int rc;
    pthread_mutex_lock(&q->lock);
    if (after) {
        rc = line_after(q->db, after, limit, ret_jobs, ret_n, err);
    } else {
        kn_stmt_init(&st, q->db,
                     "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE " KN_SQL_IS_WAITING
                     " ORDER BY priority DESC, place, id LIMIT ?");
        kn_stmt_int(&st, limit);
        rc = kn_job_collect(&st, ret_jobs, ret_n, err);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}
