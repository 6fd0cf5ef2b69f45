/* Jobs as rows, and back. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"
#include "text/utf8.h"

int kn_job_copy_json(const json_t *v, const char *what, json_t **ret, kn_err *err)
{
    if (!v) {
        *ret = NULL;
        return 0;
    }
    /* Through its text, which is what will be in the row: whatever could not be read back is refused now. */
    size_t size = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (size == 0)
        return kn_fail(err, KN_EINVAL, "%s cannot be written as JSON", what);
    if (size > KN_LIMIT_DB_VALUE_BYTES / 2)
        return kn_fail(err, KN_ELIMIT, "%s has %zu bytes of JSON, at most %d are kept", what, size,
                       (int)KN_LIMIT_DB_VALUE_BYTES / 2);
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for %s", what);
    int rc = kn_json_parse(text, size, what, ret, err);
    free(text);
    return rc;
}

/* ---- reading ---- */

static int read_json(kn_stmt *st, int column, const char *what, json_t **ret, kn_err *err)
{
    const char *text = kn_stmt_get_text(st, column);
    return text ? kn_json_parse(text, strlen(text), what, ret, err) : 0;
}

static int read_text(kn_stmt *st, int column, char **ret, kn_err *err)
{
    const char *text = kn_stmt_get_text(st, column);
    *ret = kn_strdup(text);
    return text && !*ret ? kn_fail(err, KN_ENOMEM, "no memory for a job") : 0;
}

static int read_values(kn_stmt *st, kn_job *j, kn_err *err)
{
    const char *state = kn_stmt_get_text(st, 1);
    int rc = state ? kn_job_state_parse(state, &j->state, err) : kn_fail(err, KN_EFORMAT, "it has no state");
    if (!rc)
        rc = read_text(st, 11, &j->error, err);
    if (!rc)
        rc = read_text(st, 12, &j->output, err);
    if (!rc)
        rc = read_text(st, 13, &j->thumbnail, err);
    if (!rc)
        rc = read_json(st, 14, "its request", &j->request, err);
    if (!rc)
        rc = read_json(st, 15, "its labels", &j->labels, err);
    if (!rc)
        rc = read_json(st, 16, "its plan", &j->plan, err);
    if (!rc)
        rc = read_json(st, 17, "its result", &j->result, err);
    if (!rc && !json_is_object(j->request))
        rc = kn_fail(err, KN_EFORMAT, "its request is no object");
    return rc ? rc : st->err.code ? kn_fail(err, st->err.code, "%s", st->err.msg) : 0;
}

/* The job of the row that a statement for KN_JOB_COLUMNS stands on. */
static int read_row(kn_stmt *st, kn_job *ret, kn_err *err)
{
    kn_job j = {0};
    const char *id = kn_stmt_get_text(st, 0);
    if (!id || !kn_job_id_is_valid(id))
        return kn_fail(err, KN_EFORMAT, "a job has the id \"%.40s\", expected job_ and 20 letters and digits",
                       id ? id : "");
    memcpy(j.id, id, strlen(id) + 1);
    j.wish = (kn_job_wish)kn_stmt_get_int(st, 2);
    j.priority = kn_stmt_get_int(st, 3);
    j.place = kn_stmt_get_int(st, 4);
    j.attempt = kn_stmt_get_int(st, 5);
    j.n_lost = kn_stmt_get_int(st, 6);
    j.created_s = kn_stmt_get_real(st, 7);
    j.started_s = kn_stmt_get_real(st, 8);
    j.finished_s = kn_stmt_get_real(st, 9);
    j.error_code = (int)kn_stmt_get_int(st, 10);
    int rc = read_values(st, &j, err);
    if (rc) {
        kn_err_prefix(err, "%s", j.id);
        kn_job_done(&j);
        return rc;
    }
    *ret = j;
    return 0;
}

int kn_job_load(kn_db *db, const char *id, kn_job *ret, kn_err *err)
{
    if (!kn_job_id_is_valid(id))
        return kn_fail(err, KN_ENOTFOUND, "no job has this id: one is job_ and 20 letters and digits");
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE id = ?");
    kn_stmt_text(&st, id);
    int rc = kn_stmt_step(&st, err);
    if (rc == 0)
        rc = kn_fail(err, KN_ENOTFOUND, "there is no job %s; it may have been deleted", id);
    else if (rc > 0)
        rc = read_row(&st, ret, err);
    kn_stmt_done(&st);
    return rc;
}

static void free_jobs(kn_job *jobs, int n)
{
    for (int i = 0; i < n; i++)
        kn_job_done(&jobs[i]);
    free(jobs);
}

int kn_job_collect(kn_stmt *st, kn_job **ret_jobs, int *ret_n, kn_err *err)
{
    kn_job *jobs = NULL;
    int n = 0, capacity = 0, rc;
    while ((rc = kn_stmt_step(st, err)) > 0) {
        if (n == capacity) {
            kn_job *grown = kn_realloc_array(jobs, (size_t)capacity * 2 + 16, sizeof *jobs);
            if (!grown) {
                rc = kn_fail(err, KN_ENOMEM, "no memory for a list of %d jobs", n);
                break;
            }
            jobs = grown;
            capacity = capacity * 2 + 16;
        }
        rc = read_row(st, &jobs[n], err);
        if (rc)
            break;
        n++;
    }
    kn_stmt_done(st);
    if (rc) {
        free_jobs(jobs, n);
        return rc;
    }
    *ret_jobs = jobs;
    *ret_n = n;
    return 0;
}

/* ---- writing ---- */

/* The texts of a job's values, and the prompt as it is searched. */
typedef struct texts {
    char *request, *labels, *plan, *result, *search;
} texts;

static char *dump(const json_t *v)
{
    return v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

static int make_texts(const kn_job *j, texts *t, kn_err *err)
{
    const char *prompt = json_string_value(json_object_get(j->request, "prompt"));
    t->request = dump(j->request);
    t->labels = dump(j->labels);
    t->plan = dump(j->plan);
    t->result = dump(j->result);
    if (!t->request || (j->labels && !t->labels) || (j->plan && !t->plan) || (j->result && !t->result))
        return kn_fail(err, KN_ENOMEM, "no memory for %s", j->id);
    return kn_utf8_fold(prompt ? prompt : "", prompt ? strlen(prompt) : 0, "the prompt", &t->search, err);
}

int kn_job_store(kn_db *db, const kn_job *j, kn_err *err)
{
    texts t = {0};
    int rc = make_texts(j, &t, err);
    if (!rc) {
        kn_stmt st;
        kn_stmt_init(&st, db,
                     "REPLACE INTO jobs (" KN_JOB_COLUMNS ", search) "
                     "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        kn_stmt_text(&st, j->id);
        kn_stmt_text(&st, kn_job_state_name(j->state));
        const int64_t ints[] = {j->wish, j->priority, j->place, j->attempt, j->n_lost};
        for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
            kn_stmt_int(&st, ints[i]);
        kn_stmt_real(&st, j->created_s);
        kn_stmt_real(&st, j->started_s);
        kn_stmt_real(&st, j->finished_s);
        kn_stmt_int(&st, j->error_code);
        const char *strings[] = {j->error, j->output, j->thumbnail, t.request,
                                 t.labels, t.plan,    t.result,     t.search};
        for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
            kn_stmt_text(&st, strings[i]);
        rc = kn_stmt_run(&st, err);
    }
    free(t.request);
    free(t.labels);
    free(t.plan);
    free(t.result);
    free(t.search);
    return rc;
}
