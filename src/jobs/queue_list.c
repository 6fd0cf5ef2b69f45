/* Looking at many jobs, and the values that are kept beside them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"
#include "text/utf8.h"

enum { MAX_SQL_BYTES = 2048 };

/* ---- list ---- */

static void add_states(kn_buf *sql, uint32_t states)
{
    const char *separator = " AND state IN (";
    for (int s = 0; s < KN_JOB_STATE_COUNT; s++)
        if (states >> s & 1) {
            kn_buf_printf(sql, "%s'%s'", separator, kn_job_state_name((kn_job_state)s));
            separator = ", ";
        }
    kn_buf_puts(sql, ")");
}

static char *make_sql(const kn_job_filter *f)
{
    kn_buf sql;
    kn_buf_init(&sql, MAX_SQL_BYTES);
    kn_buf_puts(&sql, "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE true");
    if (f->states)
        add_states(&sql, f->states);
    if (f->before)
        kn_buf_puts(&sql, f->oldest_first ? " AND id > ?" : " AND id < ?");
    if (f->text)
        kn_buf_puts(&sql, " AND instr(search, ?) > 0");
    kn_buf_printf(&sql, " ORDER BY id %s LIMIT ?", f->oldest_first ? "" : "DESC");
    return kn_buf_take(&sql);
}

static int check_filter(const kn_job_filter *f, kn_err *err)
{
    if (f->limit < 1 || f->limit > KN_LIMIT_JOB_PAGE)
        return kn_fail(err, KN_EINVAL, "limit: %d, expected 1 to %d", f->limit, KN_LIMIT_JOB_PAGE);
    if (f->states >> KN_JOB_STATE_COUNT)
        return kn_fail(err, KN_EINVAL, "state: 0x%x, expected bits below %d", (unsigned)f->states,
                       KN_JOB_STATE_COUNT);
    if (f->before && !kn_job_id_is_valid(f->before))
        return kn_fail(err, KN_EINVAL, "before: no id of a job, expected job_ and 20 letters and digits");
    return 0;
}

int kn_queue_list(kn_queue *q, const kn_job_filter *f, kn_job **ret_jobs, int *ret_n, kn_err *err)
{
    char *sql = NULL, *text = NULL;
    int rc = check_filter(f, err);
    if (!rc && f->text)
        rc = kn_utf8_fold(f->text, strlen(f->text), "text", &text, err);
    if (!rc && !(sql = make_sql(f)))
        rc = kn_fail(err, KN_ENOMEM, "no memory to list jobs");
    if (!rc) {
        kn_stmt st;
        pthread_mutex_lock(&q->lock);
        kn_stmt_init(&st, q->db, sql);
        if (f->before)
            kn_stmt_text(&st, f->before);
        if (text)
            kn_stmt_text(&st, text);
        kn_stmt_int(&st, f->limit);
        rc = kn_job_collect(&st, ret_jobs, ret_n, err);
        pthread_mutex_unlock(&q->lock);
    }
    free(sql);
    free(text);
    return rc;
}

int kn_queue_count(kn_queue *q, int64_t ret_counts[KN_JOB_STATE_COUNT], kn_err *err)
{
    int64_t counts[KN_JOB_STATE_COUNT] = {0};
    int rc;
    kn_stmt st;
    pthread_mutex_lock(&q->lock);
    kn_stmt_init(&st, q->db, "SELECT state, count(*) FROM jobs GROUP BY state");
    while ((rc = kn_stmt_step(&st, err)) > 0) {
        kn_job_state s;
        const char *name = kn_stmt_get_text(&st, 0);
        rc = kn_job_state_parse(name ? name : "", &s, err);
        if (rc)
            break;
        counts[s] = kn_stmt_get_int(&st, 1);
    }
    kn_stmt_done(&st);
    pthread_mutex_unlock(&q->lock);
    if (!rc)
        memcpy(ret_counts, counts, sizeof counts);
    return rc;
}

/* ---- values ---- */

static int read_value(kn_queue *q, const char *name, json_t **ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, q->db, "SELECT value FROM vals WHERE name = ?");
    kn_stmt_text(&st, name);
    int rc = kn_stmt_step(&st, err);
    const char *text = rc > 0 ? kn_stmt_get_text(&st, 0) : NULL;
    if (rc >= 0)
        rc = text ? kn_json_parse(text, strlen(text), name, ret, err)
                  : kn_fail(err, KN_ENOTFOUND, "nothing is kept under the name %s", name);
    kn_stmt_done(&st);
    return rc;
}

int kn_queue_value_get(kn_queue *q, const char *name, json_t **ret, kn_err *err)
{
    pthread_mutex_lock(&q->lock);
    int rc = read_value(q, name, ret, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

/* Nothing of it is a job's, so there is no event. */
static int write_value(kn_queue *q, const char *name, const char *text, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, q->db,
                 text ? "REPLACE INTO vals (name, value) VALUES (?, ?)" : "DELETE FROM vals WHERE name = ?");
    kn_stmt_text(&st, name);
    if (text)
        kn_stmt_text(&st, text);
    return kn_stmt_run(&st, err);
}

int kn_queue_value_put(kn_queue *q, const char *name, const json_t *value, kn_err *err)
{
    KN_ASSERT(strlen(name) <= KN_LIMIT_VALUE_NAME_BYTES);
    json_t *copy = NULL;
    int rc = kn_job_copy_json(value, name, &copy, err);
    if (rc)
        return rc;
    char *text = copy ? json_dumps(copy, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(copy);
    if (value && !text)
        return kn_fail(err, KN_ENOMEM, "no memory for %s", name);
    pthread_mutex_lock(&q->lock);
    rc = write_value(q, name, text, err);
    pthread_mutex_unlock(&q->lock);
    free(text);
    return rc;
}
