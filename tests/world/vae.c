/* What the model's VAE makes of clips of the world: encoded, decoded again, compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "models/wan/model.h"
#include "tensor/device.h"
#include "world/commands.h"

enum { CLIP_BYTES = WORLD_FRAMES * WORLD_FRAME_BYTES };

typedef struct coder {
    kn_wan_model *model;
    kn_device *dev;
    kn_ctx c;
    kn_weight_set set;
    kn_wan_vae v;
    uint8_t *given, *back; /* [WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 3] */
    float *pictures;       /* the same, -1..1 */
} coder;

static int load(coder *t, const char *model, const char *dtype, kn_err *err)
{
    kn_request rq;
    kn_dtype act = dtype && strcmp(dtype, "f32") != 0 ? KN_BF16 : KN_F32;
    kn_request_init(&rq);
    int rc = kn_request_set(&rq, "model", model, err);
    if (!rc)
        rc = kn_wan_model_open(&rq, &t->model, err);
    kn_request_done(&rq);
    if (rc || (rc = kn_cpu_device_open(&(kn_cpu_options){0}, &t->dev, err)) ||
        (rc = kn_ctx_init(&t->c, t->dev, act, 0, err)))
        return rc;
    kn_loader l;
    kn_weight_set_init(&t->set, t->dev);
    kn_loader_init(&l, &t->set, t->model->vae_ck, NULL, act);
    kn_wan_vae_load(&t->v, &t->model->vae, &l, KN_WAN_VAE_ENCODER | KN_WAN_VAE_DECODER);
    static const char *const nothing[] = {NULL};
    return kn_loader_finish(&l, nothing, err);
}

static void coder_done(coder *t)
{
    if (t->set.dev)
        kn_weight_set_done(&t->set);
    if (t->c.dev)
        kn_ctx_done(&t->c);
    kn_device_close(t->dev);
    kn_wan_model_close(t->model);
    free(t->given);
    free(t->back);
    free(t->pictures);
}

static int take(void *ud, int64_t first, int64_t n, const float *pictures, kn_err *err)
{
    coder *t = ud;
    if (first + n > WORLD_FRAMES)
        return kn_fail(err, KN_EINTERNAL, "picture %lld of %d", (long long)(first + n), WORLD_FRAMES);
    for (int64_t i = 0; i < n * WORLD_FRAME_BYTES; i++)
        t->back[first * WORLD_FRAME_BYTES + i] = (uint8_t)lrintf((pictures[i] + 1) * 127.5f);
    return 0;
}

/* t->given to t->back. */
static int there_and_back(coder *t, kn_err *err)
{
    const float *frames[WORLD_FRAMES];
    for (int i = 0; i < CLIP_BYTES; i++)
        t->pictures[i] = (float)t->given[i] / 127.5f - 1;
    for (int f = 0; f < WORLD_FRAMES; f++)
        frames[f] = t->pictures + (size_t)f * WORLD_FRAME_BYTES;
    kn_wan_clip clip = {WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, frames};
    kn_scope s = kn_scope_open(&t->c);
    kn_tensor moments = kn_wan_vae_encode(&t->c, &t->v, &clip, NULL, NULL);
    if (!kn_ok(&t->c))
        return kn_ctx_error(&t->c, err);
    kn_tensor mean =
        kn_slice(&t->c, moments, 3, 0, t->model->vae.z_dim); /* the log variance comes after it */
    kn_wan_vae_hooks hooks = {.pictures = take, .ud = t};
    if (!kn_ok(&t->c))
        return kn_ctx_error(&t->c, err);
    int rc = kn_wan_vae_decode(&t->c, &t->v, mean, NULL, &hooks, err);
    kn_scope_close(&t->c, s, (kn_tensor){0});
    return rc;
}

static int measure(coder *t, int n_clips, uint64_t seed, double *ret_mean, double *ret_least, kn_err *err)
{
    double sum = 0, least = INFINITY;
    kn_rng r;
    kn_rng_seed(&r, seed);
    for (int i = 0; i < n_clips; i++) {
        world_scene s;
        world_scene_random(&r, i % 6 == 5 ? 2 : 1, true, &s);
        world_draw_clip(&s, t->given);
        if (there_and_back(t, err))
            return err->code;
        double d = world_psnr(t->given, t->back, CLIP_BYTES);
        sum += d;
        least = fmin(least, d);
    }
    *ret_mean = sum / n_clips;
    *ret_least = least;
    return 0;
}

int world_vae_psnr(const char *model, const char *dtype, int n_clips, uint64_t seed, double *ret_mean,
                   double *ret_least, kn_err *err)
{
    coder t = {0};
    char *folder = kn_path_join(model, "vae");
    bool there = folder && kn_path_is_dir(folder);
    free(folder);
    if (!there)
        return kn_fail(err, KN_ENOTFOUND, "%s has no folder vae", model);
    t.given = kn_calloc(1, CLIP_BYTES);
    t.back = kn_calloc(1, CLIP_BYTES);
    t.pictures = kn_calloc(CLIP_BYTES, sizeof *t.pictures);
    int rc = t.given && t.back && t.pictures ? load(&t, model, dtype, err)
                                             : kn_fail(err, KN_ENOMEM, "no memory for a clip");
    if (!rc)
        rc = measure(&t, n_clips, seed, ret_mean, ret_least, err);
    coder_done(&t);
    return rc;
}
