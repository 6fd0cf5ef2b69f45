/* kinora queue add */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/queue.h"
#include "jobs/places.h"

/* What the studio has already needs no upload: its ids are no files here. */
static bool is_id(const char *value)
{
    return (strncmp(value, "upl_", 4) == 0 || strncmp(value, "job_", 4) == 0) && !kn_path_exists(value);
}

/* A file of this machine becomes the id of an upload. */
static int send_file(kn_client *c, const json_t *value, json_t **ret, kn_err *err)
{
    const char *file = json_string_value(value);
    char *id = NULL;
    if (!file || is_id(file)) {
        *ret = json_incref((json_t *)(uintptr_t)value);
        return 0;
    }
    int rc = kn_client_upload(c, file, &id, err);
    if (!rc)
        *ret = json_string(id);
    free(id);
    return rc;
}

static int send_value(kn_client *c, const json_t *value, json_t **ret, kn_err *err)
{
    size_t i;
    json_t *item, *list;
    int rc = 0;
    if (!json_is_array(value))
        return send_file(c, value, ret, err);
    list = json_array();
    json_array_foreach((json_t *)(uintptr_t)value, i, item)
    {
        json_t *sent = NULL;
        if (!rc)
            rc = send_file(c, item, &sent, err);
        if (!rc)
            json_array_append_new(list, sent);
    }
    if (rc)
        json_decref(list);
    else
        *ret = list;
    return rc;
}

static int send_files(kn_client *c, json_t *request, kn_err *err)
{
    for (const kn_param *p = kn_params; p->name; p++) {
        const json_t *value = kn_place_is_media(p->name) ? json_object_get(request, p->name) : NULL;
        json_t *sent = NULL;
        int rc = value ? send_value(c, value, &sent, err) : 0;
        if (rc)
            return kn_err_prefix(err, "%s", p->name);
        if (value && json_object_set_new(request, p->name, sent))
            return kn_fail(err, KN_ENOMEM, "no memory for a request");
    }
    return 0;
}

static int parse_priority(const char *text, json_t *request, kn_err *err)
{
    char *end = NULL;
    long v = text ? strtol(text, &end, 10) : 0;
    if (text && (end == text || *end || v < -100 || v > 100))
        return kn_fail(err, KN_EINVAL, "--priority: \"%.32s\", expected -100 to 100", text);
    return text && json_object_set_new(request, "priority", json_integer(v))
               ? kn_fail(err, KN_ENOMEM, "no memory for a request")
               : 0;
}

typedef struct wanted {
    const char *priority;
    bool watch, json;
} wanted;

static int add(kn_client *c, const kn_request *rq, const wanted *w, kn_err *err)
{
    json_t *job = NULL, *request = kn_request_to_json(rq);
    int rc = request ? parse_priority(w->priority, request, err)
                     : kn_fail(err, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = send_files(c, request, err);
    if (!rc)
        rc = kn_client_call(c, "POST", "/api/v1/jobs", request, &job, err);
    json_decref(request);
    if (rc)
        return rc;
    char id[64];
    snprintf(id, sizeof id, "%s", kn_queue_text(job, "id"));
    if (w->json)
        kn_cli_print(json_incref(job));
    else
        printf("%s\n", id);
    fflush(stdout);
    json_decref(job);
    if (kn_client_is_alone(c) && !w->watch)
        fprintf(stderr, "note: no server runs here; the job waits until kinora serve is started\n");
    return w->watch ? kn_queue_watch(c, id, w->json, err) : 0;
}

int kn_cmd_queue_add(const kn_args *a)
{
    bool help = false;
    wanted w = {0};
    kn_client_opts o = {.may_create = true};
    kn_client *c = NULL;
    kn_request rq;
    const kn_switch switches[] = {
        {"priority", "N", "-100 to 100; the higher, the earlier (default: 0)", NULL, &w.priority},
        {"watch", NULL, "stay and show how the job gets on", &w.watch, NULL},
        {"json", NULL, "the job, and its progress, as JSON lines", &w.json, NULL},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    kn_request_init(&rq);
    int rc = kn_args_parse(a, &rq, switches, NULL, 0, &help, &err);
    if (help)
        kn_args_help(
            a,
            &(kn_usage){"queue add --model NAME --prompt TEXT [OPTIONS as for generate]", switches, true,
                        "Prints the job's id. Pictures and clips are sent to the studio, or named by the "
                        "id of an upload\nor of a job; models and LoRAs are names below its models folder; "
                        "the video goes to its outputs.",
                        NULL});
    if (!rc && !help && !rq.model)
        rc = kn_fail(&err, KN_EINVAL, "no model given; say --model NAME");
    if (!rc && !help)
        rc = kn_client_open(&o, &c, &err);
    if (!rc && !help)
        rc = add(c, &rq, &w, &err);
    kn_request_done(&rq);
    return kn_client_end(c, rc, w.json, &err);
}
