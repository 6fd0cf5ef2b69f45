/* kinora queue cancel, pause, resume, retry, remove. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/queue.h"

typedef struct act {
    const char *name;     /* of the command, and of the route */
    const char *of_queue; /* route without an id; NULL: ids are needed */
    const char *notes;
} act;

static void print_done(const act *a, const char *id, json_t *take, bool json)
{
    const char *wish = kn_queue_text(take, "wish");
    char line[512], state[128];
    if (json) {
        kn_cli_print(take);
        return;
    }
    printf("%s  %s%s\n", kn_cli_one_line(id, 64, line, sizeof line),
           strcmp(a->name, "remove") == 0
               ? "removed"
               : kn_cli_one_line(kn_queue_text(take, "state"), 16, state, sizeof state),
           *wish ? ", stops at its next operation" : "");
    json_decref(take);
}

static int act_on(kn_client *c, const act *a, const char *id, bool json, kn_err *err)
{
    bool removes = strcmp(a->name, "remove") == 0;
    json_t *answer = NULL;
    char *path = kn_queue_path(id, removes ? "" : a->name);
    int rc = path ? kn_client_call(c, removes ? "DELETE" : "POST", path, NULL, &answer, err)
                  : kn_fail(err, KN_EINVAL, "no id of a job");
    free(path);
    if (!rc)
        print_done(a, id, answer, json);
    return rc;
}

static int act_on_queue(kn_client *c, const act *a, bool json, kn_err *err)
{
    json_t *answer = NULL;
    int rc = kn_client_call(c, "POST", a->of_queue, NULL, &answer, err);
    if (rc)
        return rc;
    if (json)
        kn_cli_print(json_incref(answer));
    else
        printf("%s\n",
               json_is_true(json_object_get(answer, "paused"))
                   ? "The queue is held: no job is begun until kinora queue resume; those that run go on."
                   : "The queue goes on.");
    json_decref(answer);
    return 0;
}

/* Every job is tried; the first failure is what the command ends with, the others are printed. */
static int act_on_all(kn_client *c, const act *a, const char **ids, bool json, kn_err *err)
{
    int rc = 0;
    for (; *ids; ids++) {
        kn_err why = {0};
        if (!act_on(c, a, *ids, json, &why))
            continue;
        if (rc)
            kn_cli_fail(&why);
        else
            rc = kn_fail(err, why.code, "%s", why.msg);
    }
    return rc;
}

static int run(const kn_args *args, const act *a)
{
    bool json = false, help = false;
    const char *ids[KN_LIMIT_COMMAND_IDS + 1] = {NULL};
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"json", NULL, "what became of each as a JSON line", &json, NULL}, KN_CLIENT_SWITCHES(o), {0}};
    kn_err err = {0};
    int rc = kn_args_parse(args, NULL, switches, ids, KN_LIMIT_COMMAND_IDS, &help, &err);
    if (help) {
        char *usage = kn_asprintf("queue %s %s", a->name, a->of_queue ? "[ID...]" : "ID...");
        kn_args_help(args, &(kn_usage){usage ? usage : a->name, switches, false, a->notes, NULL});
        free(usage);
        return 0;
    }
    if (!rc && !ids[0] && !a->of_queue)
        rc = kn_fail(&err, KN_EINVAL, "say the id of a job, or several; kinora queue lists them");
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc)
        rc = ids[0] ? act_on_all(c, a, ids, json, &err) : act_on_queue(c, a, json, &err);
    return kn_client_end(c, rc, json, &err);
}

int kn_cmd_queue_cancel(const kn_args *a)
{
    return run(a, &(act){"cancel", NULL, NULL});
}

int kn_cmd_queue_pause(const kn_args *a)
{
    return run(a, &(act){"pause", "/api/v1/queue/pause",
                         "Without an id no further job is begun, also after a restart."});
}

int kn_cmd_queue_resume(const kn_args *a)
{
    return run(a, &(act){"resume", "/api/v1/queue/resume", "Without an id the queue goes on."});
}

int kn_cmd_queue_retry(const kn_args *a)
{
    return run(a, &(act){"retry", NULL, NULL});
}

int kn_cmd_queue_remove(const kn_args *a)
{
    return run(a, &(act){"remove", NULL, "A job that runs is stopped first. Its video goes, too."});
}
