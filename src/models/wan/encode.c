/* Text, pictures and clips to what the transformer reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/pipeline.h"
#include "text/clean.h"

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

/* ---- text ---- */

typedef struct tokens {
    int32_t *ids;
    int n;
} tokens;

static int tokenize(kn_wan_model *m, const char *text, int64_t max, tokens *ret, kn_err *err)
{
    char *clean = NULL;
    if (!m->tokenizer) { /* random weights: any ids cost the same */
        ret->n = (int)(max < 64 ? max : 64);
        ret->ids = kn_calloc((size_t)ret->n, sizeof *ret->ids);
        return ret->ids ? 0 : kn_fail(err, KN_ENOMEM, "no memory for %d tokens", ret->n);
    }
    int rc = kn_prompt_clean(text ? text : "", &clean, err);
    if (!rc)
        rc = kn_tokenizer_encode(m->tokenizer, clean, (int)max, &ret->ids, &ret->n, err);
    free(clean);
    return rc;
}

static void text_progress(void *ud, int64_t done, int64_t total)
{
    kn_run *r = ud;
    r->units_total = total;
    kn_phase_step(r, done);
}

static int states_init(kn_wan_states *s, const tokens *t, int64_t max, int64_t dim, kn_err *err)
{
    s->n_equal = (int)(max - t->n);
    s->n_rows = t->n + (s->n_equal > 0);
    s->rows = kn_calloc((size_t)(s->n_rows * dim), sizeof *s->rows);
    return s->rows ? 0 : kn_fail(err, KN_ENOMEM, "no memory for %lld text states", (long long)s->n_rows);
}

/* The encoder over all sequences, a block in memory at a time. */
static int run_text_encoder(kn_wan_model *m, kn_run *r, const kn_t5_seq *seqs, int n_seqs,
                            kn_wan_states *const *out, kn_err *err)
{
    kn_ctx *c = r->ctx;
    kn_weight_set set;
    kn_loader l;
    kn_t5_hooks hooks = {.progress = text_progress, .ud = r};
    kn_weight_set_init(&set, c->dev);
    kn_loader_init(&l, &set, m->text_ck, NULL, c->act); /* int8 costs quality here and saves one pass */
    kn_scope s = kn_scope_open(c);
    kn_tensor h = kn_t5_encode_streamed(c, &m->text, &l, seqs, n_seqs, &hooks);
    int64_t row = 0;
    for (int i = 0; i < n_seqs; i++) {
        if (!kn_is_null(h))
            kn_to_f32(c, kn_rows(c, h, row, seqs[i].n), out[i]->rows);
        row += seqs[i].n;
    }
    kn_scope_close(c, s, (kn_tensor){0});
    int rc = kn_ctx_error(c, err);
    if (!rc)
        rc = kn_loader_finish(&l, kn_t5_ignore, err);
    kn_weight_set_done(&set);
    kn_pool_trim(c);
    return rc;
}

int kn_wan_encode_text(kn_wan_model *m, kn_run *r, bool with_negative, kn_wan_text *ret, kn_err *err)
{
    const kn_request *rq = r->rq;
    int64_t max = rq->max_sequence_length;
    tokens prompt = {0}, negative = {0};
    kn_wan_text text = {.dim = m->text.d_model};
    kn_phase_begin(r, KN_PHASE_ENCODE, "text", m->text.n_layers);
    int rc = tokenize(m, rq->prompt, max, &prompt, err);
    if (!rc && with_negative)
        rc = tokenize(m, rq->negative_prompt, max, &negative, err);
    if (!rc)
        rc = states_init(&text.prompt, &prompt, max, text.dim, err);
    if (!rc && with_negative)
        rc = states_init(&text.negative, &negative, max, text.dim, err);
    if (!rc) {
        kn_t5_seq seqs[2] = {{.ids = prompt.ids, .n = prompt.n}, {.ids = negative.ids, .n = negative.n}};
        kn_wan_states *const out[2] = {&text.prompt, &text.negative};
        rc = run_text_encoder(m, r, seqs, with_negative ? 2 : 1, out, err);
    }
    kn_phase_end(r);
    free(prompt.ids);
    free(negative.ids);
    if (rc)
        kn_wan_text_done(&text);
    else
        *ret = text;
    return rc;
}

void kn_wan_text_done(kn_wan_text *t)
{
    free(t->prompt.rows);
    free(t->negative.rows);
    *t = (kn_wan_text){0};
}

/* ---- CLIP ---- */

static int encode_clip(kn_wan_model *m, kn_run *r, const kn_image *images, int n, kn_wan_condition *cond,
                       kn_err *err)
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

/* ---- clips through the VAE ---- */

typedef struct vae_encoder {
    kn_wan_vae vae;
    kn_weight_set set;
} vae_encoder;

static int encoder_open(vae_encoder *e, kn_wan_model *m, kn_run *r, kn_err *err)
{
    kn_loader l;
    kn_weight_set_init(&e->set, r->ctx->dev);
    kn_loader_init(&l, &e->set, m->vae_ck, NULL, r->ctx->act);
    kn_wan_vae_load(&e->vae, &m->vae, &l, KN_WAN_VAE_ENCODER);
    return kn_loader_finish(&l, kn_wan_vae_ignore_decoder, err);
}

static void encoder_close(vae_encoder *e, kn_run *r)
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

/* Normalised mode of the latents, into out [z, n_out, h, w] beginning at latent frame `first` of n_out. */
static int encode_clip_latents(vae_encoder *e, kn_run *r, const kn_wan_clip *clip, float *out, int64_t n_out,
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

/* ---- image to video ---- */

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
    vae_encoder e = {0};
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
    rc = encoder_open(&e, m, r, err);
    if (!rc)
        rc = encode_clip_latents(&e, r, &clip, channels + mask * t * h * w, t, 0, err);
    encoder_close(&e, r);
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
        rc = encode_clip(m, r, images, n, cond, err);
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

/* ---- VACE ---- */

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
    vae_encoder e = {0};
    kn_weight_set_init(&e.set, r->ctx->dev);
    int rc = pixels && frames && mask ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a control clip");
    if (!rc)
        rc = encoder_open(&e, m, r, err);
    for (int64_t i = 0; i < ctl->n_frames && !rc; i++)
        frames[i] = pixels + i * size;
    for (int part = 0; part < 2 && !rc; part++) {
        split_control(ctl, part == 1, pixels);
        kn_wan_clip clip = {ctl->n_frames, ctl->height, ctl->width, frames};
        rc = encode_clip_latents(&e, r, &clip, out + part * z * t_all * frame, t_all, refs, err);
    }
    for (int64_t i = 0; i < refs && !rc; i++) { /* a reference has no reactive part and no mask: zeros */
        kn_wan_clip clip = {1, ctl->height, ctl->width, (const float *const[]){ctl->references[i]}};
        rc = encode_clip_latents(&e, r, &clip, out, t_all, i, err);
    }
    encoder_close(&e, r);
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

static int control_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *cond, kn_err *err)
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

int kn_wan_encode_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *ret, kn_err *err)
{
    kn_wan_condition cond = {0};
    int rc = 0;
    if (kn_wan_is_vace(m))
        rc = control_condition(m, r, &cond, err);
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
