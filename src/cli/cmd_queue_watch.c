/* kinora queue watch: a job's progress as generate shows its own. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/queue.h"
#include "jobs/job.h"

enum { POLL_MS = 200, PATIENCE_S = 30 };

typedef struct watch {
    kn_progress out;
    bool json, is_open; /* a phase is shown */
    kn_event last;      /* of that phase */
    char text[256], state[16];
} watch;

static bool parse_phase(const char *name, kn_phase *ret)
{
    for (int i = 0; i < KN_PHASE_COUNT; i++)
        if (strcmp(kn_phase_name((kn_phase)i), name) == 0) {
            *ret = (kn_phase)i;
            return true;
        }
    return false;
}

static void show(watch *w, kn_event_kind kind)
{
    w->last.kind = kind;
    w->last.text = w->text;
    kn_progress_event(&w->out, &w->last);
}

static void close_phase(watch *w)
{
    if (w->is_open)
        show(w, KN_EVENT_PHASE_END);
    w->is_open = false;
}

static bool is_final(const json_t *job)
{
    kn_job_state state;
    return kn_job_state_parse(kn_queue_text(job, "state"), &state, NULL) == 0 && kn_job_state_is_final(state);
}

/* What a job does that is no phase of its run: it waits, is planned, is paused. */
static void show_state(watch *w, const json_t *job)
{
    kn_phase phase;
    const char *state = kn_queue_text(job, "state");
    if (strcmp(state, w->state) == 0)
        return;
    snprintf(w->state, sizeof w->state, "%s", state);
    if (parse_phase(state, &phase) || is_final(job)) /* what says more comes next */
        return;
    close_phase(w);
    if (w->json) {
        kn_cli_print(json_pack("{s:s, s:s}", "event", "state", "state", state));
    } else {
        kn_progress_clear(&w->out);
        fprintf(w->out.out, "%s\n", state);
    }
}

static int64_t count(const json_t *v)
{
    json_int_t n = json_integer_value(v);
    return n > 0 && n < INT32_MAX ? n : 0;
}

static void show_progress(watch *w, const json_t *p)
{
    kn_phase phase;
    const json_t *eta = json_object_get(p, "eta_s");
    if (!parse_phase(kn_queue_text(p, "phase"), &phase))
        return;
    int64_t done = count(json_object_get(p, "done"));
    bool is_new = !w->is_open || phase != w->last.phase || done < w->last.done;
    if (is_new)
        close_phase(w);
    snprintf(w->text, sizeof w->text, "%s", kn_queue_text(p, "text"));
    bool has_more = is_new || done != w->last.done;
    w->last = (kn_event){.phase = phase,
                         .done = done,
                         .total = count(json_object_get(p, "total")),
                         .elapsed_s = kn_queue_seconds(json_object_get(p, "elapsed_s")),
                         .unit_s = kn_queue_seconds(json_object_get(p, "unit_s")),
                         .eta_s = json_is_number(eta) ? kn_queue_seconds(eta) : -1};
    w->is_open = true;
    if (is_new)
        show(w, KN_EVENT_PHASE);
    if (has_more && done)
        show(w, KN_EVENT_STEP);
}

static int end(watch *w, const json_t *job, kn_err *err)
{
    const char *id = kn_queue_text(job, "id"), *state = kn_queue_text(job, "state");
    const json_t *error = json_object_get(job, "error"), *result = json_object_get(job, "result");
    char took[32], line[4096];
    close_phase(w);
    kn_progress_clear(&w->out);
    if (strcmp(state, "cancelled") == 0)
        return kn_fail(err, KN_ECANCELLED, "%s was cancelled", id);
    if (strcmp(state, "failed") == 0)
        return kn_fail(err, kn_err_code(kn_queue_text(error, "code")), "%s: %s", id,
                       kn_queue_text(error, "message"));
    if (w->json) {
        json_t *o = json_is_object(result) ? json_copy((json_t *)(uintptr_t)result) : json_object();
        json_object_set_new(o, "event", json_string("done"));
        json_object_set_new(o, "id", json_string(id));
        kn_cli_print(o);
    } else {
        fprintf(w->out.out, "%s  %s in all\n",
                kn_cli_one_line(*kn_queue_text(result, "output") ? kn_queue_text(result, "output") : id, 900,
                                line, sizeof line),
                kn_format_seconds(kn_queue_seconds(json_object_get(result, "seconds")), took, sizeof took));
    }
    return 0;
}

/* A server that is started again takes a moment; its jobs do not mind. */
static int ask(kn_client *c, const char *id, double *last_s, json_t **ret, kn_err *err)
{
    int rc = kn_queue_job(c, id, ret, err);
    if (rc == KN_EIO && *last_s > 0 && kn_clock_s() - *last_s < PATIENCE_S)
        return 0;
    if (!rc)
        *last_s = kn_clock_s();
    return rc;
}

int kn_queue_watch(kn_client *c, const char *id, bool json, kn_err *err)
{
    const atomic_bool *cancel = kn_cli_catch_signals();
    watch w = {.json = json};
    double last_s = 0;
    int rc = 0;
    kn_progress_init(&w.out, json);
    for (bool has_ended = false; !rc && !has_ended;) {
        json_t *job = NULL;
        rc = ask(c, id, &last_s, &job, err);
        if (job)
            show_state(&w, job);
        if (job && (has_ended = is_final(job)))
            rc = end(&w, job, err);
        else if (job && kn_client_is_alone(c))
            rc = kn_fail(err, KN_EBUSY, "%s is %s, and no server runs that works on it; start kinora serve",
                         id, kn_queue_text(job, "state"));
        else if (job)
            show_progress(&w, json_object_get(job, "progress"));
        json_decref(job);
        if (!rc && !has_ended)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
        if (!rc && !has_ended && atomic_load(cancel))
            rc = kn_fail(err, KN_ECANCELLED,
                         "no longer watched; the job goes on (kinora queue cancel %s stops it)", id);
    }
    kn_progress_clear(&w.out);
    return rc;
}

/* The job that runs, else the first that waits. */
static int find_first(kn_client *c, char *id, size_t size, kn_err *err)
{
    json_t *queue = NULL;
    int rc = kn_client_call(c, "GET", "/api/v1/queue?limit=1", NULL, &queue, err);
    const json_t *first = json_array_get(json_object_get(queue, "jobs"), 0);
    if (!rc && !first)
        rc = kn_fail(err, KN_ENOTFOUND, "no job runs or waits");
    if (!rc)
        snprintf(id, size, "%s", kn_queue_text(first, "id"));
    json_decref(queue);
    return rc;
}

int kn_cmd_queue_watch(const kn_args *a)
{
    bool json = false, help = false;
    const char *id = NULL;
    char first[64];
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"json", NULL, "progress and result as JSON lines", &json, NULL}, KN_CLIENT_SWITCHES(o), {0}};
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &id, 1, &help, &err);
    if (help) {
        kn_args_help(
            a,
            &(kn_usage){"queue watch [ID]", switches, false,
                        "Without an id: the job that runs, else the first in line. Ends with the job's exit "
                        "code; Ctrl-C ends\nthe watching only.",
                        NULL});
        return 0;
    }
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc && !id && !(rc = find_first(c, first, sizeof first, &err)))
        id = first;
    if (!rc)
        rc = kn_queue_watch(c, id, json, &err);
    return kn_client_end(c, rc, json, &err);
}
