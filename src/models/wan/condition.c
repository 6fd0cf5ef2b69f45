/* What the pictures of a request become: image to video, first and last frame, TI2V. */
#include <stdlib.h>

#include "base/mem.h"
#include "models/wan/condition.h"

void kn_wan_trace_channels_last(kn_run *r, const char *name, const float *data, int64_t t, int64_t h,
                                int64_t w, int64_t c)
{
    if (!r->trace)
        return;
    float *first = kn_calloc((size_t)(t * h * w * c), sizeof *first);
    if (!first)
        return;
    kn_wan_to_channels_first(data, first, t * h * w, c);
    r->trace(r->trace_ud, name, first, 5, (const int64_t[]){1, c, t, h, w});
    free(first);
}

static void trace_picture(kn_run *r, const char *name, const float *picture)
{
    if (!r->trace || !picture)
        return;
    int64_t h = r->rq->height, w = r->rq->width;
    float *first = kn_calloc((size_t)(h * w * 3), sizeof *first);
    if (!first)
        return;
    kn_wan_to_channels_first(picture, first, h * w, 3);
    r->trace(r->trace_ud, name, first, 4, (const int64_t[]){1, 3, h, w});
    free(first);
}

/* Encodes [first, zeros..., last] (or only the first for TI2V). */
static int encode_pictures(kn_wan_model *m, kn_run *r, const float *first, const float *last,
                           kn_wan_condition *cond, kn_err *err)
{
    const kn_request *rq = r->rq;
    int64_t n = m->expand_timesteps ? 1 : rq->frames, z = m->vae.z_dim,
            t = (n - 1) / m->vae.scale_temporal + 1;
    int64_t h = rq->height / m->vae.scale_spatial, w = rq->width / m->vae.scale_spatial;
    const float **frames = kn_calloc((size_t)n, sizeof *frames);
    int64_t mask = m->expand_timesteps ? 0 : 4;
    float *channels = kn_calloc((size_t)((mask + z) * t * h * w), sizeof *channels);
    kn_wan_vae_encoder e = {0};
    int rc = 0;
    if (!frames || !channels) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for the condition of %lld frames", (long long)n);
        goto out;
    }
    frames[0] = first;
    if (last)
        frames[n - 1] = last;
    kn_wan_clip clip = {n, rq->height, rq->width, frames};
    kn_phase_begin(r, KN_PHASE_ENCODE, "picture (VAE)", t);
    rc = kn_wan_encoder_open(&e, m, r, err);
    if (!rc)
        rc = kn_wan_encoder_run(&e, r, &clip, channels + mask * t * h * w, t, 0, err);
    kn_wan_encoder_close(&e, r);
    kn_phase_end(r);
    if (rc)
        goto out;
    if (mask) {
        kn_wan_image_mask(channels, t, h, w, last != NULL);
        cond->channels = channels;
        cond->n_channels = mask + z;
    } else {
        cond->first_latent = channels;
    }
    if (r->trace)
        r->trace(r->trace_ud, mask ? "cond.condition" : "cond.first_latent", channels, 5,
                 (const int64_t[]){1, mask + z, t, h, w});
    channels = NULL;
out:
    free(frames);
    free(channels);
    return rc;
}

static int image_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *cond, kn_err *err)
{
    const kn_request *rq = r->rq;
    kn_image images[2] = {0};
    float *first = NULL, *last = NULL;
    int n = rq->last_image ? 2 : 1;
    int rc = kn_image_load(rq->image, &images[0], err);
    if (!rc && n == 2)
        rc = kn_image_load(rq->last_image, &images[1], err);
    if (!rc && m->dit[KN_WAN_HIGH].image_dim)
        rc = kn_wan_encode_clip_states(m, r, images, n, cond, err);
    if (!rc)
        rc = kn_wan_picture(&images[0], (int)rq->width, (int)rq->height, &first, err);
    if (!rc && n == 2)
        rc = kn_wan_picture(&images[1], (int)rq->width, (int)rq->height, &last, err);
    trace_picture(r, "cond.image", first);
    trace_picture(r, "cond.last_image", last);
    if (!rc)
        rc = encode_pictures(m, r, first, last, cond, err);
    free(first);
    free(last);
    kn_image_done(&images[0]);
    kn_image_done(&images[1]);
    return rc;
}

int kn_wan_encode_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *ret, kn_err *err)
{
    kn_wan_condition cond = {0};
    int rc = 0;
    if (kn_wan_is_vace(m))
        rc = kn_wan_control_condition(m, r, &cond, err);
    else if (r->rq->image)
        rc = image_condition(m, r, &cond, err);
    if (rc)
        kn_wan_condition_done(&cond);
    else
        *ret = cond;
    return rc;
}

void kn_wan_condition_done(kn_wan_condition *c)
{
    free(c->channels);
    free(c->first_latent);
    free(c->image_states);
    free(c->control);
    *c = (kn_wan_condition){0};
}
