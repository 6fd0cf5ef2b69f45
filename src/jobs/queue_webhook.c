/* Who wants to be told. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/queue_internal.h"

#define COLUMNS "id, url, secret, states, is_active, why, created_s"

void kn_webhook_done(kn_webhook *w)
{
    free(w->url);
    free(w->secret);
    free(w->why);
    *w = (kn_webhook){0};
}

int kn_webhook_new_id(kn_queue *q, const char *prefix, char ret[KN_WEBHOOK_ID_BYTES], kn_err *err)
{
    char id[KN_JOB_ID_BYTES];
    int rc = kn_job_ids_next(&q->webhook_ids, kn_clock_unix_ms(), id, err);
    if (!rc)
        snprintf(ret, KN_WEBHOOK_ID_BYTES, "%s%s", prefix, strchr(id, '_') + 1);
    return rc;
}

/* ---- rows ---- */

static int read_row(kn_stmt *st, kn_webhook *ret, kn_err *err)
{
    const char *id = kn_stmt_get_text(st, 0), *why = kn_stmt_get_text(st, 5);
    kn_webhook w = {.url = kn_strdup(kn_stmt_get_text(st, 1)),
                    .secret = kn_strdup(kn_stmt_get_text(st, 2)),
                    .states = (uint32_t)kn_stmt_get_int(st, 3),
                    .is_active = kn_stmt_get_int(st, 4) != 0,
                    .why = kn_strdup(why),
                    .created_s = kn_stmt_get_real(st, 6)};
    snprintf(w.id, sizeof w.id, "%s", id ? id : "");
    if (!w.url || !w.secret || (why && !w.why)) {
        kn_webhook_done(&w);
        return kn_fail(err, KN_ENOMEM, "no memory for a webhook");
    }
    *ret = w;
    return 0;
}

int kn_webhook_load(kn_db *db, const char *id, kn_webhook *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT " COLUMNS " FROM webhooks WHERE id = ?");
    kn_stmt_text(&st, id);
    int rc = kn_stmt_step(&st, err);
    if (rc == 0)
        rc = kn_fail(err, KN_ENOTFOUND, "there is no webhook \"%.40s\"; it may have been deleted", id);
    else if (rc > 0)
        rc = read_row(&st, ret, err);
    kn_stmt_done(&st);
    return rc;
}

int kn_webhook_load_all(kn_db *db, kn_webhook **ret, int *ret_n, kn_err *err)
{
    int n = 0, rc;
    kn_webhook *all = kn_calloc(KN_LIMIT_WEBHOOKS, sizeof *all);
    if (!all)
        return kn_fail(err, KN_ENOMEM, "no memory for webhooks");
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT " COLUMNS " FROM webhooks ORDER BY created_s, id LIMIT ?");
    kn_stmt_int(&st, KN_LIMIT_WEBHOOKS);
    while ((rc = kn_stmt_step(&st, err)) > 0 && !(rc = read_row(&st, &all[n], err)))
        n++;
    kn_stmt_done(&st);
    if (!rc) {
        *ret = all;
        *ret_n = n;
        return 0;
    }
    while (n)
        kn_webhook_done(&all[--n]);
    free(all);
    return rc;
}

static int store(kn_db *db, const kn_webhook *w, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "REPLACE INTO webhooks (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)");
    kn_stmt_text(&st, w->id);
    kn_stmt_text(&st, w->url);
    kn_stmt_text(&st, w->secret);
    kn_stmt_int(&st, w->states);
    kn_stmt_int(&st, w->is_active);
    kn_stmt_text(&st, w->why);
    kn_stmt_real(&st, w->created_s);
    return kn_stmt_run(&st, err);
}

/* ---- what their owners ask ---- */

/* Undoes kn_queue_begin; what is in *w is the caller's or nobody's. */
static int end(kn_queue *q, int rc, kn_webhook *w, kn_webhook *ret, kn_err *err)
{
    if (!rc)
        rc = kn_db_commit(q->db, err);
    if (rc)
        kn_db_rollback(q->db);
    pthread_mutex_unlock(&q->lock);
    if (rc || !ret)
        kn_webhook_done(w);
    else
        *ret = *w;
    return rc;
}

static int check_room(kn_db *db, kn_err *err)
{
    int64_t n;
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT count(*) FROM webhooks");
    int rc = kn_stmt_run_int(&st, 0, &n, err);
    if (!rc && n >= KN_LIMIT_WEBHOOKS)
        rc = kn_fail(err, KN_ELIMIT, "there are %lld webhooks, at most %d are possible; delete one first",
                     (long long)n, KN_LIMIT_WEBHOOKS);
    return rc;
}

int kn_queue_webhook_add(kn_queue *q, const kn_webhook *w, kn_webhook *ret, kn_err *err)
{
    kn_webhook made = {.states = w->states, .is_active = true, .created_s = kn_queue_now_s()};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = check_room(q->db, err);
    if (!rc)
        rc = kn_webhook_new_id(q, "wh_", made.id, err);
    made.url = kn_strdup(w->url);
    made.secret = kn_strdup(w->secret);
    if (!rc && (!made.url || !made.secret))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a webhook");
    if (!rc)
        rc = store(q->db, &made, err);
    return end(q, rc, &made, ret, err);
}

int kn_queue_webhook_get(kn_queue *q, const char *id, kn_webhook *ret, kn_err *err)
{
    pthread_mutex_lock(&q->lock);
    int rc = kn_webhook_load(q->db, id, ret, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

int kn_queue_webhook_list(kn_queue *q, kn_webhook **ret, int *ret_n, kn_err *err)
{
    pthread_mutex_lock(&q->lock);
    int rc = kn_webhook_load_all(q->db, ret, ret_n, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int apply(kn_webhook *w, const kn_webhook_edit *edit, kn_err *err)
{
    if (edit->url) {
        char *url = kn_strdup(edit->url);
        if (!url)
            return kn_fail(err, KN_ENOMEM, "no memory for an address");
        free(w->url);
        w->url = url;
    }
    if (edit->states)
        w->states = edit->states;
    if (edit->is_active) {
        w->is_active = *edit->is_active;
        free(w->why);
        w->why = NULL;
    }
    return 0;
}

int kn_queue_webhook_edit(kn_queue *q, const char *id, const kn_webhook_edit *edit, kn_webhook *ret,
                          kn_err *err)
{
    kn_webhook w = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = kn_webhook_load(q->db, id, &w, err);
    if (!rc)
        rc = apply(&w, edit, err);
    if (!rc)
        rc = store(q->db, &w, err);
    return end(q, rc, &w, ret, err);
}

static int remove_rows(kn_db *db, const char *sql, const char *id, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, sql);
    kn_stmt_text(&st, id);
    return kn_stmt_run(&st, err);
}

int kn_queue_webhook_remove(kn_queue *q, const char *id, kn_err *err)
{
    kn_webhook w = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = kn_webhook_load(q->db, id, &w, err);
    if (!rc)
        rc = remove_rows(q->db, "DELETE FROM deliveries WHERE webhook_id = ?", id, err);
    if (!rc)
        rc = remove_rows(q->db, "DELETE FROM webhooks WHERE id = ?", id, err);
    return end(q, rc, &w, NULL, err);
}
