/* What is to be told, and how telling it went. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "jobs/job_json.h"
#include "jobs/queue_internal.h"

#define COLUMNS "id, webhook_id, job_id, event, state, created_s, due_s, attempts"

const char *kn_delivery_state_name(kn_delivery_state s)
{
    static const char *const names[] = {
#define X(sym, name) name,
        KN_DELIVERY_STATE_LIST(X)
#undef X
    };
    return names[s];
}

void kn_delivery_done(kn_delivery *d)
{
    json_decref(d->attempts);
    free(d->body);
    *d = (kn_delivery){0};
}

/* ---- making them ---- */

/* "2026-11-28T16:26:11.042Z" */
static void write_time(double s, char *buf, size_t size)
{
    int64_t ms = (int64_t)(s * 1000 + 0.5);
    time_t whole = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "";
    if (gmtime_r(&whole, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf, size, "%s.%03dZ", text, (int)(ms % 1000));
}

static char *write_body(const kn_job *j, double now_s, bool is_whole)
{
    static const char *const large[] = {"request", "labels", "plan", "result"};
    char when[48];
    json_t *data = kn_job_to_json(j, NULL);
    write_time(now_s, when, sizeof when);
    for (size_t i = 0; data && !is_whole && i < sizeof large / sizeof *large; i++)
        json_object_set_new(data, large[i], json_null());
    json_t *o =
        data ? json_pack("{s:o, s:s, s:o}", "type", json_sprintf("job.%s", kn_job_state_name(j->state)),
                         "timestamp", when, "data", data)
             : NULL;
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(o);
    return text;
}

/* What is over goes beyond the one limit, everything beyond the other. */
static int forget_old(kn_db *db, const char *webhook_id, kn_err *err)
{
    static const struct {
        const char *sql;
        int64_t keep;
    } rules[] = {
        {"DELETE FROM deliveries WHERE webhook_id = ?1 AND state <> 'waiting' AND number <= (SELECT number "
         "FROM "
         "deliveries WHERE webhook_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
         KN_LIMIT_DELIVERIES},
        {"DELETE FROM deliveries WHERE webhook_id = ?1 AND number <= (SELECT number FROM deliveries WHERE "
         "webhook_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
         KN_LIMIT_DELIVERIES_WAITING},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof rules / sizeof *rules; i++) {
        kn_stmt st;
        kn_stmt_init(&st, db, rules[i].sql);
        kn_stmt_text(&st, webhook_id);
        kn_stmt_int(&st, rules[i].keep);
        rc = kn_stmt_run(&st, err);
    }
    return rc;
}

static int add(kn_queue *q, const kn_webhook *w, const kn_job *j, const char *body, double now_s, kn_err *err)
{
    char id[KN_WEBHOOK_ID_BYTES];
    int rc = kn_webhook_new_id(q, "msg_", id, err);
    if (rc)
        return rc;
    kn_stmt st;
    kn_stmt_init(&st, q->db,
                 "INSERT INTO deliveries (" COLUMNS ", body) VALUES (?, ?, ?, ?, 'waiting', ?, ?, '[]', ?)");
    kn_stmt_text(&st, id);
    kn_stmt_text(&st, w->id);
    kn_stmt_text(&st, j->id);
    kn_stmt_text(&st, kn_job_state_name(j->state));
    kn_stmt_real(&st, now_s);
    kn_stmt_real(&st, now_s);
    kn_stmt_text(&st, body);
    rc = kn_stmt_run(&st, err);
    return rc ? rc : forget_old(q->db, w->id, err);
}

static bool is_wanted(const kn_webhook *w, const kn_job *j)
{
    return w->is_active && w->states & 1u << j->state;
}

int kn_delivery_add_all(kn_queue *q, const kn_job *j, kn_err *err)
{
    kn_webhook *all = NULL;
    char *body = NULL;
    double now_s = kn_queue_now_s();
    int n = 0, rc = kn_webhook_load_all(q->db, &all, &n, err);
    for (int i = 0; !rc && i < n; i++) {
        if (!is_wanted(&all[i], j))
            continue;
        if (!body)
            body = write_body(j, now_s, true);
        if (body && strlen(body) > KN_LIMIT_WEBHOOK_BODY_BYTES) {
            free(body);
            body = write_body(j, now_s, false);
        }
        rc = body ? add(q, &all[i], j, body, now_s, err)
                  : kn_fail(err, KN_ENOMEM, "no memory to tell of %s", j->id);
    }
    for (int i = 0; i < n; i++)
        kn_webhook_done(&all[i]);
    free(all);
    free(body);
    return rc;
}

/* ---- reading them ---- */

static int parse_state(const char *name, kn_delivery_state *ret, kn_err *err)
{
    for (int i = 0; name && i < KN_DELIVERY_STATE_COUNT; i++)
        if (!strcmp(name, kn_delivery_state_name((kn_delivery_state)i))) {
            *ret = (kn_delivery_state)i;
            return 0;
        }
    return kn_fail(err, KN_EFORMAT, "a delivery is \"%.40s\", which is no state of one", name ? name : "");
}

static void copy_id(kn_stmt *st, int column, char ret[KN_WEBHOOK_ID_BYTES])
{
    const char *text = kn_stmt_get_text(st, column);
    snprintf(ret, KN_WEBHOOK_ID_BYTES, "%s", text ? text : "");
}

static int read_row(kn_stmt *st, kn_delivery *ret, kn_err *err)
{
    kn_delivery d = {.created_s = kn_stmt_get_real(st, 5), .due_s = kn_stmt_get_real(st, 6)};
    const char *event = kn_stmt_get_text(st, 3);
    copy_id(st, 0, d.id);
    copy_id(st, 1, d.webhook_id);
    copy_id(st, 2, d.job_id);
    int rc = kn_job_state_parse(event ? event : "", &d.event, err);
    if (!rc)
        rc = parse_state(kn_stmt_get_text(st, 4), &d.state, err);
    const char *attempts = rc ? NULL : kn_stmt_get_text(st, 7);
    if (attempts)
        rc = kn_json_parse(attempts, strlen(attempts), "attempts", &d.attempts, err);
    if (!rc && !json_is_array(d.attempts))
        rc = kn_fail(err, KN_EFORMAT, "the attempts of a delivery are no list");
    if (rc)
        kn_delivery_done(&d);
    else
        *ret = d;
    return rc;
}

static int load(kn_db *db, const char *id, kn_delivery *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT " COLUMNS ", body FROM deliveries WHERE id = ?");
    kn_stmt_text(&st, id);
    int rc = kn_stmt_step(&st, err);
    if (rc == 0)
        rc = kn_fail(err, KN_ENOTFOUND, "there is no delivery \"%.40s\"; it may have been deleted", id);
    else if (rc > 0)
        rc = read_row(&st, ret, err);
    if (!rc && !(ret->body = kn_strdup(kn_stmt_get_text(&st, 8)))) {
        kn_delivery_done(ret);
        rc = kn_fail(err, KN_ENOMEM, "no memory for a delivery");
    }
    kn_stmt_done(&st);
    return rc;
}

static bool is_among(const char *id, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(id, list[i]))
            return true;
    return false;
}

/* The first one of a webhook that is not busy; "": none. */
static int find_first(kn_db *db, const char *const *busy, int n_busy, char ret_id[KN_WEBHOOK_ID_BYTES],
                      double *ret_due_s, kn_err *err)
{
    int rc;
    kn_stmt st;
    *ret_id = '\0';
    *ret_due_s = 0;
    kn_stmt_init(
        &st, db,
        "SELECT d.id, d.webhook_id, d.due_s FROM webhooks w JOIN deliveries d ON d.number = (SELECT number "
        "FROM deliveries WHERE webhook_id = w.id AND state = 'waiting' ORDER BY due_s, number LIMIT 1) "
        "WHERE w.is_active = 1 ORDER BY d.due_s, d.number");
    while ((rc = kn_stmt_step(&st, err)) > 0) {
        const char *webhook_id = kn_stmt_get_text(&st, 1);
        if (!webhook_id || is_among(webhook_id, busy, n_busy))
            continue;
        copy_id(&st, 0, ret_id);
        *ret_due_s = kn_stmt_get_real(&st, 2);
        break;
    }
    kn_stmt_done(&st);
    return rc < 0 ? rc : 0;
}

int kn_queue_delivery_next(kn_queue *q, double now_s, const char *const *busy, int n_busy, kn_delivery *ret,
                           kn_webhook *ret_webhook, double *ret_due_s, kn_err *err)
{
    char id[KN_WEBHOOK_ID_BYTES];
    pthread_mutex_lock(&q->lock);
    int rc = find_first(q->db, busy, n_busy, id, ret_due_s, err);
    if (!rc && (!*id || *ret_due_s > now_s))
        rc = kn_fail(err, KN_ENOTFOUND, "nothing is to be delivered now");
    if (!rc)
        rc = load(q->db, id, ret, err);
    if (!rc && (rc = kn_webhook_load(q->db, ret->webhook_id, ret_webhook, err)))
        kn_delivery_done(ret);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

int kn_queue_delivery_list(kn_queue *q, const char *webhook_id, const char *before, int limit,
                           kn_delivery **ret, int *ret_n, kn_err *err)
{
    int n = 0, rc;
    KN_ASSERT(limit > 0 && limit <= KN_LIMIT_JOB_PAGE);
    kn_delivery *list = kn_calloc((size_t)limit, sizeof *list);
    if (!list)
        return kn_fail(err, KN_ENOMEM, "no memory for a list of deliveries");
    kn_stmt st;
    pthread_mutex_lock(&q->lock);
    kn_stmt_init(&st, q->db,
                 "SELECT " COLUMNS
                 " FROM deliveries WHERE webhook_id = ?1 AND (?2 IS NULL OR number < (SELECT "
                 "number FROM deliveries WHERE id = ?2)) ORDER BY number DESC LIMIT ?3");
    kn_stmt_text(&st, webhook_id);
    kn_stmt_text(&st, before);
    kn_stmt_int(&st, limit);
    while ((rc = kn_stmt_step(&st, err)) > 0 && !(rc = read_row(&st, &list[n], err)))
        n++;
    kn_stmt_done(&st);
    pthread_mutex_unlock(&q->lock);
    if (!rc) {
        *ret = list;
        *ret_n = n;
        return 0;
    }
    while (n)
        kn_delivery_done(&list[--n]);
    free(list);
    return rc;
}

/* ---- how it went ---- */

static int note_attempt(kn_db *db, kn_delivery *d, const kn_delivery_attempt *a, kn_err *err)
{
    json_t *entry = json_pack("{s:f, s:o, s:o, s:I}", "at", a->at_s, "status",
                              a->status ? json_integer(a->status) : json_null(), "error",
                              a->error ? kn_json_text(a->error) : json_null(), "ms", (json_int_t)a->took_ms);
    char *text = json_array_append_new(d->attempts, entry)
                     ? NULL
                     : json_dumps(d->attempts, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for an attempt");
    kn_stmt st;
    kn_stmt_init(&st, db, "UPDATE deliveries SET state = ?, due_s = ?, attempts = ? WHERE id = ?");
    kn_stmt_text(&st, kn_delivery_state_name(a->state));
    kn_stmt_real(&st, a->due_s);
    kn_stmt_text(&st, text);
    kn_stmt_text(&st, d->id);
    int rc = kn_stmt_run(&st, err);
    free(text);
    return rc;
}

static int switch_off(kn_db *db, const char *webhook_id, const char *why, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "UPDATE webhooks SET is_active = 0, why = ? WHERE id = ?");
    kn_stmt_text(&st, why);
    kn_stmt_text(&st, webhook_id);
    return kn_stmt_run(&st, err);
}

int kn_queue_delivery_settle(kn_queue *q, const char *id, const kn_delivery_attempt *a, kn_err *err)
{
    kn_delivery d = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = load(q->db, id, &d, err);
    if (!rc)
        rc = note_attempt(q->db, &d, a, err);
    if (!rc && a->switch_off)
        rc = switch_off(q->db, d.webhook_id, a->switch_off, err);
    if (!rc)
        rc = kn_db_commit(q->db, err);
    if (rc)
        kn_db_rollback(q->db);
    pthread_mutex_unlock(&q->lock);
    kn_delivery_done(&d);
    return rc;
}
