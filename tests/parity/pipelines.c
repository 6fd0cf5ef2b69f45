/* Whole pipelines, from the recorded call to frames. */
#define _GNU_SOURCE
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "media/image.h"
#include "models/models.h"
#include "parity.h"

typedef struct pipeline {
    parity *p;
    const char *run; /* "pipe" */
    float *frames;
    int64_t n_frames, picture, capacity;
    char dir[64]; /* temporary files */
} pipeline;

static void on_value(void *ud, const char *name, const float *data, int n_dims, const int64_t *dims)
{
    pipeline *r = ud;
    char golden[96];
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    snprintf(golden, sizeof golden, "%s.%s", r->run, name);
    if (strcmp(r->run, "pipe") == 0 && strncmp(name, "sched.", 6) == 0)
        snprintf(golden, sizeof golden, "%s", name);
    double tolerance =
        strncmp(name, "cond.", 5) == 0 ? parity_tolerance(r->p) : parity_pipeline_tolerance(r->p);
    parity_check(r->p, golden, data, n, tolerance);
}

static int on_pictures(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb,
                       kn_err *err)
{
    pipeline *r = ud;
    int64_t picture = (int64_t)width * height * 3;
    if (first + n > r->capacity)
        return kn_fail(err, KN_EINTERNAL, "more frames than asked for");
    if (!r->frames)
        r->frames = kn_calloc((size_t)(r->capacity * picture), sizeof *r->frames);
    memcpy(r->frames + first * picture, rgb, (size_t)(n * picture) * sizeof *rgb);
    r->n_frames = first + n;
    r->picture = picture;
    return 0;
}

/* Frames are held to 2/255 in float32, whatever their norm. */
static void check_frames(pipeline *r)
{
    char name[64], detail[96];
    snprintf(name, sizeof name, "%s.frames", r->run);
    const kn_entry *e = NULL;
    float *want = parity_input(r->p, name, &e);
    if (!want)
        return;
    int64_t n = r->n_frames * r->picture;
    double max = 0, diff = 0, norm = 0;
    for (int64_t i = 0; i < n && n == kn_entry_numel(e); i++) {
        double d = fabs((double)r->frames[i] - want[i]);
        max = d > max ? d : max;
        diff += d * d;
        norm += (double)want[i] * want[i];
    }
    double rel = norm > 0 ? sqrt(diff / norm) : 0;
    bool ok = n == kn_entry_numel(e) &&
              (r->p->dtype == KN_F32 ? max <= 2.0 / 255 : rel <= parity_pipeline_tolerance(r->p));
    snprintf(detail, sizeof detail, "rel %.2e  max %.2f/255", rel, max * 255);
    parity_result(r->p, name, ok, detail);
    free(want);
}

static void set(kn_request *rq, const char *name, const char *value, kn_err *err)
{
    if (!err->code)
        kn_request_set(rq, name, value, err);
}

static void set_number(kn_request *rq, const json_t *call, const char *key, const char *param, kn_err *err)
{
    const json_t *v = json_object_get(call, key);
    char text[64];
    if (!json_is_number(v))
        return;
    if (json_is_integer(v))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
    else
        snprintf(text, sizeof text, "%.17g", json_real_value(v));
    set(rq, param, text, err);
}

static void set_picture(parity *p, kn_request *rq, const json_t *call, const char *key, const char *param,
                        kn_err *err)
{
    const char *file = json_string_value(json_object_get(call, key));
    if (!file)
        return;
    char *path = parity_path(p, file);
    set(rq, param, path, err);
    free(path);
}

/* Writes a recorded clip [F, H, W(, 3)] as a folder of PNG files and names it in the request. */
static void set_clip(pipeline *r, kn_request *rq, const json_t *call, const char *key, kn_err *err)
{
    const char *golden = json_string_value(json_object_get(call, key));
    const kn_entry *e = NULL;
    float *clip = golden ? parity_input(r->p, golden, &e) : NULL;
    if (!clip)
        return;
    char folder[128], file[192];
    int64_t h = e->dims[1], w = e->dims[2], ch = e->n_dims == 4 ? 3 : 1;
    snprintf(folder, sizeof folder, "%s/%s", r->dir, key);
    mkdir(folder, 0700);
    for (int64_t f = 0; f < e->dims[0] && !err->code; f++) {
        kn_image im = {0};
        kn_image_new((int)w, (int)h, &im, err);
        for (int64_t i = 0; i < w * h * 3 && im.rgb; i++)
            im.rgb[i] = (uint8_t)clip[(f * w * h + i / 3) * ch + (ch == 3 ? i % 3 : 0)];
        snprintf(file, sizeof file, "%s/%05lld.png", folder, (long long)f);
        kn_image_save_png(&im, file, err);
        kn_image_done(&im);
    }
    free(clip);
    set(rq, key, folder, err);
}

static void set_scales(kn_request *rq, const json_t *call, kn_err *err)
{
    const json_t *v = json_object_get(call, "conditioning_scale");
    char text[32];
    size_t i;
    const json_t *item;
    if (json_is_number(v))
        set_number(rq, call, "conditioning_scale", "control_scale", err);
    json_array_foreach((json_t *)(uintptr_t)v, i, item)
    {
        snprintf(text, sizeof text, "%.17g", json_number_value(item));
        set(rq, "control_scale", text, err);
    }
}

/* The noise of the seed must be the recorded noise; the run then starts from the recorded one. */
static void set_noise(pipeline *r, kn_request *rq, const json_t *call, kn_err *err)
{
    char name[64], file[128];
    snprintf(name, sizeof name, "%s.latents0", r->run);
    const kn_entry *e = kn_checkpoint_find(r->p->golden, name);
    if (!e)
        return;
    int64_t n = kn_entry_numel(e);
    float *noise = kn_calloc((size_t)n, sizeof *noise);
    kn_rng rng;
    kn_rng_seed(&rng, (uint64_t)json_integer_value(json_object_get(call, "noise_seed")));
    kn_rng_normal(&rng, noise, n);
    parity_check(r->p, name, noise, n, 0);
    kn_entry_to_f32(e, noise, err);
    snprintf(file, sizeof file, "%s/noise.safetensors", r->dir);
    kn_save_tensor t = {.name = "latents", .dtype = KN_F32, .n_dims = e->n_dims, .data = noise};
    memcpy(t.dims, e->dims, sizeof t.dims);
    if (!err->code)
        kn_checkpoint_save(file, 1, &t, err);
    set(rq, "latents", file, err);
    free(noise);
}

static void fill_request(pipeline *r, kn_request *rq, const json_t *call, kn_err *err)
{
    parity *p = r->p;
    char *dir = parity_model_dir(p);
    set(rq, "model", dir, err);
    set(rq, "prompt", json_string_value(json_object_get(call, "prompt")), err);
    if (json_string_value(json_object_get(call, "negative_prompt")))
        set(rq, "negative_prompt", json_string_value(json_object_get(call, "negative_prompt")), err);
    set_number(rq, call, "height", "height", err);
    set_number(rq, call, "width", "width", err);
    set_number(rq, call, "num_frames", "frames", err);
    set_number(rq, call, "num_inference_steps", "steps", err);
    set_number(rq, call, "guidance_scale", "guidance", err);
    set_number(rq, call, "guidance_scale_2", "guidance_2", err);
    set_number(rq, call, "max_sequence_length", "max_sequence_length", err);
    set_picture(p, rq, call, "image", "image", err);
    set_picture(p, rq, call, "last_image", "last_image", err);
    set_clip(r, rq, call, "video", err);
    set_clip(r, rq, call, "mask", err);
    set_scales(rq, call, err);
    size_t i;
    const json_t *ref;
    json_array_foreach(json_object_get(call, "reference_images"), i, ref)
    {
        char *path = parity_path(p, json_string_value(ref));
        set(rq, "reference", path, err);
        free(path);
    }
    set(rq, "dtype", kn_dtype_name(p->dtype), err);
    set_noise(r, rq, call, err);
    free(dir);
}

/* A run may use a scheduler folder other than the model's: only its class and shift are taken over. */
static void set_scheduler(pipeline *r, kn_request *rq, const json_t *call, kn_err *err)
{
    const char *folder = json_string_value(json_object_get(call, "scheduler"));
    if (!folder || strcmp(folder, "model/scheduler") == 0)
        return;
    char *dir = parity_path(r->p, folder), *path = kn_path_join(dir, "scheduler_config.json");
    json_t *j = parity_json(r->p, path, err);
    kn_scheduler_config f;
    char shift[32];
    if (j && !kn_scheduler_config_read(j, path, &f, err)) {
        snprintf(shift, sizeof shift, "%.17g", f.flow_shift);
        set(rq, "scheduler", f.name, err);
        set(rq, "flow_shift", shift, err);
    }
    json_decref(j);
    free(dir);
    free(path);
}

static void mark_inputs(pipeline *r)
{
    for (int i = 0; i < kn_checkpoint_count(r->p->golden); i++) {
        const char *name = kn_checkpoint_at(r->p->golden, i)->name;
        size_t n = strlen(r->run);
        if (strncmp(name, r->run, n) == 0 && strncmp(name + n, ".in.", 4) == 0)
            r->p->seen[i] = true; /* the same pictures as the files */
    }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void run_pipeline(parity *p, const char *run, const json_t *call)
{
    pipeline r = {.p = p, .run = run, .dir = "/tmp/kinora-parity-XXXXXX"};
    kn_err err = {0};
    kn_request rq;
    const kn_model_desc *desc = NULL;
    void *model = NULL;
    kn_ctx ctx = {0};
    kn_run kr = {0};
    kn_request_init(&rq);
    if (!mkdtemp(r.dir))
        kn_fail(&err, KN_EIO, "cannot make a temporary folder");
    fill_request(&r, &rq, call, &err);
    set_scheduler(&r, &rq, call, &err);
    mark_inputs(&r);
    int rc = err.code;
    if (!rc)
        rc = kn_model_find(rq.model, &desc, NULL, &err);
    if (!rc)
        rc = desc->open(&rq, &model, &err);
    if (!rc)
        rc = desc->prepare(model, &rq, NULL, NULL, &err);
    if (!rc)
        rc = kn_ctx_init(&ctx, p->dev, p->act, 0, &err);
    if (!rc) {
        kn_run_init(&kr, &ctx, &rq);
        kr.pictures = on_pictures;
        kr.trace = on_value;
        kr.pictures_ud = kr.trace_ud = &r;
        r.capacity = rq.frames;
        rc = desc->generate(model, &kr, &err);
        if (!rc)
            check_frames(&r);
        kn_run_done(&kr);
        kn_ctx_done(&ctx);
    }
    if (rc)
        parity_error(p, run, &err);
    if (desc)
        desc->close(model);
    kn_request_done(&rq);
    free(r.frames);
    nftw(r.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void parity_pipelines(parity *p)
{
    const json_t *runs = json_object_get(p->fixture, "runs");
    const char *name;
    json_t *call;
    if (!runs) {
        call = json_object_get(p->fixture, "call");
        if (call)
            run_pipeline(p, "pipe", call);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)runs, name, call) run_pipeline(p, name, call);
}
