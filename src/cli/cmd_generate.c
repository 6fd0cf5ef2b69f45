/* kinora generate */
#include <stdlib.h>
#include <string.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/timeline.h"
#include "cli/cli.h"

static void print_result(const kn_model_desc *desc, const kn_result *r, bool json)
{
    char peak[32], total[32];
    if (json) {
        json_t *o = kn_result_to_json(desc, r);
        json_object_set_new(o, "event", json_string("done"));
        json_object_set_new(o, "seconds", json_real(r->seconds));
        if (r->output)
            json_object_set_new(o, "output", json_string(r->output)); /* left out if it is not UTF-8 */
        char *text = json_dumps(o, JSON_COMPACT | KN_JSON_DIGITS);
        printf("%s\n", text ? text : "{}");
        free(text);
        json_decref(o);
        return;
    }
    char speed[96] = "";
    if (r->n_computed && r->n_computed < r->n_segments * r->request.steps)
        snprintf(speed, sizeof speed, ", %d of %lld steps computed, sampling %.2f times faster",
                 r->n_computed, (long long)(r->n_segments * r->request.steps), r->speedup);
    fprintf(stderr, "%s  %lldx%lld, %lld frames, seed %lld, %s, peak %s%s, %s in all\n",
            r->output ? r->output : "done", (long long)r->request.width, (long long)r->request.height,
            (long long)r->request.frames, (long long)r->request.seed, kn_dtype_name(r->plan.dtype),
            kn_format_bytes((double)r->peak_bytes, peak, sizeof peak), speed,
            kn_format_seconds(r->seconds, total, sizeof total));
}

/* The output's name decides; what else says something must say the same. */
static int check_format(const kn_request *rq, kn_err *err)
{
    char ext[16];
    kn_path_ext(rq->output, ext, sizeof ext);
    if (!strcmp(ext, rq->format))
        return 0;
    return kn_fail(err, KN_EINVAL,
                   "format: %s, but the output is %.200s; leave --format out, or say -o NAME.%s", rq->format,
                   rq->output, rq->format);
}

static int check(const kn_request *rq, kn_err *err)
{
    if (!rq->model)
        return kn_fail(err, KN_EINVAL, "no model given; say --model NAME|DIR|FILE");
    if (!rq->prompt && !rq->segment_prompts.n)
        return kn_fail(err, KN_EINVAL, "no prompt given; say --prompt TEXT");
    if (!rq->output && !rq->save_tensors)
        return kn_fail(err, KN_EINVAL, "no output given; say -o FILE.mp4 or -o FOLDER/");
    return rq->output && rq->format ? check_format(rq, err) : 0;
}

static int pin_plan(const char *file, kn_request *rq, kn_err *err)
{
    json_t *plan = NULL;
    int rc = kn_json_load(file, &plan, err);
    if (!rc)
        rc = kn_plan_pin(plan, file, rq, err);
    json_decref(plan);
    return rc;
}

/* Written once before the run, so that a name that cannot be is no surprise after hours. */
static int open_timeline(const char *path, kn_timeline **ret, kn_err *err)
{
    if (!path)
        return 0;
    kn_timeline *t = kn_timeline_new();
    if (!t)
        return kn_fail(err, KN_ENOMEM, "no memory for a timeline");
    int rc = kn_timeline_write(t, path, err);
    if (rc)
        kn_timeline_free(t);
    else
        *ret = t;
    return rc;
}

/* Of a run that failed, too: that is when one wants to look. The run's own error goes first. */
static int close_timeline(const char *path, kn_timeline *t, int rc, kn_err *err)
{
    kn_err own = {0};
    int wrote = kn_timeline_write(t, path, &own);
    kn_timeline_free(t);
    return rc || !wrote ? rc : kn_fail(err, wrote, "the video is made, but %s", own.msg);
}

/* What the options say beside the request. */
typedef struct choices {
    bool json, resume;
    const char *encoder, *plan, *timeline;
} choices;

static int run(const kn_model_desc *desc, const char *model_path, const kn_request *rq, const choices *c,
               kn_timeline *timeline, kn_err *err)
{
    kn_progress progress;
    kn_progress_init(&progress, c->json);
    char *state_dir = kn_dir_state(), *cache_dir = kn_dir_cache();
    kn_generate_opts opts = {.event = kn_progress_event,
                             .event_ud = &progress,
                             .cancel = kn_cli_catch_signals(),
                             .encoder = c->encoder,
                             .model_path = model_path,
                             .cache_dir = cache_dir,
                             .state_dir = state_dir,
                             .timeline = timeline,
                             .resume = c->resume};
    kn_result result;
    int rc = kn_generate(desc, rq, &opts, &result, err);
    kn_progress_clear(&progress);
    free(state_dir);
    free(cache_dir);
    if (!rc) {
        print_result(desc, &result, c->json);
        kn_result_done(&result);
    }
    return rc;
}

static int generate(kn_request *rq, const choices *c, kn_err *err)
{
    const kn_model_desc *desc = NULL;
    kn_timeline *timeline = NULL;
    char *path = NULL;
    int rc = check(rq, err);
    if (!rc && c->plan)
        rc = pin_plan(c->plan, rq, err);
    if (!rc)
        rc = kn_model_find(rq->model, &desc, &path, err);
    if (!rc)
        rc = open_timeline(c->timeline, &timeline, err);
    if (!rc) {
        rc = run(desc, path, rq, c, timeline, err);
        rc = close_timeline(c->timeline, timeline, rc, err);
    }
    free(path);
    return rc;
}

int kn_cmd_generate(const kn_args *a)
{
    bool help = false;
    choices c = {0};
    const kn_switch switches[] = {
        {"encoder", "NAME", "video encoder (default: the best that works, kinora doctor lists them)", NULL,
         &c.encoder},
        {"resume", NULL, "go on where the last run of this request stopped; begin if there is none",
         &c.resume, NULL},
        {"plan", "FILE", "run as this plan says (kinora plan --json); other options come first", NULL,
         &c.plan},
        {"timeline", "FILE",
         "write what happened when (phases, steps, blocks, disk) as a trace for https://ui.perfetto.dev",
         NULL, &c.timeline},
        {"json", NULL, "progress and result as JSON lines on standard output", &c.json, NULL},
        {0},
    };
    kn_err err = {0};
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_args_parse(a, &rq, switches, NULL, 0, &help, &err);
    if (help)
        kn_args_help(a, &(kn_usage){"generate --model NAME|DIR|FILE --prompt TEXT -o OUT.mp4 [OPTIONS]",
                                    switches, true, NULL, NULL});
    else if (!rc)
        rc = generate(&rq, &c, &err);
    kn_request_done(&rq);
    if (help)
        return 0;
    if (rc && c.json)
        kn_cli_print_error(&err);
    return rc ? kn_cli_fail(&err) : 0;
}
