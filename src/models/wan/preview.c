#include "models/wan/preview.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/loaded.h"

/* Flat patches of CELL x CELL positions, PER_ROW of them in one small picture: their middles hardly see each other. */
enum { CELL = 4, PER_ROW = 8 };

static const float RAISED = 1.0f; /* standard deviations; half or twice of it gives the same map within 2 % */

typedef struct answers {
    int64_t width, height, scale;
    float rgb[PER_ROW][3];
} answers;

/* The mean colour of the middle of each patch. */
static int take_picture(void *ud, int64_t first, int64_t n, const float *pictures, kn_err *err)
{
    answers *a = ud;
    int64_t cell = CELL * a->scale, from = cell / 4, to = cell * 3 / 4;
    (void)first, (void)n, (void)err;
    memset(a->rgb, 0, sizeof a->rgb);
    for (int k = 0; k < PER_ROW; k++)
        for (int64_t y = from; y < to; y++)
            for (int64_t x = k * cell + from; x < k * cell + to; x++)
                for (int c = 0; c < 3; c++)
                    a->rgb[k][c] += pictures[(y * a->width + x) * 3 + c] / (float)((to - from) * (to - from));
    return 0;
}

/* Question q: nothing raised, channel 0 raised, channel 0 lowered, channel 1 raised, ... */
static void set_patch(const kn_wan_vae_config *f, int q, int k, float *latents)
{
    for (int64_t y = 0; y < CELL; y++)
        for (int64_t x = k * CELL; x < (k + 1) * CELL; x++) {
            float *at = latents + (y * PER_ROW * CELL + x) * f->z_dim;
            memcpy(at, f->latents_mean, (size_t)f->z_dim * sizeof *at);
            if (q > 0)
                at[(q - 1) / 2] += (q % 2 ? RAISED : -RAISED) * f->latents_std[(q - 1) / 2];
        }
}

static void take_answer(kn_wan_colours *f, int q, const float rgb[3])
{
    for (int c = 0; c < 3; c++) {
        if (q == 0)
            f->base[c] = rgb[c] / 2 + 0.5f;
        else
            f->slope[(q - 1) / 2][c] += (q % 2 ? rgb[c] : -rgb[c]) / (4 * RAISED);
    }
}

static int ask(kn_wan_colours *colours, kn_ctx *c, const kn_wan_vae *vae, float *latents, kn_err *err)
{
    const kn_wan_vae_config *f = &vae->config;
    int n_questions = 1 + 2 * f->z_dim, rc = 0;
    answers a = {.scale = f->scale_spatial,
                 .width = PER_ROW * CELL * f->scale_spatial,
                 .height = CELL * f->scale_spatial};
    kn_wan_vae_hooks hooks = {.pictures = take_picture, .ud = &a};
    for (int first = 0; first < n_questions && !rc; first += PER_ROW) {
        for (int k = 0; k < PER_ROW; k++)
            set_patch(f, first + k < n_questions ? first + k : 0, k, latents);
        kn_scope s = kn_scope_open(c);
        kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(1, CELL, PER_ROW * CELL, f->z_dim), latents);
        rc = kn_wan_vae_decode(c, vae, x, NULL, &hooks, err);
        kn_scope_close(c, s, (kn_tensor){0});
        for (int k = 0; k < PER_ROW && first + k < n_questions && !rc; k++)
            take_answer(colours, first + k, a.rgb[k]);
    }
    return rc;
}

static int ask_once(kn_wan_model *m, kn_run *r, kn_err *err)
{
    kn_wan_loaded *l = NULL;
    if (m->colours.are_known)
        return 0;
    kn_wan_colours colours = {.are_known = true};
    float *latents = kn_calloc(PER_ROW * CELL * CELL, (size_t)m->vae.z_dim * sizeof *latents);
    kn_phase_begin(r, KN_PHASE_LOAD, "colours of the preview", 0);
    int rc = latents ? kn_wan_load_decoder(m, r, KN_PHASE_LOAD, &l, err)
                     : kn_fail(err, KN_ENOMEM, "no memory for previews");
    if (!rc)
        rc = ask(&colours, r->ctx, &l->vae, latents, err);
    if (!rc)
        m->colours = colours;
    kn_wan_unload(m, r, l);
    kn_pool_trim(r->ctx);
    kn_phase_end(r);
    free(latents);
    return rc;
}

int kn_wan_preview_init(kn_wan_preview *p, kn_wan_model *m, kn_run *r, const int64_t dims[4], kn_err *err)
{
    *p = (kn_wan_preview){
        .colours = &m->colours, .z_dim = m->vae.z_dim, .t = dims[1], .h = dims[2], .w = dims[3]};
    if (!r->preview)
        return 0;
    p->rgb = kn_calloc((size_t)(p->h * p->w), 3 * sizeof *p->rgb);
    return p->rgb ? ask_once(m, r, err) : kn_fail(err, KN_ENOMEM, "no memory for previews");
}

void kn_wan_preview_done(kn_wan_preview *p)
{
    free(p->rgb);
}

void kn_wan_preview_show(kn_wan_preview *p, kn_run *r, const float *latents)
{
    int64_t frame = p->h * p->w, middle = p->t / 2 * frame;
    for (int64_t i = 0; i < frame; i++)
        for (int c = 0; c < 3; c++) {
            float v = p->colours->base[c];
            for (int k = 0; k < p->z_dim; k++)
                v += p->colours->slope[k][c] * latents[k * p->t * frame + middle + i];
            p->rgb[i * 3 + c] = v < 0 ? 0 : v > 1 ? 1 : v;
        }
    r->preview(r->preview_ud, (int)p->w, (int)p->h, p->rgb);
}
