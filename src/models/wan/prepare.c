/* Defaults and rounding of a request. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/segments.h"
#include "engine/windows.h"
#include "models/wan/pipeline.h"
#include "models/wan/step_signs.h"

enum { FRAMES = 81, TI2V_FRAMES = 121 };

static void default_int(int64_t *v, int64_t fallback)
{
    if (*v == KN_UNSET_INT)
        *v = fallback;
}

static void default_real(double *v, double fallback)
{
    if (isnan(*v))
        *v = fallback;
}

static int refuse(const kn_wan_model *m, kn_err *err, const char *what)
{
    return kn_fail(err, KN_EINVAL, "this model is %s: %s", kn_wan_variant(m), what);
}

static int check_skipped(const kn_wan_config *f, const kn_request *rq, kn_err *err)
{
    if (!rq->skip_layers.n && (!isnan(rq->skip_begin) || !isnan(rq->skip_end)))
        return kn_fail(err, KN_EINVAL, "skip_begin and skip_end need skip_layers, too");
    if (rq->skip_begin >= rq->skip_end)
        return kn_fail(err, KN_EINVAL, "skip_begin %g, expected less than skip_end, which is %g",
                       rq->skip_begin, rq->skip_end);
    for (int i = 0; i < rq->skip_layers.n; i++) {
        double layer = rq->skip_layers.items[i];
        if (layer != floor(layer) || layer >= f->n_layers)
            return kn_fail(err, KN_EINVAL,
                           "skip_layers: %g; expected whole numbers from 0 to %d, this model's last block",
                           layer, f->n_layers - 1);
    }
    if (rq->skip_layers.n && !isnan(rq->guidance) && rq->guidance <= 1)
        return kn_fail(err, KN_EINVAL,
                       "skip_layers changes what the negative prompt predicts, which guidance %g switches "
                       "off; say a guidance above 1",
                       rq->guidance);
    return 0;
}

static int check_inputs(const kn_wan_model *m, const kn_request *rq, kn_err *err)
{
    unsigned tasks = kn_wan_tasks(m);
    if (!(tasks & KN_TASK_V2V) && (rq->video || rq->mask || rq->references.n || rq->control_scale.n))
        return refuse(m, err, "it takes no control video, mask, reference or control scale");
    if (rq->image && !(tasks & (KN_TASK_I2V | KN_TASK_FLF2V)))
        return refuse(m, err, "it takes no image");
    if (rq->last_image && !(tasks & KN_TASK_FLF2V))
        return refuse(m, err, "it takes no last image");
    if (!rq->image && !(tasks & KN_TASK_T2V))
        return refuse(m, err, "it needs a picture to start from; say --image FILE");
    if (rq->last_image && !rq->image)
        return kn_fail(err, KN_EINVAL, "--last-image needs --image, too");
    if (tasks == KN_TASK_FLF2V && !rq->last_image)
        return refuse(m, err, "it needs a first and a last picture; say --last-image FILE");
    if (rq->mask && !rq->video)
        return kn_fail(err, KN_EINVAL, "--mask needs --video, too");
    if (rq->transformer_2 && !m->dit_ck[KN_WAN_LOW])
        return refuse(m, err, "it has no second expert");
    if (!m->dit_ck[KN_WAN_LOW] && (!isnan(rq->guidance_2) || !isnan(rq->boundary)))
        return refuse(m, err, "it has one expert and takes neither guidance_2 nor boundary");
    int rc = check_skipped(&m->dit[KN_WAN_HIGH], rq, err);
    if (rc)
        return rc;
    int n = m->dit[KN_WAN_HIGH].n_vace, given = rq->control_scale.n;
    if (given > 1 && given != n)
        return kn_fail(err, KN_EINVAL,
                       "control_scale has %d values; say one, or one for each of the %d control layers",
                       given, n);
    return 0;
}

/* The reference's examples choose a size of the model's usual area with the picture's shape. That area is the model
 * folder's, if it names one. */
static double usual_area(const kn_wan_model *m, const kn_request *rq)
{
    if (rq->size_is_default)
        return (double)rq->width * (double)rq->height;
    return m->expand_timesteps ? 704.0 * 1280 : 480.0 * 832;
}

static int size_from_picture(double area, int64_t step, kn_request *rq, const kn_notes *n, kn_err *err)
{
    kn_image im = {0};
    int rc = kn_image_load(rq->image, &im, err);
    if (rc)
        return rc;
    double aspect = (double)im.height / im.width;
    kn_image_done(&im);
    int64_t h = (int64_t)lround(sqrt(area * aspect)) / step * step,
            w = (int64_t)lround(sqrt(area / aspect)) / step * step;
    rq->height = h < step ? step : h;
    rq->width = w < step ? step : w;
    kn_note(n, "size %lldx%lld follows the picture's shape", (long long)rq->width, (long long)rq->height);
    return 0;
}

static int round_size(int64_t *v, const char *what, int64_t step, const kn_notes *n, kn_err *err)
{
    int64_t rounded = *v / step * step;
    if (rounded < step)
        return kn_fail(err, KN_EINVAL, "%s %lld is too small; this model needs at least %lld", what,
                       (long long)*v, (long long)step);
    if (rounded != *v)
        kn_note(n, "%s %lld -> %lld: this model needs multiples of %lld", what, (long long)*v,
                (long long)rounded, (long long)step);
    *v = rounded;
    return 0;
}

static void round_frames(kn_request *rq, int64_t group, const kn_notes *n)
{
    int64_t rounded = rq->frames % group == 1 ? rq->frames : rq->frames / group * group + 1;
    if (rounded != rq->frames)
        kn_note(n, "frames %lld -> %lld: this model needs %lldn+1", (long long)rq->frames, (long long)rounded,
                (long long)group);
    rq->frames = rounded;
}

/* Tiles overlap by a quarter: two latents are the least. */
static void round_tile(kn_request *rq, int64_t scale, const kn_notes *n)
{
    int64_t rounded = rq->vae_tile / scale * scale;
    rounded = rounded < 2 * scale ? 2 * scale : rounded;
    if (rounded != rq->vae_tile)
        kn_note(n, "vae_tile %lld -> %lld: tiles are multiples of %lld, at least %lld",
                (long long)rq->vae_tile, (long long)rounded, (long long)scale, (long long)(2 * scale));
    rq->vae_tile = rounded;
}

static void default_numbers(const kn_wan_model *m, kn_request *rq)
{
    bool ti2v = m->expand_timesteps, experts = m->dit_ck[KN_WAN_LOW] != NULL, image = kn_wan_takes_image(m);
    default_int(&rq->frames, ti2v ? TI2V_FRAMES : FRAMES);
    default_real(&rq->fps, ti2v ? 24 : 16);
    default_int(&rq->steps, experts ? 40 : 50);
    default_int(&rq->max_sequence_length, 512);
    /* What the published model cards use. */
    default_real(&rq->guidance, experts ? (image ? 3.5 : 4.0) : 5.0);
    default_real(&rq->flow_shift, m->scheduler.flow_shift);
    if (experts) {
        default_real(&rq->guidance_2, image ? rq->guidance : 3.0);
        default_real(&rq->boundary, m->boundary_ratio);
    }
}

/* How a video longer than the model's own length is made. VACE and models that need a last picture do not go on from pictures;
 * condition channels belong to the whole. */
static int prepare_length(const kn_wan_model *m, kn_request *rq, kn_note_fn fn, void *ud, kn_err *err)
{
    char what[64];
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    bool plain = !kn_wan_is_vace(m) && d->in_channels == d->out_channels;
    snprintf(what, sizeof what, "this model is %s", kn_wan_variant(m));
    kn_window_rules windows = {.possible = plain,
                               .usual = plain && !(kn_wan_tasks(m) & KN_TASK_I2V),
                               .why_not = what,
                               .native_frames = m->expand_timesteps ? TI2V_FRAMES : FRAMES,
                               .group = m->vae.scale_temporal};
    int rc = kn_windows_prepare(rq, &windows, fn, ud, err);
    if (rc)
        return rc;
    kn_segment_rules rules = {.possible = kn_wan_tasks(m) & KN_TASK_I2V,
                              .why_not = what,
                              .native_frames = m->expand_timesteps ? TI2V_FRAMES : FRAMES,
                              .group = m->vae.scale_temporal};
    return kn_segments_prepare(rq, &rules, fn, ud, err);
}

int kn_wan_prepare(kn_wan_model *m, kn_request *rq, void (*fn)(void *ud, const char *text), void *ud,
                   kn_err *err)
{
    kn_notes n = {fn, ud};
    int64_t step = (int64_t)m->vae.scale_spatial * m->dit[KN_WAN_HIGH].patch[1];
    bool ti2v = m->expand_timesteps;
    if (rq->skip_layers.n) {
        default_real(&rq->skip_begin, 0.1);
        default_real(&rq->skip_end, 0.9);
    }
    int rc = check_inputs(m, rq, err);
    if (!rc)
        rc = kn_wan_check_cache(m, rq, err);
    if (rc)
        return rc;
    /* without --guidance-2 the one guidance given serves both experts */
    if (m->dit_ck[KN_WAN_LOW] && !isnan(rq->guidance))
        default_real(&rq->guidance_2, rq->guidance);
    bool sized = !rq->size_is_default && (rq->width != KN_UNSET_INT || rq->height != KN_UNSET_INT);
    if (!sized && rq->image)
        rc = size_from_picture(usual_area(m, rq), step, rq, &n, err);
    default_int(&rq->width, ti2v ? 1280 : 832);
    default_int(&rq->height, ti2v ? 704 : 480);
    default_numbers(m, rq);
    if (!rc)
        rc = round_size(&rq->width, "width", step, &n, err);
    if (!rc)
        rc = round_size(&rq->height, "height", step, &n, err);
    if (rc)
        return rc;
    rc = prepare_length(m, rq, fn, ud, err);
    if (rc)
        return rc;
    if (kn_segments_count(rq) == 1)
        round_frames(rq, m->vae.scale_temporal, &n);
    if (!rq->scheduler)
        rq->scheduler = kn_strdup(m->scheduler.name);
    if (rq->vae_tile > 0)
        round_tile(rq, m->vae.scale_spatial, &n);
    return rq->scheduler ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a request");
}
