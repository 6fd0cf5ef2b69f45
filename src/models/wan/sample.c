/* Sampling: the transformer (or two experts) inside the denoise loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/run_state.h"
#include "engine/windows.h"
#include "models/wan/loaded.h"
#include "models/wan/preview.h"
#include "models/wan/step_signs.h"

/* What predict needs; lives for one sampling. */
typedef struct sampler {
    kn_wan_model *m;
    kn_run *r;
    const kn_wan_text *text;
    const kn_wan_condition *cond;
    int64_t t, h, w;   /* latent frames and size, references included */
    int64_t positions; /* t * h * w */
    kn_windows windows;
    int64_t in_window;     /* positions of one */
    kn_wan_loaded *loaded; /* NULL: no expert is */
    int expert;            /* which one it is */
    kn_scope scope;        /* holds what is kept over the steps */
    kn_rope rope;
    kn_wan_context contexts[2]; /* prompt, negative prompt */
    kn_tensor control;
    /* host */
    float *input;            /* [t, h, w, in_channels] */
    float *velocity;         /* twice [frames of a window, h, w, out_channels] */
    float *blended;          /* with windows: twice [t, h, w, out_channels] */
    int64_t host_bytes;      /* of what grows with the length, where windows let it be long */
    float *weights;          /* with windows: of kn_windows_weights */
    int32_t *token_timestep; /* TI2V with a picture; NULL otherwise */
    float *control_scale;
    bool *skipped;           /* [KN_WAN_MAX_LAYERS] skip-layer guidance; NULL: none */
    const double *timesteps; /* the schedule's */
    kn_trace trace;
    kn_wan_preview preview;
    kn_wan_probe probe;
} sampler;

static const kn_wan_config *config(const sampler *s)
{
    return &s->m->dit[KN_WAN_HIGH];
}

static void unload(sampler *s)
{
    if (!s->loaded)
        return;
    for (int i = 0; i < 2; i++)
        kn_wan_context_done(&s->contexts[i]);
    memset(s->contexts, 0, sizeof s->contexts);
    kn_scope_close(s->r->ctx, s->scope, (kn_tensor){0});
    kn_wan_unload(s->m, s->r, s->loaded);
    kn_pool_trim(s->r->ctx);
    s->loaded = NULL;
}

/* Prompt and picture states through the embedders, keys and values of every block included. */
static void make_context(sampler *s, int which, const kn_wan_states *states)
{
    kn_ctx *c = s->r->ctx;
    kn_tensor text = kn_from_f32(c, KN_F32, KN_DIMS(states->n_rows, s->text->dim), states->rows), image = {0};
    if (s->cond->image_states)
        image =
            kn_from_f32(c, KN_F32, KN_DIMS(s->cond->n_image, config(s)->image_dim), s->cond->image_states);
    kn_wan_context_init(c, &s->loaded->dit, text, image, NULL, &s->contexts[which]);
    s->contexts[which].n_equal = states->n_equal;
    if (kn_wan_all_stay(s->loaded))
        kn_wan_context_keep_kv(c, &s->loaded->dit, &s->contexts[which]);
    kn_free(c, &text);
    kn_free(c, &image);
}

static void make_control(sampler *s)
{
    if (!s->cond->control)
        return;
    float *last = kn_calloc((size_t)(s->positions * s->cond->n_control), sizeof *last);
    if (!last) {
        kn_ctx_fail(s->r->ctx, KN_ENOMEM, "no memory for the control latents");
        return;
    }
    kn_wan_to_channels_last(s->cond->control, last, s->positions, s->cond->n_control, s->cond->n_control);
    s->control = kn_from_f32(s->r->ctx, KN_F32, KN_DIMS(s->t, s->h, s->w, s->cond->n_control), last);
    free(last);
}

static int load(sampler *s, int expert, kn_err *err)
{
    kn_ctx *c = s->r->ctx;
    const kn_wan_config *f = &s->m->dit[expert];
    int rc = kn_wan_load_expert(s->m, s->r, expert, &s->loaded, err);
    if (rc)
        return rc;
    s->expert = expert;
    s->scope = kn_scope_open(c);
    s->rope =
        kn_wan_rope(c, f->head_dim, s->windows.size / f->patch[0], s->h / f->patch[1], s->w / f->patch[2]);
    make_context(s, 0, &s->text->prompt);
    if (s->text->negative.rows)
        make_context(s, 1, &s->text->negative);
    make_control(s);
    return kn_ctx_error(c, err);
}

static int stage(void *ud, int step, double timestep)
{
    sampler *s = ud;
    (void)step;
    if (!s->m->dit_ck[KN_WAN_LOW])
        return KN_WAN_HIGH;
    return timestep >= s->r->rq->boundary * s->m->scheduler.n_train_timesteps ? KN_WAN_HIGH : KN_WAN_LOW;
}

static int enter(void *ud, int expert, double *ret_guidance, kn_err *err)
{
    sampler *s = ud;
    *ret_guidance = expert == KN_WAN_HIGH ? s->r->rq->guidance : s->r->rq->guidance_2;
    if (s->loaded && s->expert == expert)
        return 0;
    unload(s);
    return load(s, expert, err);
}

/* Latents, then condition channels; with clean first frames (TI2V) those instead of their noise. */
static void fill_input(sampler *s, const float *latents)
{
    int64_t n_in = config(s)->in_channels, z = config(s)->out_channels, frame = s->h * s->w;
    kn_wan_to_channels_last(latents, s->input, s->positions, z, n_in);
    if (s->cond->channels)
        kn_wan_to_channels_last(s->cond->channels, s->input + z, s->positions, s->cond->n_channels, n_in);
    if (s->cond->first_latents)
        kn_wan_to_channels_last(s->cond->first_latents, s->input, s->cond->n_first * frame, z, n_in);
}

/* For the comparison tool: what the transformer is given, in the reference's layout. */
static void trace_input(const sampler *s, int step, double timestep)
{
    kn_run *r = s->r;
    char name[32];
    if (!r->trace)
        return;
    const kn_wan_config *f = config(s);
    int64_t n = s->t / f->patch[0] * (s->h / f->patch[1]) * (s->w / f->patch[2]);
    bool per_token = s->m->expand_timesteps;
    float *times = kn_calloc((size_t)n, sizeof *times);
    for (int64_t i = 0; times && i < n; i++)
        times[i] = s->token_timestep && s->token_timestep[i] ? 0.0f : (float)timestep;
    snprintf(name, sizeof name, "step%d.timestep", step);
    if (times)
        r->trace(r->trace_ud, name, times, 1, (const int64_t[]){per_token ? n : 1});
    free(times);
    float model = (float)stage((void *)(uintptr_t)s, step, timestep) + 1;
    snprintf(name, sizeof name, "step%d.model", step);
    r->trace(r->trace_ud, name, &model, 1, (const int64_t[]){1});
    snprintf(name, sizeof name, "step%d.in", step);
    kn_wan_trace_channels_last(r, name, s->input, s->t, s->h, s->w, f->in_channels);
}

/* A window's velocities into those of the whole, by their share. */
static void blend(const sampler *s, int window, const float *velocity, float *whole)
{
    int64_t n = s->h * s->w * config(s)->out_channels, start = kn_windows_start(&s->windows, window);
    for (int64_t t = 0; t < s->windows.size; t++) {
        float share = s->weights[window * s->windows.size + t];
        const float *from = velocity + t * n;
        float *to = whole + (start + t) * n;
        for (int64_t i = 0; i < n; i++)
            to[i] += share * from[i];
    }
}

/* Velocities of both contexts in one forward, or of the one in `in`: for the prompt (0) or the negative prompt (1). */
static void forward(sampler *s, const kn_wan_input *in, int window, int which, bool pair)
{
    kn_ctx *c = s->r->ctx;
    int64_t n_out = config(s)->out_channels, n = s->in_window * n_out;
    kn_scope scope = kn_scope_open(c);
    kn_tensor v = pair ? kn_wan_transformer_forward_pair(c, &s->loaded->dit, in, &s->contexts[1])
                       : kn_wan_transformer_forward(c, &s->loaded->dit, in);
    if (!kn_is_null(v)) {
        kn_to_f32(c, v, s->velocity + (pair ? 0 : which * n));
        for (int i = pair ? 0 : which; i <= (pair ? 1 : which) && s->blended && !c->dev->is_meta; i++)
            blend(s, window, s->velocity + i * n, s->blended + i * s->positions * n_out);
    }
    kn_scope_close(c, scope, (kn_tensor){0});
}

/* times: of the latents, and 0. */
static kn_wan_input window_input(const sampler *s, int window, const float *times)
{
    int64_t n_in = config(s)->in_channels, start = kn_windows_start(&s->windows, window);
    kn_wan_input in = {.timesteps = times,
                       .n_timesteps = 1,
                       .rope = &s->rope,
                       .control = s->control,
                       .control_scale = s->control_scale,
                       .context = &s->contexts[0]};
    in.latents = kn_from_f32(s->r->ctx, KN_F32, KN_DIMS(s->windows.size, s->h, s->w, n_in),
                             s->input + start * s->h * s->w * n_in);
    if (start == 0 && s->token_timestep) { /* clean first frames are in the first window alone */
        in.n_timesteps = 2;
        in.token_timestep = s->token_timestep;
    }
    return in;
}

static void predict_window(sampler *s, int window, const float *times, bool cfg)
{
    kn_ctx *c = s->r->ctx;
    kn_scope scope = kn_scope_open(c);
    kn_wan_input in = window_input(s, window, times);
    bool pair = cfg && !kn_wan_all_stay(s->loaded); /* blocks that come and go come once */
    forward(s, &in, window, 0, pair);
    in.context = &s->contexts[1];
    if (cfg && !pair)
        forward(s, &in, window, 1, false);
    kn_scope_close(c, scope, (kn_tensor){0});
}

/* Skip-layer guidance: a worse prediction to be guided away from, in the steps that shape what there is. */
static bool skips_layers(const sampler *s, int step)
{
    const kn_request *rq = s->r->rq;
    double done = (double)step / (double)rq->steps;
    return s->skipped && done >= rq->skip_begin && done < rq->skip_end;
}

static int predict(void *ud, int step, double timestep, const float *latents, float *cond, float *uncond,
                   kn_err *err)
{
    sampler *s = ud;
    kn_ctx *c = s->r->ctx;
    const kn_wan_config *f = config(s);
    float times[2] = {(float)timestep, 0.0f};
    fill_input(s, latents);
    trace_input(s, step, timestep);
    s->contexts[1].skipped = skips_layers(s, step) ? s->skipped : NULL;
    int64_t n = s->positions * f->out_channels;
    if (s->blended)
        memset(s->blended, 0, (size_t)n * 2 * sizeof *s->blended);
    for (int i = 0; i < s->windows.n && kn_ok(c); i++)
        predict_window(s, i, times, uncond != NULL);
    const float *velocity = s->blended ? s->blended : s->velocity;
    kn_wan_to_channels_first(velocity, cond, s->positions, f->out_channels);
    if (uncond)
        kn_wan_to_channels_first(velocity + n, uncond, s->positions, f->out_channels);
    return kn_ctx_error(c, err);
}

/* Of windows the first one speaks for all. */
static int probe(void *ud, int step, double timestep, const float *latents, double *ret_change, kn_err *err)
{
    sampler *s = ud;
    kn_ctx *c = s->r->ctx;
    float times[2] = {(float)timestep, 0.0f};
    (void)step;
    fill_input(s, latents);
    kn_scope scope = kn_scope_open(c);
    kn_wan_input in = window_input(s, 0, times);
    kn_wan_probe_run(&s->probe, c, &s->loaded->dit, &in, ret_change);
    kn_scope_close(c, scope, (kn_tensor){0});
    return kn_ctx_error(c, err);
}

static void probe_keep(void *ud)
{
    sampler *s = ud;
    kn_wan_probe_keep(&s->probe);
}

/* One block of one prediction of one window. */
static double probe_cost(const sampler *s)
{
    return 1.0 / ((s->text->negative.rows ? 2 : 1) * kn_wan_n_blocks(config(s)) * s->windows.n);
}

static int cache_table(void *ud, const char *cache, double *ret, kn_err *err)
{
    sampler *s = ud;
    return kn_wan_cache_table(s->m, s->r->ctx, &s->loaded->dit, s->r->rq, s->timesteps, cache, ret, err);
}

static void show(void *ud, const float *clean)
{
    sampler *s = ud;
    kn_wan_preview_show(&s->preview, s->r, clean);
}

/* Tokens of the given first frames have timestep 0: they are clean. */
static int mark_first_frames(sampler *s, kn_err *err)
{
    const int *p = config(s)->patch;
    int64_t frame = s->h / p[1] * (s->w / p[2]), n = s->windows.size / p[0] * frame;
    if (!s->cond->first_latents)
        return 0;
    s->token_timestep = kn_calloc((size_t)n, sizeof *s->token_timestep);
    if (!s->token_timestep)
        return kn_fail(err, KN_ENOMEM, "no memory for %lld timesteps", (long long)n);
    for (int64_t i = 0; i < (s->cond->n_first + p[0] - 1) / p[0] * frame; i++)
        s->token_timestep[i] = 1;
    return 0;
}

static int make_control_scale(sampler *s, kn_err *err)
{
    int n = config(s)->n_vace;
    const kn_reals *given = &s->r->rq->control_scale;
    if (!n)
        return 0;
    s->control_scale = kn_calloc((size_t)n, sizeof *s->control_scale);
    if (!s->control_scale)
        return kn_fail(err, KN_ENOMEM, "no memory for the control scales");
    for (int i = 0; i < n; i++)
        s->control_scale[i] = given->n == 0 ? 1.0f : (float)given->items[given->n == 1 ? 0 : i];
    return 0;
}

static int mark_skipped(sampler *s, kn_err *err)
{
    const kn_reals *layers = &s->r->rq->skip_layers;
    if (!layers->n)
        return 0;
    s->skipped = kn_calloc(KN_WAN_MAX_LAYERS, sizeof *s->skipped);
    if (!s->skipped)
        return kn_fail(err, KN_ENOMEM, "no memory for %d layers", (int)KN_WAN_MAX_LAYERS);
    for (int i = 0; i < layers->n; i++)
        s->skipped[(int)layers->items[i]] = true;
    return 0;
}

static int sampler_init(sampler *s, kn_err *err)
{
    const kn_wan_config *f = config(s);
    s->windows = kn_windows_of(s->r->rq, s->m->vae.scale_temporal);
    if (s->windows.n == 1) /* references stand in front */
        s->windows.size = s->windows.total = s->t;
    s->positions = s->t * s->h * s->w;
    s->in_window = s->windows.size * s->h * s->w;
    s->input = kn_calloc((size_t)(s->positions * f->in_channels), sizeof *s->input);
    s->velocity = kn_calloc((size_t)(s->in_window * f->out_channels), 2 * sizeof *s->velocity);
    if (s->windows.n > 1) {
        s->host_bytes = (s->positions * (f->in_channels + 2 * f->out_channels)) * (int64_t)sizeof(float);
        kn_device_account_host(s->r->ctx->dev, s->host_bytes);
        s->blended = kn_calloc((size_t)(s->positions * f->out_channels), 2 * sizeof *s->blended);
        s->weights = kn_windows_weights(&s->windows);
    }
    if (!s->input || !s->velocity || (s->windows.n > 1 && (!s->blended || !s->weights)))
        return kn_fail(err, KN_ENOMEM, "no memory for %lld latent positions", (long long)s->positions);
    int rc = mark_first_frames(s, err);
    if (!rc)
        rc = make_control_scale(s, err);
    return rc ? rc : mark_skipped(s, err);
}

/* The clean first frames go back in at the end: the solver has moved them. */
static void restore_first_frames(const sampler *s, float *latents)
{
    int64_t given = s->cond->n_first * s->h * s->w;
    for (int64_t k = 0; s->cond->first_latents && k < config(s)->out_channels; k++)
        memcpy(latents + k * s->positions, s->cond->first_latents + k * given,
               (size_t)given * sizeof *latents);
}

int kn_wan_sample(kn_wan_model *m, kn_run *r, const kn_wan_text *text, const kn_wan_condition *cond,
                  float *latents, const int64_t dims[4], kn_err *err)
{
    sampler s = {.m = m, .r = r, .text = text, .cond = cond, .t = dims[1], .h = dims[2], .w = dims[3]};
    kn_scheduler_config sc = m->scheduler;
    kn_scheduler *scheduler = NULL;
    sc.name = r->rq->scheduler;
    sc.flow_shift = r->rq->flow_shift;
    int64_t n = dims[0] * dims[1] * dims[2] * dims[3];
    int first = kn_run_first_step(r);
    int rc = kn_wan_preview_init(&s.preview, m, r, dims, err);
    kn_phase_begin(r, KN_PHASE_LOAD, "transformer", 0);
    if (!rc)
        rc = sampler_init(&s, err);
    if (!rc)
        rc = kn_scheduler_new(&sc, (int)r->rq->steps, n, &scheduler, err);
    if (!rc)
        rc = load(&s, stage(&s, first, scheduler->timesteps[first]), err);
    kn_phase_end(r);
    kn_phase_begin(r, KN_PHASE_SAMPLE, "", r->rq->steps);
    if (!rc && r->trace) {
        float sigmas[KN_LIMIT_STEPS + 1];
        for (int i = 0; i <= scheduler->n_steps; i++)
            sigmas[i] = (float)scheduler->sigmas[i];
        r->trace(r->trace_ud, "sched.sigmas", sigmas, 1, (const int64_t[]){scheduler->n_steps + 1});
        for (int i = 0; i < scheduler->n_steps; i++)
            sigmas[i] = (float)scheduler->timesteps[i];
        r->trace(r->trace_ud, "sched.timesteps", sigmas, 1, (const int64_t[]){scheduler->n_steps});
    }
    kn_denoise d = {.scheduler = scheduler,
                    .latents = latents,
                    .n = n,
                    .cfg = text->negative.rows != NULL,
                    .ud = &s,
                    .predict = predict,
                    .stage = stage,
                    .enter = enter,
                    .table = cache_table,
                    .probe = probe,
                    .probe_keep = probe_keep,
                    .probe_cost = probe_cost(&s),
                    .preview = show};
    s.timesteps = scheduler ? scheduler->timesteps : NULL;
    if (!rc)
        rc = kn_denoise_run(r, &d, err);
    unload(&s);
    kn_device_account_host(r->ctx->dev, -s.host_bytes);
    kn_wan_probe_done(&s.probe, r->ctx->dev);
    restore_first_frames(&s, latents);
    kn_phase_end(r);
    kn_scheduler_free(scheduler);
    free(s.input);
    free(s.velocity);
    free(s.blended);
    free(s.weights);
    free(s.token_timestep);
    free(s.control_scale);
    free(s.skipped);
    kn_wan_preview_done(&s.preview);
    return rc;
}
