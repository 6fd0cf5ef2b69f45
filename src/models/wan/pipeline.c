/* From request to pictures. */
#include "models/wan/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/run_state.h"
#include "models/wan/loaded.h"

/* ---- decoding ---- */

typedef struct emitter {
    kn_run *r;
    int64_t width, height;
    float *rgb; /* one picture, 0..1 */
} emitter;

static int emit_pictures(void *ud, int64_t first, int64_t n, const float *pictures, kn_err *err)
{
    emitter *e = ud;
    int64_t size = e->width * e->height * 3;
    for (int64_t f = 0; f < n; f++) {
        for (int64_t i = 0; i < size; i++) {
            float v = pictures[f * size + i] / 2.0f + 0.5f;
            e->rgb[i] = v < 0 ? 0 : v > 1 ? 1 : v;
        }
        int rc = e->r->pictures(e->r->pictures_ud, first + f, 1, (int)e->width, (int)e->height, e->rgb, err);
        if (rc)
            return rc;
    }
    return 0;
}

static void decode_progress(void *ud, int64_t done, int64_t total)
{
    emitter *e = ud;
    e->r->units_total = total;
    kn_phase_step(e->r, done);
}

/* Overlap of a quarter, as the reference's default (256 every 192). */
static kn_wan_tiling tiling_of(int64_t tile, int scale)
{
    int size = (int)(tile / scale * scale);
    size = size < 2 * scale ? 2 * scale : size;
    int stride = size * 3 / 4 / scale * scale;
    return (kn_wan_tiling){size, size, stride < scale ? scale : stride, stride < scale ? scale : stride};
}

int kn_wan_decode(kn_wan_model *m, kn_run *r, const float *latents, const int64_t dims[4], kn_err *err)
{
    kn_ctx *c = r->ctx;
    kn_wan_loaded *l = NULL;
    int64_t z = dims[0], positions = dims[1] * dims[2] * dims[3];
    emitter e = {.r = r, .width = dims[3] * m->vae.scale_spatial, .height = dims[2] * m->vae.scale_spatial};
    float *host = kn_calloc((size_t)(positions * z), sizeof *host);
    e.rgb = kn_calloc((size_t)(e.width * e.height), 3 * sizeof *e.rgb);
    kn_phase_begin(r, KN_PHASE_DECODE, "", dims[1]);
    int rc = host && e.rgb ? 0
                           : kn_fail(err, KN_ENOMEM, "no memory for a picture of %lldx%lld",
                                     (long long)e.width, (long long)e.height);
    if (!rc)
        rc = kn_wan_load_decoder(m, r, KN_PHASE_DECODE, &l, err);
    if (!rc) {
        kn_wan_tiling tiling = tiling_of(r->policy.vae_tile, m->vae.scale_spatial);
        kn_wan_vae_hooks hooks = {
            .pictures = r->pictures ? emit_pictures : NULL, .progress = decode_progress, .ud = &e};
        kn_wan_to_channels_last(latents, host, positions, z, z);
        kn_wan_denormalize(&m->vae, host, positions * z);
        kn_scope s = kn_scope_open(c);
        kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(dims[1], dims[2], dims[3], z), host);
        rc = kn_wan_vae_decode(c, &l->vae, x, r->policy.vae_tile > 0 ? &tiling : NULL, &hooks, err);
        kn_scope_close(c, s, (kn_tensor){0});
    }
    kn_wan_unload(m, r, l);
    kn_pool_trim(c);
    kn_phase_end(r);
    free(host);
    free(e.rgb);
    return rc;
}

/* ---- the whole ---- */

/* Cuts `drop` latent frames off the front: [z, drop + t, h, w] -> [z, t, h, w], in place. */
static void cut_front(float *latents, int64_t dims[4], int64_t drop)
{
    int64_t frame = dims[2] * dims[3], kept = dims[1] - drop;
    for (int64_t k = 0; drop && k < dims[0]; k++)
        memmove(latents + k * kept * frame, latents + (k * dims[1] + drop) * frame,
                (size_t)(kept * frame) * sizeof *latents);
    dims[1] = kept;
}

/* Noise to final latents, in place; dims loses the frames of the references. */
static int make_latents(kn_wan_model *m, kn_run *r, float *latents, int64_t dims[4], kn_err *err)
{
    const kn_request *rq = r->rq;
    kn_wan_text text = {0};
    kn_wan_condition cond = {0};
    const int64_t shape[5] = {1, dims[0], dims[1], dims[2], dims[3]};
    /* The reference decides by the first guidance scale alone, also with two experts. */
    bool guided = rq->guidance > 1.0;
    int rc = kn_wan_encode_text(m, r, guided, &text, err);
    if (!rc)
        rc = kn_wan_encode_condition(m, r, &cond, err);
    if (!rc && (!r->ctx->dev->is_meta || rq->latents)) /* a file that does not fit is refused by the plan */
        rc = kn_noise_make(rq, 5, shape, latents, err);
    if (!rc)
        rc = kn_wan_sample(m, r, &text, &cond, latents, dims, err);
    if (!rc && r->trace)
        r->trace(r->trace_ud, "latents", latents, 5, shape);
    if (!rc)
        cut_front(latents, dims, cond.n_references);
    kn_wan_text_done(&text);
    kn_wan_condition_done(&cond);
    return rc;
}

int kn_wan_generate(kn_wan_model *m, kn_run *r, kn_err *err)
{
    const kn_request *rq = r->rq;
    int64_t s = m->vae.scale_spatial, t = (rq->frames - 1) / m->vae.scale_temporal + 1,
            n_references = kn_wan_is_vace(m) ? rq->references.n : 0;
    int64_t dims[4] = {m->vae.z_dim, t + n_references, rq->height / s, rq->width / s};
    float *latents = kn_calloc((size_t)(dims[0] * dims[1] * dims[2] * dims[3]), sizeof *latents);
    if (!latents)
        return kn_fail(err, KN_ENOMEM, "no memory for latents of %lld frames", (long long)dims[1]);
    int rc;
    if (kn_run_has_latents(r)) {
        dims[1] = t;
        rc = kn_run_restore_latents(r, 4, dims, latents, err);
    } else {
        rc = make_latents(m, r, latents, dims, err);
        if (!rc)
            kn_run_keep_latents(r, 4, dims, latents);
    }
    if (rc) {
        free(latents);
        return rc;
    }
    memcpy(r->latents_dims, (int64_t[]){1, dims[0], dims[1], dims[2], dims[3]}, sizeof r->latents_dims);
    r->latents = latents;
    return kn_wan_decode(m, r, latents, dims, err);
}
