/* kinora queue: the list, and one job of it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/queue.h"
#include "hub/url.h"

enum { PROMPT_CHARS = 48 };

const kn_command kn_queue_commands[] = {
    {"add", "put a video in line", kn_cmd_queue_add, NULL},
    {"show", "all that is known of a job", kn_cmd_queue_show, NULL},
    {"watch", "follow a job to its end", kn_cmd_queue_watch, NULL},
    {"cancel", "stop jobs", kn_cmd_queue_cancel, NULL},
    {"pause", "stop jobs so that they can go on later; without an id: begin no more jobs", kn_cmd_queue_pause,
     NULL},
    {"resume", "put paused jobs back in line; without an id: begin jobs again", kn_cmd_queue_resume, NULL},
    {"retry", "put failed or cancelled jobs in line again", kn_cmd_queue_retry, NULL},
    {"remove", "remove jobs with their files", kn_cmd_queue_remove, NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- shared ---- */

const char *kn_queue_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

double kn_queue_seconds(const json_t *v)
{
    const double most = 1e11; /* beyond the year 5000 */
    double s = json_number_value(v);
    return s > 0 && s < most ? s : 0;
}

char *kn_queue_path(const char *id, const char *what)
{
    kn_buf b;
    kn_buf_init(&b, 4096);
    kn_buf_puts(&b, "/api/v1/jobs/");
    kn_url_escape(&b, id, "");
    kn_buf_printf(&b, "%s%s", *what ? "/" : "", what);
    return kn_buf_take(&b);
}

int kn_queue_job(kn_client *c, const char *id, json_t **ret, kn_err *err)
{
    char *path = kn_queue_path(id, "");
    int rc =
        path ? kn_client_call(c, "GET", path, NULL, ret, err) : kn_fail(err, KN_EINVAL, "no id of a job");
    free(path);
    return rc;
}

int kn_client_end(kn_client *c, int rc, bool json, const kn_err *err)
{
    kn_client_close(c);
    if (rc && json)
        kn_cli_print_error(err);
    return rc ? kn_cli_fail(err) : 0;
}

static void say_when(const char *title, const json_t *time)
{
    char text[32];
    time_t t = (time_t)kn_queue_seconds(time);
    struct tm tm;
    if (t && localtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm))
        printf("%-10s %s\n", title, text);
}

/* ---- the list ---- */

/* "12/24, 4.2 s left", "12 s", "priority 5". */
static void describe(const json_t *job, char *buf, size_t size)
{
    const json_t *p = json_object_get(job, "progress"), *eta = json_object_get(p, "eta_s");
    long long total = json_integer_value(json_object_get(p, "total"));
    long long priority = json_integer_value(json_object_get(job, "priority"));
    double began = kn_queue_seconds(json_object_get(job, "started_at")),
           ended = kn_queue_seconds(json_object_get(job, "finished_at"));
    char time[32];
    *buf = '\0';
    if (total && json_is_number(eta))
        snprintf(buf, size, "%lld/%lld, %s left", (long long)json_integer_value(json_object_get(p, "done")),
                 total, kn_format_seconds(kn_queue_seconds(eta), time, sizeof time));
    else if (total)
        snprintf(buf, size, "%lld/%lld", (long long)json_integer_value(json_object_get(p, "done")), total);
    else if (ended > began && began > 0)
        snprintf(buf, size, "%s", kn_format_seconds(ended - began, time, sizeof time));
    else if (priority && !json_is_number(json_object_get(job, "finished_at")))
        snprintf(buf, size, "priority %lld", priority);
}

static void print_row(const json_t *job)
{
    enum { NAME_CHARS = 24 };
    char id[128], state[128], detail[64], model[256], prompt[512];
    const char *wish = kn_queue_text(job, "wish");
    describe(job, detail, sizeof detail);
    printf("%-25s %-12s %-20s %-16s %s\n",
           kn_cli_one_line(kn_queue_text(job, "id"), NAME_CHARS, id, sizeof id),
           *wish ? "stopping" : kn_cli_one_line(kn_queue_text(job, "state"), NAME_CHARS, state, sizeof state),
           detail, kn_cli_one_line(kn_queue_text(job, "model"), PROMPT_CHARS, model, sizeof model),
           kn_cli_one_line(kn_queue_text(json_object_get(job, "request"), "prompt"), PROMPT_CHARS, prompt,
                           sizeof prompt));
}

static void print_rows(const json_t *jobs, const char *title)
{
    size_t i;
    json_t *job;
    if (json_array_size(jobs))
        printf("%s\n", title);
    json_array_foreach(jobs, i, job) print_row(job);
}

static void print_list(const kn_client *c, const json_t *queue, const json_t *paused, const json_t *recent)
{
    size_t n = json_array_size(json_object_get(queue, "jobs"));
    if (kn_client_is_alone(c) && n)
        printf("No server runs here: nothing works on the queue until kinora serve is started.\n");
    if (json_is_true(json_object_get(queue, "paused")))
        printf("The queue is held: no job is begun until kinora queue resume.\n");
    print_rows(json_object_get(queue, "jobs"), "running and waiting, in order");
    print_rows(paused, "paused");
    print_rows(recent, "ended, newest first");
    if (!n && !json_array_size(paused) && !json_array_size(recent))
        printf("The queue is empty.\n");
}

static int parse_count(const char *text, long long most, const char *what, long long *ret, kn_err *err)
{
    char *end = NULL;
    if (!text)
        return 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || v < 0 || v > most)
        return kn_fail(err, KN_EINVAL, "--%s: \"%.32s\", expected 0 to %lld", what, text, most);
    *ret = v;
    return 0;
}

/* The next page of the line, added to `queue`; *ret_more: there is another one. */
static int add_page(kn_client *c, json_t *queue, bool *ret_more, kn_err *err)
{
    json_t *jobs = json_object_get(queue, "jobs"), *page = NULL;
    kn_buf b;
    kn_buf_init(&b, 4096);
    kn_buf_puts(&b, "/api/v1/queue?after=");
    kn_url_escape(&b, kn_queue_text(json_array_get(jobs, json_array_size(jobs) - 1), "id"), "");
    char *path = kn_buf_take(&b);
    int rc = path ? kn_client_call(c, "GET", path, NULL, &page, err)
                  : kn_fail(err, KN_EFORMAT, "the server's id of a job is no id");
    free(path);
    size_t n = json_array_size(json_object_get(page, "jobs"));
    *ret_more = n && json_is_true(json_object_get(page, "has_more"));
    if (n)
        json_array_extend(jobs, json_object_get(page, "jobs"));
    json_decref(page);
    return rc;
}

/* The whole line; jobs that move meanwhile may be missing, or there twice, as ever with pages. */
static int fetch_queue(kn_client *c, json_t **ret, kn_err *err)
{
    json_t *queue = NULL;
    int rc = kn_client_call(c, "GET", "/api/v1/queue", NULL, &queue, err);
    bool has_more = json_is_true(json_object_get(queue, "has_more"));
    while (!rc && has_more && json_array_size(json_object_get(queue, "jobs")) < 2 * KN_LIMIT_QUEUE)
        rc = add_page(c, queue, &has_more, err);
    json_object_del(queue, "has_more");
    if (rc)
        json_decref(queue);
    else
        *ret = queue;
    return rc;
}

static int list(kn_client *c, long long n_last, bool json, kn_err *err)
{
    json_t *queue = NULL, *paused = NULL, *ended = NULL;
    char path[96];
    snprintf(path, sizeof path, "/api/v1/jobs?state=completed,failed,cancelled&limit=%lld",
             n_last ? n_last : 1);
    int rc = fetch_queue(c, &queue, err);
    if (!rc)
        rc = kn_client_call(c, "GET", "/api/v1/jobs?state=paused&limit=199", NULL, &paused, err);
    if (!rc)
        rc = kn_client_call(c, "GET", path, NULL, &ended, err);
    if (!rc && !n_last)
        json_array_clear(json_object_get(ended, "jobs"));
    if (!rc && json) {
        json_object_set(queue, "paused_jobs", json_object_get(paused, "jobs"));
        json_object_set(queue, "ended", json_object_get(ended, "jobs"));
        json_object_set_new(queue, "served", json_boolean(!kn_client_is_alone(c)));
        kn_cli_print(json_incref(queue));
    } else if (!rc) {
        print_list(c, queue, json_object_get(paused, "jobs"), json_object_get(ended, "jobs"));
    }
    json_decref(queue);
    json_decref(paused);
    json_decref(ended);
    return rc;
}

int kn_cmd_queue(const kn_args *a)
{
    enum { MOST = 199 };
    bool json = false, help = false;
    const char *last = NULL;
    long long n_last = 5;
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"last", "N", "ended jobs that are shown (default: 5)", NULL, &last},
        {"json", NULL, "one JSON object", &json, NULL},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"queue [COMMAND] [OPTIONS]", switches, false,
                                    "Without COMMAND: what runs and waits, in order, and what ended last.",
                                    kn_queue_commands});
        return 0;
    }
    if (!rc)
        rc = parse_count(last, MOST, "last", &n_last, &err);
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc)
        rc = list(c, n_last, json, &err);
    return kn_client_end(c, rc, json, &err);
}

/* ---- one job ---- */

static void say(const char *title, const char *text)
{
    char line[4096];
    if (*text)
        printf("%-10s %s\n", title, kn_cli_one_line(text, 900, line, sizeof line));
}

static void print_job(const json_t *job)
{
    char detail[64];
    const json_t *error = json_object_get(job, "error"), *result = json_object_get(job, "result");
    char *request = json_dumps(json_object_get(job, "request"), JSON_INDENT(2) | KN_JSON_DIGITS);
    describe(job, detail, sizeof detail);
    say("id", kn_queue_text(job, "id"));
    say("state", kn_queue_text(job, "state"));
    say("wish", kn_queue_text(job, "wish"));
    say(json_is_number(json_object_get(job, "finished_at")) ? "took" : "progress", detail);
    say_when("created", json_object_get(job, "created_at"));
    say_when("started", json_object_get(job, "started_at"));
    say_when("finished", json_object_get(job, "finished_at"));
    say("error", kn_queue_text(error, "message"));
    say("video", kn_queue_text(result, "output"));
    say("encoder", kn_queue_text(result, "encoder"));
    printf("request    %s\n", request ? request : "{}");
    free(request);
}

int kn_cmd_queue_show(const kn_args *a)
{
    bool json = false, help = false;
    const char *id = NULL;
    json_t *job = NULL;
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {{"json", NULL, "one JSON object", &json, NULL}, KN_CLIENT_SWITCHES(o), {0}};
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &id, 1, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"queue show ID", switches, false, NULL, NULL});
        return 0;
    }
    if (!rc && !id)
        rc = kn_fail(&err, KN_EINVAL, "say the id of a job; kinora queue lists them");
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc)
        rc = kn_queue_job(c, id, &job, &err);
    if (!rc && json)
        kn_cli_print(json_incref(job));
    else if (!rc)
        print_job(job);
    json_decref(job);
    return kn_client_end(c, rc, json, &err);
}
