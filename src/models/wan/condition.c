/* What the pictures of a request become: image to video, first and last frame, TI2V. */
#include <stdlib.h>

#include "base/mem.h"
#include "media/frame.h"
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

/* The pictures a video begins with, and perhaps its last one: [height, width, 3] in -1..1. */
typedef struct pictures {
    float *first; /* [n_first, height, width, 3] */
    int64_t n_first;
    float *last;
} pictures;

/* Encodes [first..., zeros..., last] (or only the first for TI2V). */
static int encode_pictures(kn_wan_model *m, kn_run *r, const pictures *p, kn_wan_condition *cond, kn_err *err)
{
    const kn_request *rq = r->rq;
    int64_t n = m->expand_timesteps ? p->n_first : rq->frames, z = m->vae.z_dim,
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
    for (int64_t i = 0; i < p->n_first; i++)
        frames[i] = p->first + i * rq->height * rq->width * 3;
    if (p->last)
        frames[n - 1] = p->last;
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
        kn_wan_image_mask(channels, t, h, w, (p->n_first - 1) / m->vae.scale_temporal + 1, p->last != NULL);
        cond->channels = channels;
        cond->n_channels = mask + z;
    } else {
        cond->first_latents = channels;
        cond->n_first = t;
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

/* The first picture: of the request's file, or the first of those that the run goes on from. */
static int first_image(const kn_run *r, kn_image *ret, kn_err *err)
{
    if (!r->given)
        return kn_image_load(r->rq->image, ret, err);
    int rc = kn_image_new((int)r->rq->width, (int)r->rq->height, ret, err);
    if (!rc)
        kn_rgb8_from_f32(r->given, (size_t)(r->rq->width * r->rq->height * 3), ret->rgb);
    return rc;
}

/* The same for the VAE, which takes all that are given, and unrounded. */
static int first_pictures(const kn_run *r, const kn_image *im, pictures *p, kn_err *err)
{
    const kn_request *rq = r->rq;
    p->n_first = r->given ? r->n_given : 1;
    if (!r->given)
        return kn_wan_picture(im, (int)rq->width, (int)rq->height, &p->first, err);
    size_t n = (size_t)(p->n_first * rq->width * rq->height * 3);
    p->first = kn_calloc(n, sizeof *p->first);
    if (!p->first)
        return kn_fail(err, KN_ENOMEM, "no memory for the %lld pictures that the video goes on from",
                       (long long)p->n_first);
    for (size_t i = 0; i < n; i++)
        p->first[i] = r->given[i] * 2.0f - 1.0f;
    return 0;
}

static int image_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *cond, kn_err *err)
{
    const kn_request *rq = r->rq;
    kn_image images[2] = {0};
    pictures p = {0};
    int n = rq->last_image ? 2 : 1;
    int rc = first_image(r, &images[0], err);
    if (!rc && n == 2)
        rc = kn_image_load(rq->last_image, &images[1], err);
    if (!rc && m->dit[KN_WAN_HIGH].image_dim)
        rc = kn_wan_encode_clip_states(m, r, images, n, cond, err);
    if (!rc)
        rc = first_pictures(r, &images[0], &p, err);
    if (!rc && n == 2)
        rc = kn_wan_picture(&images[1], (int)rq->width, (int)rq->height, &p.last, err);
    trace_picture(r, "cond.image", p.first);
    trace_picture(r, "cond.last_image", p.last);
    if (!rc)
        rc = encode_pictures(m, r, &p, cond, err);
    free(p.first);
    free(p.last);
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
    else if (r->given || r->rq->image)
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
    free(c->first_latents);
    free(c->image_states);
    free(c->control);
    *c = (kn_wan_condition){0};
}
