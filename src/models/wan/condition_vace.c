/* What the control clip, mask and references of a VACE request become. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/condition.h"

static int load_frames(const char *path, int64_t max, kn_image **ret, int *ret_n, kn_err *err)
{
    double fps;
    return kn_video_load(path, (int)max, ret, ret_n, &fps, err);
}

static int load_control(const kn_request *rq, kn_wan_control *ctl, kn_err *err)
{
    kn_image *frames = NULL;
    int n = 0, rc = 0;
    if (rq->video) {
        rc = load_frames(rq->video, rq->frames, &frames, &n, err);
        if (!rc)
            rc = kn_wan_control_video(ctl, frames, n, err);
        kn_images_free(frames, n);
    }
    frames = NULL;
    n = 0;
    if (!rc && rq->mask) {
        rc = load_frames(rq->mask, rq->frames, &frames, &n, err);
        if (!rc)
            rc = kn_wan_control_mask(ctl, frames, n, err);
        kn_images_free(frames, n);
    }
    for (int i = 0; i < rq->references.n && !rc; i++) {
        kn_image im = {0};
        rc = kn_image_load(rq->references.items[i], &im, err);
        if (!rc)
            rc = kn_wan_control_reference(ctl, i, &im, err);
        kn_image_done(&im);
    }
    return rc;
}

/* The part of the control clip that is kept (reactive = false) or made anew; frames of `out` point into `pixels`. */
static void split_control(const kn_wan_control *ctl, bool reactive, float *pixels)
{
    int64_t n = ctl->n_frames * ctl->height * ctl->width;
    for (int64_t i = 0; i < n; i++) {
        bool made = ctl->mask[i] > 0.5f;
        for (int k = 0; k < 3; k++)
            pixels[i * 3 + k] = made == reactive ? ctl->video[i * 3 + k] : 0.0f;
    }
}

/* out [2z + s*s, refs + T, h, w]: inactive latents, reactive latents, mask. */
static int encode_control(kn_wan_model *m, kn_run *r, const kn_wan_control *ctl, float *out, int64_t t_all,
                          kn_err *err)
{
    int64_t z = m->vae.z_dim, s = m->vae.scale_spatial, h = ctl->height / s, w = ctl->width / s,
            refs = ctl->n_references;
    int64_t t = t_all - refs, frame = h * w, size = ctl->height * ctl->width * 3;
    float *pixels = kn_calloc((size_t)(ctl->n_frames * size), sizeof *pixels);
    const float **frames = kn_calloc((size_t)ctl->n_frames, sizeof *frames);
    float *mask = kn_calloc((size_t)(s * s * t * frame), sizeof *mask);
    kn_wan_vae_encoder e = {0};
    kn_weight_set_init(&e.set, r->ctx->dev);
    int rc = pixels && frames && mask ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a control clip");
    if (!rc)
        rc = kn_wan_encoder_open(&e, m, r, err);
    for (int64_t i = 0; i < ctl->n_frames && !rc; i++)
        frames[i] = pixels + i * size;
    for (int part = 0; part < 2 && !rc; part++) {
        split_control(ctl, part == 1, pixels);
        kn_wan_clip clip = {ctl->n_frames, ctl->height, ctl->width, frames};
        rc = kn_wan_encoder_run(&e, r, &clip, out + part * z * t_all * frame, t_all, refs, err);
    }
    for (int64_t i = 0; i < refs && !rc; i++) { /* a reference has no reactive part and no mask: zeros */
        kn_wan_clip clip = {1, ctl->height, ctl->width, (const float *const[]){ctl->references[i]}};
        rc = kn_wan_encoder_run(&e, r, &clip, out, t_all, i, err);
    }
    kn_wan_encoder_close(&e, r);
    if (!rc) {
        kn_wan_control_mask_latents(ctl, (int)s, m->vae.scale_temporal, mask);
        for (int64_t k = 0; k < s * s; k++)
            memcpy(out + ((2 * z + k) * t_all + refs) * frame, mask + k * t * frame,
                   (size_t)(t * frame) * sizeof *mask);
    }
    free(pixels);
    free(frames);
    free(mask);
    return rc;
}

int kn_wan_control_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *cond, kn_err *err)
{
    const kn_request *rq = r->rq;
    kn_wan_control ctl = {0};
    int64_t s = m->vae.scale_spatial, h = rq->height / s, w = rq->width / s, refs = rq->references.n;
    int64_t t = (rq->frames - 1) / m->vae.scale_temporal + 1 + refs, n = 2 * m->vae.z_dim + s * s;
    int rc = kn_wan_control_init(&ctl, rq->frames, rq->height, rq->width, (int)refs, err);
    if (!rc)
        rc = load_control(rq, &ctl, err);
    if (!rc) {
        cond->control = kn_calloc((size_t)(n * t * h * w), sizeof(float));
        cond->n_control = n;
        cond->n_references = (int)refs;
        if (!cond->control)
            rc = kn_fail(err, KN_ENOMEM, "no memory for the control latents");
    }
    if (!rc) {
        kn_phase_begin(r, KN_PHASE_ENCODE, "control (VAE)", 2 * (t - refs) + refs);
        rc = encode_control(m, r, &ctl, cond->control, t, err);
        kn_phase_end(r);
    }
    if (!rc && r->trace)
        r->trace(r->trace_ud, "cond.control", cond->control, 5, (const int64_t[]){1, n, t, h, w});
    kn_wan_control_done(&ctl);
    return rc;
}
