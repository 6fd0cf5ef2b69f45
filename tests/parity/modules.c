/* CLIP, transformer and VAE, each alone on the recorded inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "models/common/clip_vision.h"
#include "models/wan/inputs.h"
#include "models/wan/names.h"
#include "models/wan/transformer.h"
#include "models/wan/vae.h"
#include "parity.h"

typedef struct module_trace {
    parity *p;
    kn_ctx *c;
    const char *skip;         /* a name that is compared elsewhere */
    const int32_t *token_row; /* timestep of each token; NULL: one row */
    int64_t n_tokens;
} module_trace;

/* ---- CLIP ---- */

static void on_clip(void *ud, const char *name, kn_tensor t)
{
    module_trace *tr = ud;
    parity_check_tensor(tr->p, tr->c, name, t, parity_tolerance(tr->p));
}

static void check_pixels(parity *p, const kn_wan_clip_pixels *cp)
{
    const kn_entry *e = NULL;
    float *rgb = parity_input(p, "image.in", &e);
    kn_image im = {0};
    kn_err err = {0};
    if (!rgb || kn_image_new((int)e->dims[1], (int)e->dims[0], &im, &err)) {
        free(rgb);
        return;
    }
    for (int64_t i = 0; i < (int64_t)im.width * im.height * 3; i++)
        im.rgb[i] = (uint8_t)rgb[i];
    int64_t n = 3 * (int64_t)cp->crop_width * cp->crop_height;
    for (int pil = 0; pil < 2; pil++) {
        float *pixels = NULL;
        if (!kn_wan_clip_preprocess(cp, &im, pil, &pixels, &err))
            parity_check(p, pil ? "image.pixels_pil" : "image.pixels", pixels, n, 1e-6);
        free(pixels);
    }
    kn_image_done(&im);
    free(rgb);
}

void parity_clip(parity *p)
{
    if (!parity_has(p, "image.pixels"))
        return;
    kn_err err = {0};
    kn_clip_vision_config f;
    kn_wan_clip_pixels cp;
    component k = {0};
    kn_clip_vision m = {0};
    char *dir = parity_model_dir(p), *part = kn_path_join(dir, "image_encoder"),
         *config = kn_path_join(part, "config.json");
    char *processor = kn_path_join(dir, "image_processor/preprocessor_config.json");
    json_t *j = parity_json(p, config, &err), *pj = parity_json(p, processor, &err);
    float *pixels = parity_input(p, "image.pixels", NULL);
    if (!j || !pj || kn_clip_vision_config_read(j, config, &f, &err) ||
        kn_wan_clip_pixels_read(pj, processor, &cp, &err) || component_open(p, &k, part, NULL, &err)) {
        parity_error(p, "CLIP", &err);
        goto out;
    }
    check_pixels(p, &cp);
    k.loader.dtype = p->act;
    kn_clip_vision_load(&m, &f, &k.loader);
    if (kn_loader_finish(&k.loader, m.ignore, &err)) {
        parity_error(p, "CLIP", &err);
        goto out;
    }
    module_trace tr = {.p = p, .c = &k.ctx};
    kn_trace trace = {on_clip, &tr};
    kn_tensor x = kn_from_f32(&k.ctx, KN_F32, KN_DIMS(3, f.image_size, f.image_size), pixels);
    parity_check_tensor(p, &k.ctx, "image.out", kn_clip_vision_forward(&k.ctx, &m, x, &trace),
                        parity_tolerance(p));
    if (!kn_ok(&k.ctx))
        parity_error(p, "CLIP", &k.ctx.err);
out:
    kn_clip_vision_done(&m);
    component_close(&k);
    free(pixels);
    json_decref(j);
    json_decref(pj);
    free(dir);
    free(part);
    free(config);
    free(processor);
}

/* ---- transformer ---- */

/* Rows of distinct timesteps, repeated for the tokens that have them. */
static void check_by_token(module_trace *tr, const char *name, kn_tensor t)
{
    int64_t n = t.dims[t.n_dims - 1], rows = kn_numel(t) / n;
    float *host = kn_calloc((size_t)kn_numel(t), sizeof *host);
    float *all = kn_calloc((size_t)(tr->n_tokens * n), sizeof *all);
    kn_to_f32(tr->c, t, host);
    for (int64_t i = 0; i < tr->n_tokens; i++)
        if (tr->token_row[i] < rows)
            memcpy(all + i * n, host + tr->token_row[i] * n, (size_t)n * sizeof *all);
    parity_check(tr->p, name, all, tr->n_tokens * n, parity_tolerance(tr->p));
    free(host);
    free(all);
}

/* With 512 padded rows the golden keeps the first few: all others are equal. */
static void check_text(parity *p, kn_ctx *c, kn_tensor t)
{
    const kn_entry *e = kn_checkpoint_find(p->golden, "dit.text");
    kn_tensor rows = kn_reshape(c, t, KN_DIMS(-1, e->dims[e->n_dims - 1]));
    int64_t n = kn_entry_numel(e) / e->dims[e->n_dims - 1];
    parity_check_tensor(p, c, "dit.text", n <= rows.dims[0] ? kn_rows(c, rows, 0, n) : rows,
                        parity_tolerance(p));
}

static void on_dit(void *ud, const char *name, kn_tensor t)
{
    module_trace *tr = ud;
    if (!parity_has(tr->p, name) || (tr->skip && strcmp(name, tr->skip) == 0))
        return;
    if (strcmp(name, "dit.text") == 0)
        check_text(tr->p, tr->c, t);
    else if (tr->token_row && (strcmp(name, "dit.temb") == 0 || strcmp(name, "dit.time_proj") == 0))
        check_by_token(tr, name, t);
    else
        parity_check_tensor(tr->p, tr->c, name, t, parity_tolerance(tr->p));
}

/* Tables hold a value a pair; the golden repeats it for both members. */
static void check_rope(parity *p, kn_ctx *c, const char *name, kn_tensor table)
{
    int64_t n = kn_numel(table);
    float *half = kn_calloc((size_t)n, sizeof *half), *both = kn_calloc((size_t)n, 2 * sizeof *both);
    kn_to_f32(c, table, half);
    for (int64_t i = 0; i < 2 * n; i++)
        both[i] = half[i / 2];
    parity_check(p, name, both, 2 * n, 1e-6);
    free(half);
    free(both);
}

/* Distinct timesteps and which one each token has. */
static int group_timesteps(const float *t, int64_t n, float *distinct, int32_t *row)
{
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        int k = 0;
        while (k < count && distinct[k] != t[i])
            k++;
        if (k == count)
            distinct[count++] = t[i];
        row[i] = k;
    }
    return count;
}

/* The recorded inputs of one transformer: names "<part>.in.*". */
typedef struct dit_inputs {
    float *latents, *times, *context, *image, *control, *scale;
    const kn_entry *latents_e, *times_e, *context_e, *image_e, *control_e;
} dit_inputs;

static void inputs_read(parity *p, const char *part, dit_inputs *in)
{
    char name[64];
#define INPUT(what, entry) (snprintf(name, sizeof name, "%s.in.%s", part, what), parity_input(p, name, entry))
    in->latents = INPUT("latents", &in->latents_e);
    in->times = INPUT("timestep", &in->times_e);
    in->context = INPUT("context", &in->context_e);
    in->image = INPUT("image", &in->image_e);
    in->control = INPUT("control", &in->control_e);
    in->scale = INPUT("control_scale", NULL);
#undef INPUT
}

static void inputs_done(dit_inputs *in)
{
    free(in->latents);
    free(in->times);
    free(in->context);
    free(in->image);
    free(in->control);
    free(in->scale);
}

/* Clip b of the batch through the transformer; `velocity` receives [C, T, h, w] on the host. */
static void forward_clip(parity *p, component *k, const kn_wan_transformer *m, const dit_inputs *in,
                         int64_t b, bool traced, float *velocity)
{
    kn_ctx *c = &k->ctx;
    const int64_t *ld = in->latents_e->dims, *cd = in->context_e->dims;
    bool per_token = in->times_e->n_dims == 2;
    int64_t n_times = per_token ? in->times_e->dims[1] : 1;
    float *distinct = kn_calloc((size_t)n_times, sizeof *distinct);
    int32_t *row = kn_calloc((size_t)n_times, sizeof *row);
    int n_distinct = group_timesteps(in->times + b * n_times, n_times, distinct, row);
    module_trace tr = {p, c, "dit.out", per_token ? row : NULL, n_times};
    kn_trace trace = {traced ? on_dit : NULL, &tr};
    kn_scope s = kn_scope_open(c);
    kn_tensor x = parity_channels_last(c, in->latents + b * ld[1] * ld[2] * ld[3] * ld[4], ld), states = {0};
    kn_tensor text = kn_from_f32(c, KN_F32, KN_DIMS(cd[1], cd[2]), in->context + b * cd[1] * cd[2]);
    if (in->image) /* two pictures of one clip lie one behind the other */
        states = kn_from_f32(
            c, KN_F32, KN_DIMS(in->image_e->dims[0] * in->image_e->dims[1], in->image_e->dims[2]), in->image);
    kn_wan_context ctx = {0};
    kn_wan_context_init(c, m, text, states, traced ? &trace : NULL, &ctx);
    kn_wan_context_keep_kv(c, m, &ctx);
    const int *patch = m->config.patch;
    kn_rope rope =
        kn_wan_rope(c, m->config.head_dim, x.dims[0] / patch[0], x.dims[1] / patch[1], x.dims[2] / patch[2]);
    if (traced && kn_ok(c)) {
        check_rope(p, c, "dit.rope.cos", rope.cos);
        check_rope(p, c, "dit.rope.sin", rope.sin);
    }
    kn_wan_input args = {.latents = x,
                         .timesteps = distinct,
                         .n_timesteps = n_distinct,
                         .token_timestep = per_token ? row : NULL,
                         .context = &ctx,
                         .rope = &rope,
                         .control_scale = in->scale,
                         .trace = traced ? &trace : NULL};
    if (in->control)
        args.control = parity_channels_last(c, in->control, in->control_e->dims);
    kn_tensor v = kn_permute(c, kn_wan_transformer_forward(c, m, &args), (const int[]){3, 0, 1, 2});
    if (kn_ok(c))
        kn_to_f32(c, v, velocity);
    kn_scope_close(c, s, (kn_tensor){0});
    kn_wan_context_done(&ctx);
    free(distinct);
    free(row);
}

static void forward(parity *p, component *k, const kn_wan_transformer *m, const char *part, const char *out)
{
    dit_inputs in = {0};
    inputs_read(p, part, &in);
    const kn_entry *e = kn_checkpoint_find(p->golden, out);
    if (!in.latents || !in.times || !in.context || !e) {
        parity_result(p, part, false, "has no recorded inputs");
        inputs_done(&in);
        return;
    }
    int64_t batch = in.latents_e->dims[0], n = kn_entry_numel(e);
    float *velocity = kn_calloc((size_t)n, sizeof *velocity);
    bool traced = strcmp(part, "dit") == 0 && strcmp(out, "dit.out") == 0 && batch == 1;
    for (int64_t b = 0; b < batch; b++)
        forward_clip(p, k, m, &in, b, traced, velocity + b * (n / batch));
    if (kn_ok(&k->ctx))
        parity_check(p, out, velocity, n, parity_tolerance(p));
    else
        parity_error(p, out, &k->ctx.err);
    free(velocity);
    inputs_done(&in);
}

/* weights, config: paths; config NULL: derived from shapes with the head size of the fixture's config. */
void parity_transformer(parity *p, const char *part, const char *weights, const char *config,
                        const kn_lora_set *lora, const char *out)
{
    kn_err err = {0};
    component k = {0};
    kn_wan_config f;
    kn_wan_transformer m = {0};
    json_t *j = parity_json(p, config, &err);
    if (!parity_has(p, out)) {
        json_decref(j);
        return;
    }
    if (!j || kn_wan_config_read(j, config, &f, &err) || component_open(p, &k, weights, lora, &err) ||
        kn_wan_rename_transformer(k.ck, &err)) {
        parity_error(p, out, &err);
    } else {
        kn_wan_transformer_load(&m, &f, KN_ALL_BLOCKS, &k.loader);
        if (kn_loader_finish(&k.loader, NULL, &err))
            parity_error(p, out, &err);
        else
            forward(p, &k, &m, part, out);
    }
    kn_wan_transformer_done(&m);
    component_close(&k);
    json_decref(j);
}

void parity_transformers(parity *p)
{
    char *dir = parity_model_dir(p);
    /* dit2 is the second expert, or (a single transformer) a second input of the first. */
    char *high = kn_path_join(dir, "transformer"), *low = kn_path_join(dir, "transformer_2");
    char *high_config = kn_path_join(high, "config.json"), *low_config = kn_path_join(low, "config.json");
    bool two = kn_path_is_dir(low);
    parity_transformer(p, "dit", high, high_config, NULL, "dit.out");
    parity_transformer(p, "dit2", two ? low : high, two ? low_config : high_config, NULL, "dit2.out");
    /* the same weights under their original names */
    char *original = parity_path(p, "original/transformer.safetensors");
    char *original_high = parity_path(p, "original/high_noise.safetensors");
    char *original_low = parity_path(p, "original/low_noise.safetensors");
    const char *first = kn_path_exists(original) ? original : original_high;
    parity_transformer(p, "dit", first, high_config, NULL, "dit.out.original");
    parity_transformer(p, "dit2", original_low, low_config, NULL, "dit2.out.original");
    free(original);
    free(original_high);
    free(original_low);
    free(high);
    free(low);
    free(high_config);
    free(low_config);
    free(dir);
}

/* ---- VAE ---- */

typedef struct frames_out {
    float *rgb; /* [F, H, W, 3] in -1..1 */
    int64_t n, picture, capacity;
} frames_out;

static int take(void *ud, int64_t first, int64_t n, const float *pictures, kn_err *err)
{
    frames_out *f = ud;
    if (first + n > f->capacity)
        return kn_fail(err, KN_EINTERNAL, "more frames than expected");
    memcpy(f->rgb + first * f->picture, pictures, (size_t)(n * f->picture) * sizeof *pictures);
    f->n = first + n;
    return 0;
}

/* The hooks share one ud: both ends of a VAE run. */
typedef struct vae_run {
    frames_out frames;
    parity *p;
    kn_ctx *c;
} vae_run;

static void on_vae(void *ud, const char *name, kn_tensor t)
{
    vae_run *r = ud;
    parity_check_channels_first(r->p, r->c, name, t, parity_tolerance(r->p));
}

static int tile(const json_t *tiling, const char *key)
{
    return (int)json_integer_value(json_object_get(tiling, key));
}

static kn_wan_tiling tiling_of(const parity *p)
{
    const json_t *t = json_object_get(p->fixture, "tiling");
    return (kn_wan_tiling){tile(t, "tile_sample_min_height"), tile(t, "tile_sample_min_width"),
                           tile(t, "tile_sample_stride_height"), tile(t, "tile_sample_stride_width")};
}

static void decode(parity *p, component *k, const kn_wan_vae *v, const char *set)
{
    char in[48], out[48];
    const kn_entry *e = NULL;
    snprintf(in, sizeof in, "vae.%s.in", set);
    snprintf(out, sizeof out, "vae.%s.out", set);
    float *z = parity_input(p, in, &e);
    if (!z)
        return;
    int64_t s = v->config.scale_spatial, picture = e->dims[3] * s * e->dims[4] * s * 3;
    int64_t n = 1 + (e->dims[2] - 1) * v->config.scale_temporal;
    vae_run r = {.frames = {.capacity = n, .picture = picture}, .p = p, .c = &k->ctx};
    r.frames.rgb = kn_calloc((size_t)(n * picture), sizeof(float));
    kn_wan_tiling t = tiling_of(p);
    kn_wan_vae_hooks hooks = {.pictures = take, .trace = strcmp(set, "dec") == 0 ? on_vae : NULL, .ud = &r};
    kn_err err = {0};
    kn_scope scope = kn_scope_open(&k->ctx);
    kn_tensor x = parity_channels_last(&k->ctx, z, e->dims);
    if (kn_wan_vae_decode(&k->ctx, v, x, strstr(set, "tiled") ? &t : NULL, &hooks, &err)) {
        parity_error(p, out, &err);
    } else { /* [F, H, W, 3] -> [3, F, H, W] */
        float *first = kn_calloc((size_t)(n * picture), sizeof *first);
        kn_wan_to_channels_first(r.frames.rgb, first, n * picture / 3, 3);
        parity_check(p, out, first, n * picture, parity_tolerance(p));
        free(first);
    }
    kn_scope_close(&k->ctx, scope, (kn_tensor){0});
    free(r.frames.rgb);
    free(z);
}

static void encode(parity *p, component *k, const kn_wan_vae *v, const char *set)
{
    char name[48];
    const kn_entry *e = NULL;
    snprintf(name, sizeof name, "vae.%s.in", set);
    float *x = parity_input(p, name, &e);
    if (!x)
        return;
    int64_t n = e->dims[2], h = e->dims[3], w = e->dims[4], picture = h * w * 3;
    float *last = kn_calloc((size_t)(n * picture), sizeof *last);
    const float **frames = kn_calloc((size_t)n, sizeof *frames);
    kn_wan_to_channels_last(x, last, n * h * w, 3, 3);
    for (int64_t i = 0; i < n; i++)
        frames[i] = last + i * picture;
    kn_wan_clip clip = {n, h, w, frames};
    vae_run r = {.p = p, .c = &k->ctx};
    kn_wan_tiling t = tiling_of(p);
    kn_wan_vae_hooks hooks = {.trace = strcmp(set, "enc") == 0 ? on_vae : NULL, .ud = &r};
    kn_scope scope = kn_scope_open(&k->ctx);
    kn_tensor moments = kn_wan_vae_encode(&k->ctx, v, &clip, strstr(set, "tiled") ? &t : NULL, &hooks);
    snprintf(name, sizeof name, "vae.%s.moments", set);
    parity_check_channels_first(p, &k->ctx, name, moments, parity_tolerance(p));
    snprintf(name, sizeof name, "vae.%s.out", set);
    parity_check_channels_first(p, &k->ctx, name, kn_slice(&k->ctx, moments, 3, 0, v->config.z_dim),
                                parity_tolerance(p));
    if (!kn_ok(&k->ctx))
        parity_error(p, name, &k->ctx.err);
    kn_scope_close(&k->ctx, scope, (kn_tensor){0});
    free(last);
    free(frames);
    free(x);
}

void parity_vae(parity *p, const char *weights, const char *config)
{
    kn_err err = {0};
    kn_wan_vae_config f;
    kn_wan_vae v = {0};
    component k = {0};
    char *dir = parity_model_dir(p), *part = kn_path_join(dir, "vae"),
         *own = kn_path_join(part, "config.json");
    json_t *j = parity_json(p, config ? config : own, &err);
    if (!parity_has(p, "vae.dec.in") && !parity_has(p, "vae.dec1.in") && !parity_has(p, "vae.dec2.in"))
        goto out;
    if (!j || kn_wan_vae_config_read(j, "vae/config.json", &f, &err) ||
        component_open(p, &k, weights ? weights : part, NULL, &err) ||
        (weights && kn_wan_rename_vae(k.ck, &err))) {
        parity_error(p, "VAE", &err);
        goto out;
    }
    k.loader.dtype = p->act;
    kn_wan_vae_load(&v, &f, &k.loader, KN_WAN_VAE_ENCODER | KN_WAN_VAE_DECODER);
    if (kn_loader_finish(&k.loader, NULL, &err)) {
        parity_error(p, "VAE", &err);
        goto out;
    }
    static const char *const sets[] = {"dec", "dec1", "dec2", "dec_tiled", NULL}, *const encodes[] = {
                                                                                      "enc",       "enc1",
                                                                                      "enc5",      "enc6",
                                                                                      "enc_tiled", NULL};
    for (int i = 0; sets[i]; i++)
        decode(p, &k, &v, sets[i]);
    for (int i = 0; encodes[i]; i++)
        encode(p, &k, &v, encodes[i]);
out:
    component_close(&k);
    json_decref(j);
    free(dir);
    free(part);
    free(own);
}
