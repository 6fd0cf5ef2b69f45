#define _GNU_SOURCE
#include "engine/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "engine/fingerprint.h"
#include "engine/run_state.h"
#include "engine/segments.h"
#include "tensor/checkpoint.h"

/* Where pictures go: the sink, the tensor file's buffer, the hash. */
typedef struct output {
    kn_sink *sink;
    float *frames; /* all of them, only when asked for */
    int64_t n_frames, n_expected;
    uint64_t hash;
    size_t frame_floats;
    const kn_generate_opts *opts;
    bool encoder_failed;
} output;

static uint64_t fnv1a(uint64_t hash, const float *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3ull;
    }
    return hash;
}

static int take_picture(output *o, int64_t index, int width, int height, const float *rgb, kn_err *err)
{
    size_t n = (size_t)width * (size_t)height * 3;
    o->hash = fnv1a(o->hash, rgb, n);
    if (o->frames && index < o->n_expected)
        memcpy(o->frames + (size_t)index * n, rgb, n * sizeof *rgb);
    o->n_frames = index + 1;
    if (o->opts->picture)
        o->opts->picture(o->opts->event_ud, index, width, height, rgb);
    if (!o->sink)
        return 0;
    kn_frame *f = NULL;
    int rc = kn_frame_new(width, height, index, &f, err);
    if (rc)
        return rc;
    memcpy(f->rgb, rgb, n * sizeof *rgb);
    rc = kn_sink_put(o->sink, f, err);
    o->encoder_failed = rc == KN_EDEVICE;
    return rc;
}

static int take_pictures(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb,
                         kn_err *err)
{
    size_t size = (size_t)width * (size_t)height * 3;
    for (int64_t i = 0; i < n; i++) {
        int rc = take_picture(ud, first + i, width, height, rgb + (size_t)i * size, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* A run may take hours: what cannot be written at its end is refused before it. */
static int check_writable(const char *path, kn_err *err)
{
    kn_atomic_file file = {0};
    if (kn_path_is_dir(path))
        return kn_fail(err, KN_EINVAL, "save_tensors: %s is a folder, expected the name of a file", path);
    int rc = kn_atomic_open(&file, path, err);
    if (!rc)
        kn_atomic_abort(&file);
    return rc;
}

/* What all attempts of one job share. */
typedef struct job {
    const kn_model_desc *desc;
    void *model;
    kn_device *dev;
    const kn_generate_opts *opts;
    kn_run_state *state;
    kn_run *notes;
    kn_result *res;
    /* encoders that failed at their work, and those that tests make fail */
    kn_sink_fault faults[2 * KN_SINK_ATTEMPTS];
    kn_sink_attempt failed[KN_SINK_ATTEMPTS];
    int n_faults, n_failed;
} job;

static int open_sink(output *o, const job *j, kn_err *err)
{
    kn_result *res = j->res;
    const kn_request *rq = &res->request;
    kn_sink_opts so = {.width = (int)rq->width,
                       .height = (int)rq->height,
                       .fps = rq->fps,
                       .n_frames = rq->frames,
                       .growing = kn_segments_count(rq) > 1,
                       .encoder = j->n_failed ? NULL : j->opts->encoder,
                       .no_software = rq->allow_software_video_fallback &&
                                      strcmp(rq->allow_software_video_fallback, "off") == 0,
                       .faults = j->faults,
                       .n_faults = j->n_faults};
    int n, rc = kn_sink_open(rq->output, &so, &o->sink, err);
    if (rc)
        return rc;
    char *path = kn_strdup(kn_sink_path(o->sink));
    if (!path)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", rq->output);
    free(res->output);
    res->output = path;
    snprintf(res->encoder, sizeof res->encoder, "%s", kn_sink_encoder(o->sink));
    const kn_sink_attempt *tried = kn_sink_attempts(o->sink, &n);
    memcpy(res->encode_attempts, tried, (size_t)n * sizeof *tried);
    res->n_encode_attempts = n;
    return 0;
}

static int open_output(output *o, const job *j, kn_err *err)
{
    const kn_request *rq = &j->res->request;
    int rc = rq->save_tensors ? check_writable(rq->save_tensors, err) : 0;
    if (rc)
        return rc;
    *o = (output){.hash = 0xcbf29ce484222325ull, .n_expected = rq->frames, .opts = j->opts};
    o->frame_floats = (size_t)rq->width * (size_t)rq->height * 3;
    if (rq->save_tensors) {
        o->frames = kn_calloc((size_t)rq->frames, o->frame_floats * sizeof(float));
        if (!o->frames)
            return kn_fail(err, KN_ENOMEM, "no memory for the %lld frames that save_tensors keeps",
                           (long long)rq->frames);
    }
    return rq->output ? open_sink(o, j, err) : 0;
}

static int save_tensors(const output *o, const kn_run *run, kn_err *err)
{
    const kn_request *rq = run->rq;
    kn_save_tensor t[2];
    int n = 0;
    if (run->latents) {
        t[n] = (kn_save_tensor){.name = "latents", .dtype = KN_F32, .n_dims = 5, .data = run->latents};
        memcpy(t[n++].dims, run->latents_dims, sizeof run->latents_dims);
    }
    t[n++] = (kn_save_tensor){.name = "frames",
                              .dtype = KN_F32,
                              .n_dims = 4,
                              .dims = {o->n_frames, rq->height, rq->width, 3},
                              .data = o->frames};
    return kn_checkpoint_save(rq->save_tensors, n, t, err);
}

static int choose_seed(kn_request *rq, kn_err *err)
{
    if (rq->seed != KN_UNSET_INT)
        return 0;
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return kn_fail(err, KN_EIO, "the system gave no random seed; set one");
    rq->seed = seed;
    return 0;
}

static void forward_note(void *ud, const char *text)
{
    kn_run_note(ud, "%s", text);
}

static int finish(const kn_model_desc *desc, output *o, kn_run *run, kn_result *res, kn_err *err)
{
    const kn_request *rq = run->rq;
    int rc = 0;
    kn_phase_begin(run, KN_PHASE_SAVE, rq->output ? rq->output : "", 0);
    if (rq->save_tensors)
        rc = save_tensors(o, run, err);
    snprintf(res->frames_hash, sizeof res->frames_hash, "%016llx", (unsigned long long)o->hash);
    memcpy(res->spans, run->spans, sizeof res->spans);
    res->n_spans = run->n_spans;
    res->peak_bytes = run->peak_bytes;
    res->n_segments = kn_segments_count(rq);
    res->first_step = run->n_resumed;
    res->n_computed = run->n_computed;
    res->speedup = run->speedup;
    if (!rc && o->sink) {
        json_t *meta = kn_result_to_json(desc, res);
        char *text = meta ? json_dumps(meta, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
        json_decref(meta);
        rc = kn_sink_commit(o->sink, text, err);
        o->encoder_failed = rc == KN_EDEVICE;
        o->sink = NULL;
        free(text);
    }
    kn_phase_end(run);
    return rc;
}

/* The state of the request, and what its last run left if that is to be resumed; says why there is none. */
static kn_run_state *open_state(const kn_generate_opts *opts, kn_request *rq, kn_run *notes)
{
    kn_run_state *s = NULL;
    kn_err err = {0};
    if (!opts->state_dir)
        return NULL;
    if (kn_run_state_open(opts->state_dir, rq, &s, &err))
        kn_run_note(notes, "this run cannot be resumed if it is interrupted: %.300s", err.msg);
    else if (opts->resume && kn_run_state_load(s, rq, &err))
        kn_run_note(notes, "nothing to resume%s%.300s", err.code == KN_ENOTFOUND ? "" : ": ",
                    err.code == KN_ENOTFOUND ? "" : err.msg);
    else if (!opts->resume && kn_run_state_is_kept(s))
        kn_run_note(notes, "an interrupted run of this request could have been resumed (--resume); this one "
                           "replaces it as soon as its own steps are saved");
    return s;
}

static int identify_state(kn_run_state *s, const kn_generate_opts *opts, const kn_result *res, kn_run *notes,
                          kn_err *err)
{
    char why[400];
    if (!s)
        return 0;
    uint64_t files = kn_fingerprint_files(&res->request, opts->model_path);
    int rc = kn_run_state_identify(s, &res->request, files, res->device, why, sizeof why, err);
    if (!rc && *why)
        kn_run_note(notes, "%s", why);
    return rc;
}

static void say_policy(const kn_plan *p, kn_run *notes)
{
    char how[160], need[96];
    kn_plan_describe(p, how, sizeof how);
    snprintf(need, sizeof need, "needs %.2f GB of the %.2f GB %s", (double)p->need_bytes / 1e9,
             (double)p->budget_bytes / 1e9,
             p->budget_is_request ? "left in the memory budget" : "that are free");
    if (*how)
        kn_run_note(notes, "%s: %s", how, need);
    else if (!kn_plan_fits(p))
        kn_run_note(notes, "%s: it may be slow", need);
}

/* Runs the plan. *ret_phase: where it ended; *ret_encoder_failed: whether that was the encoder's failure alone. */
static int attempt(const job *j, kn_phase *ret_phase, bool *ret_encoder_failed, kn_err *err)
{
    kn_ctx ctx = {0};
    kn_run run = {0};
    output out = {0};
    kn_result *res = j->res;
    *ret_phase = KN_PHASE_LOAD;
    int rc = open_output(&out, j, err);
    if (!rc)
        rc = kn_ctx_init(&ctx, j->dev, kn_activation_dtype(res->plan.dtype), res->plan.pool_bytes, err);
    if (rc)
        goto out;
    /* after the sink is open: the encoder's threads must not inherit one core */
    if (res->request.pin && strcmp(res->request.pin, "on") == 0)
        kn_parallel_pin();
    ctx.cancel = j->opts->cancel;
    ctx.timeline = j->opts->timeline;
    kn_run_init(&run, &ctx, &res->request);
    run.event = j->opts->event;
    run.event_ud = j->opts->event_ud;
    run.pictures = take_pictures;
    run.pictures_ud = &out;
    run.preview = j->opts->preview;
    run.preview_ud = j->opts->event_ud;
    run.policy = res->plan.policy;
    run.cache_dir = j->opts->cache_dir;
    run.state = j->state;
    run.warm = j->opts->warm;
    run.plan = &res->plan;
    if (j->opts->planned)
        j->opts->planned(j->opts->event_ud, &res->plan);
    say_policy(&res->plan, &run);
    if (out.sink && *kn_sink_note(out.sink))
        kn_run_note(&run, "%s", kn_sink_note(out.sink));
    rc = kn_segments_generate(j->desc, j->model, &run, err);
    if (run.n_spans)
        *ret_phase = run.last_phase;
    if (!rc)
        rc = finish(j->desc, &out, &run, res, err);
out:
    *ret_encoder_failed = rc == KN_EDEVICE && out.encoder_failed;
    kn_sink_abort(out.sink);
    free(out.frames);
    kn_run_done(&run);
    kn_ctx_done(&ctx);
    return rc;
}

/* To what this run has kept so far. */
static int go_back(const job *j, kn_err *err)
{
    if (!j->state || kn_run_state_load(j->state, &j->res->request, NULL))
        return 0;
    return identify_state(j->state, j->opts, j->res, j->notes, err);
}

/* After an attempt that found no memory: a plan that needs less where it failed, going on from what was kept. */
static int reduce(const job *j, kn_phase phase, kn_err *err)
{
    kn_plan *p = &j->res->plan;
    kn_policy less = p->policy;
    char why[160], buf[160];
    snprintf(why, sizeof why, "%.150s", err->msg);
    if (j->opts->warm && kn_warm_bytes(j->opts->warm)) {
        kn_warm_shrink(j->opts->warm, 0);
        kn_run_note(j->notes,
                    "out of memory while %s (%s): trying again without what earlier runs left loaded",
                    kn_phase_name(phase), why);
        return go_back(j, err);
    }
    if (!kn_policy_reduce(&j->res->request, phase, &less))
        return kn_fail(err, KN_ENOMEM, "%.160s; to make it fit: %s", why, kn_plan_advice(p));
    size_t budget = p->budget_bytes;
    bool is_request = p->budget_is_request;
    int rc =
        kn_plan_make(j->desc, j->model, &j->res->request, &less, j->dev, NULL, j->opts->cache_dir, p, err);
    if (rc)
        return rc;
    p->budget_bytes = budget;
    p->budget_is_request = is_request;
    kn_run_note(j->notes, "out of memory while %s (%s): trying again, %s", kn_phase_name(phase), why,
                kn_plan_describe(p, buf, sizeof buf));
    return go_back(j, err);
}

/* After an attempt whose encoder failed: without it. */
static int leave_out(job *j, kn_err *err)
{
    kn_sink_attempt *f = &j->failed[j->n_failed];
    if (j->n_failed == KN_SINK_ATTEMPTS)
        return err->code;
    snprintf(f->name, sizeof f->name, "%s", j->res->encoder);
    snprintf(f->reason, sizeof f->reason, "%.150s", err->msg);
    for (int i = 0; i < j->n_failed; i++)
        if (strcmp(j->failed[i].name, f->name) == 0) /* it is the end of the chain */
            return err->code;
    j->faults[j->n_faults++] = (kn_sink_fault){.encoder = f->name, .reason = f->reason};
    j->n_failed++;
    kn_run_note(j->notes, "%s: trying the next encoder", f->reason);
    return go_back(j, err);
}

/* Everything after the model is open: plan, then run; with less when memory runs out all the same, with another encoder
 * when one fails. */
static int run_model(job *j, kn_err *err)
{
    bool encoder_failed = false;
    kn_phase phase = KN_PHASE_LOAD;
    kn_plan *p = &j->res->plan;
    int rc = kn_plan_choose(j->desc, j->model, &j->res->request, j->dev, NULL, j->opts->cache_dir, p, err);
    if (!rc)
        rc = kn_plan_check(p, err);
    if (rc)
        return rc;
    while ((rc = attempt(j, &phase, &encoder_failed, err)) == KN_ENOMEM || encoder_failed) {
        rc = encoder_failed ? leave_out(j, err) : reduce(j, phase, err);
        if (rc)
            break;
    }
    return rc;
}

static int run_job(const kn_model_desc *desc, void *model, kn_device *dev, const kn_generate_opts *opts,
                   kn_run_state *state, kn_run *notes, kn_result *res, kn_err *err)
{
    job j = {
        .desc = desc, .model = model, .dev = dev, .opts = opts, .state = state, .notes = notes, .res = res};
    KN_ASSERT(opts->n_faults <= KN_SINK_ATTEMPTS);
    for (int i = 0; i < opts->n_faults; i++)
        j.faults[j.n_faults++] = opts->faults[i];
    return run_model(&j, err);
}

int kn_generate(const kn_model_desc *desc, const kn_request *rq, const kn_generate_opts *opts, kn_result *ret,
                kn_err *err)
{
    kn_result res = {0};
    kn_device *dev = NULL;
    void *model = NULL;
    kn_run_state *state = NULL;
    kn_run notes = {.event = opts->event, .event_ud = opts->event_ud};
    double begin = kn_clock_s();
    kn_request_init(&res.request);
    int rc = kn_request_copy(rq, &res.request, err);
    if (!rc)
        state = open_state(opts, &res.request, &notes);
    if (!rc)
        rc = choose_seed(&res.request, err);
    if (!rc)
        rc = kn_model_open(desc, opts->model_path, &res.request, forward_note, &notes, &model, err);
    if (rc)
        goto out;
    kn_cpu_options cpu = {.n_threads = res.request.threads == KN_UNSET_INT ? 0 : (int)res.request.threads};
    rc = opts->warm ? kn_warm_device(opts->warm, res.request.device, &cpu, &dev, err)
                    : kn_device_open(res.request.device, &cpu, &dev, err);
    if (rc)
        goto out;
    snprintf(res.device, sizeof res.device, "%s", dev->description);
    snprintf(res.backend, sizeof res.backend, "%s", dev->name);
    rc = identify_state(state, opts, &res, &notes, err);
    if (!rc)
        rc = run_job(desc, model, dev, opts, state, &notes, &res, err);
    res.seconds = kn_clock_s() - begin;
    if (!rc) {
        kn_run_state_discard(state);
        state = NULL;
        *ret = res;
        res.output = NULL;
        kn_request_init(&res.request);
    }
out:
    if (state && kn_run_state_is_kept(state))
        kn_run_note(&notes, "what was done is kept: the same request with --resume goes on there");
    kn_run_state_close(state);
    desc->close(model);
    if (!opts->warm)
        kn_device_close(dev);
    kn_result_done(&res);
    return rc;
}

void kn_result_done(kn_result *r)
{
    free(r->output);
    r->output = NULL;
    kn_request_done(&r->request);
}

static json_t *attempts_to_json(const kn_result *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->n_encode_attempts; i++) {
        const kn_sink_attempt *a = &r->encode_attempts[i];
        json_array_append_new(
            list, json_pack("{s:s, s:b, s:s}", "name", a->name, "ok", a->ok, "reason", a->reason));
    }
    return list;
}

json_t *kn_result_to_json(const kn_model_desc *desc, const kn_result *r)
{
    json_t *timings = json_array();
    for (int i = 0; i < r->n_spans; i++)
        json_array_append_new(timings, json_pack("{s:s, s:s, s:f, s:I, s:I, s:I}", "phase",
                                                 kn_phase_name(r->spans[i].phase), "detail",
                                                 r->spans[i].detail, "seconds", r->spans[i].seconds, "units",
                                                 (json_int_t)r->spans[i].units, "weights_made",
                                                 (json_int_t)r->spans[i].weights_made, "weights_recalled",
                                                 (json_int_t)r->spans[i].weights_recalled));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o?, s:I, s:s, s:i, s:i, s:I, s:i, s:s, s:s, s:o, s:i, s:i, s:f, s:o}",
        "generator", "kinora", "version", KN_VERSION, "family", desc->name, "device", r->device, "backend",
        r->backend, "request", kn_request_to_json(&r->request), "peak_bytes", (json_int_t)r->peak_bytes,
        "dtype", kn_dtype_name(r->plan.dtype), "blocks", r->plan.n_blocks, "resident_blocks",
        r->plan.policy.n_resident, "vae_tile", (json_int_t)r->plan.policy.vae_tile, "segments", r->n_segments,
        "frames_hash", r->frames_hash, "encoder", r->encoder, "encode_attempts", attempts_to_json(r),
        "first_step", r->first_step, "steps_computed", r->n_computed, "sampling_speedup", r->speedup,
        "timings", timings);
}
