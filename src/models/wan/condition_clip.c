/* Clips and pictures through the two image encoders: the VAE's, and CLIP. */
#include <stdlib.h>

#include "base/mem.h"
#include "models/wan/condition.h"

int kn_wan_encoder_open(kn_wan_vae_encoder *e, kn_wan_model *m, kn_run *r, kn_err *err)
{
    kn_loader l;
    kn_weight_set_init(&e->set, r->ctx->dev);
    kn_loader_init(&l, &e->set, m->vae_ck, NULL, r->ctx->act);
    kn_wan_vae_load(&e->vae, &m->vae, &l, KN_WAN_VAE_ENCODER);
    return kn_loader_finish(&l, kn_wan_vae_ignore_decoder, err);
}

void kn_wan_encoder_close(kn_wan_vae_encoder *e, kn_run *r)
{
    kn_weight_set_done(&e->set);
    kn_pool_trim(r->ctx);
}

static void clip_progress(void *ud, int64_t done, int64_t total)
{
    kn_run *r = ud;
    (void)done, (void)total;
    kn_phase_step(r, r->units_done + 1);
}

int kn_wan_encoder_run(kn_wan_vae_encoder *e, kn_run *r, const kn_wan_clip *clip, float *out, int64_t n_out,
                       int64_t first, kn_err *err)
{
    kn_ctx *c = r->ctx;
    const kn_wan_vae_config *f = &e->vae.config;
    kn_wan_vae_hooks hooks = {.progress = clip_progress, .ud = r};
    kn_scope s = kn_scope_open(c);
    kn_tensor moments = kn_wan_vae_encode(c, &e->vae, clip, NULL, &hooks);
    kn_tensor mode = kn_slice(c, moments, 3, 0, f->z_dim);
    float *host = kn_is_null(mode) ? NULL : kn_calloc((size_t)kn_numel(mode), sizeof *host);
    if (host) {
        int64_t n = mode.dims[0], frame = mode.dims[1] * mode.dims[2];
        kn_to_f32(c, mode, host);
        kn_wan_normalize(f, host, kn_numel(mode));
        for (int64_t t = 0; t < n; t++)
            for (int64_t i = 0; i < frame; i++)
                for (int64_t k = 0; k < f->z_dim; k++)
                    out[(k * n_out + first + t) * frame + i] = host[(t * frame + i) * f->z_dim + k];
    }
    int rc = kn_ctx_error(c, err);
    if (!rc && !host)
        rc = kn_fail(err, KN_ENOMEM, "no memory for encoded latents");
    free(host);
    kn_scope_close(c, s, (kn_tensor){0});
    return rc;
}

int kn_wan_encode_clip_states(kn_wan_model *m, kn_run *r, const kn_image *images, int n,
                              kn_wan_condition *cond, kn_err *err)
{
    kn_ctx *c = r->ctx;
    kn_weight_set set;
    kn_loader l;
    kn_clip_vision clip = {0};
    int64_t side = m->clip.image_size, grid = side / m->clip.patch_size, rows = grid * grid + 1,
            dim = m->clip.hidden;
    cond->n_image = n * rows;
    cond->image_states = kn_calloc((size_t)(cond->n_image * dim), sizeof(float));
    if (!cond->image_states)
        return kn_fail(err, KN_ENOMEM, "no memory for %lld picture states", (long long)cond->n_image);
    if (m->clip_pixels.crop_width != side || m->clip_pixels.crop_height != side)
        return kn_fail(
            err, KN_EFORMAT, "the image processor crops to %dx%d and the image encoder reads %lldx%lld",
            m->clip_pixels.crop_width, m->clip_pixels.crop_height, (long long)side, (long long)side);
    kn_phase_begin(r, KN_PHASE_ENCODE, "picture (CLIP)", n);
    kn_weight_set_init(&set, c->dev);
    kn_loader_init(&l, &set, m->clip_ck, NULL, c->act);
    kn_clip_vision_load(&clip, &m->clip, &l);
    int rc = kn_loader_finish(&l, clip.ignore, err);
    for (int i = 0; i < n && !rc; i++) {
        float *pixels = NULL;
        rc = kn_wan_clip_preprocess(&m->clip_pixels, &images[i], false, &pixels, err);
        if (rc)
            break;
        kn_scope s = kn_scope_open(c);
        kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(3, side, side), pixels);
        kn_tensor h = kn_clip_vision_forward(c, &clip, x, NULL);
        if (!kn_is_null(h))
            kn_to_f32(c, h, cond->image_states + (int64_t)i * rows * dim);
        kn_scope_close(c, s, (kn_tensor){0});
        free(pixels);
        rc = kn_ctx_error(c, err);
        kn_phase_step(r, i + 1);
    }
    kn_clip_vision_done(&clip);
    kn_weight_set_done(&set);
    kn_pool_trim(c);
    kn_phase_end(r);
    if (!rc && r->trace)
        r->trace(r->trace_ud, "cond.image_embeds", cond->image_states, 3, (const int64_t[]){n, rows, dim});
    return rc;
}
