/* Running a Wan transformer on the golden inputs. */
#ifndef KN_TESTS_MODELS_WAN_DIT_H
#define KN_TESTS_MODELS_WAN_DIT_H

#include "golden.h"

#include "models/wan/names.h"
#include "models/wan/transformer.h"

/* A transformer with its weights on one device. */
typedef struct dit {
    kn_ctx c;
    kn_checkpoint *ck;
    kn_weight_set set;
    kn_loader loader;
    kn_wan_transformer m;
    kn_wan_transformer streamed; /* the same, of which some blocks come and go; see dit_stream */
} dit;

/* config NULL: derived from shapes, with the fixtures' head size. */
static inline void dit_open_lora(dit *d, kn_device *dev, const char *weights, const char *config,
                                 kn_dtype dtype, const char *const *lora_files, const float *strengths,
                                 int n_loras, kn_lora_set **ret_set)
{
    kn_wan_config f;
    memset(d, 0, sizeof *d);
    d->ck = open_checkpoint(weights);
    must(kn_wan_rename_transformer(d->ck, err));
    if (config) {
        json_t *j = open_json(config);
        must(kn_wan_config_read(j, config, &f, err));
        json_decref(j);
    } else {
        must(kn_wan_config_derive(d->ck, 16, &f, err));
    }
    kn_lora_set *loras = NULL;
    if (n_loras)
        must(kn_lora_set_new(&loras, err));
    for (int i = 0; i < n_loras; i++)
        must(kn_lora_set_add(loras, lora_files[i], strengths[i], d->ck, &kn_wan_names, err));
    must(kn_ctx_init(&d->c, dev, dtype == KN_F32 ? KN_F32 : KN_BF16, 0, err));
    kn_weight_set_init(&d->set, dev);
    kn_loader_init(&d->loader, &d->set, d->ck, loras, dtype);
    kn_wan_transformer_load(&d->m, &f, KN_ALL_BLOCKS, &d->loader);
    must(kn_loader_finish(&d->loader, (const char *const[]){NULL}, err));
    if (ret_set)
        *ret_set = loras;
}

static inline void dit_open(dit *d, kn_device *dev, const char *weights, const char *config, kn_dtype dtype)
{
    dit_open_lora(d, dev, weights, config, dtype, NULL, NULL, 0, NULL);
}

/* The first n_resident blocks stay. */
static inline void dit_stream(dit *d, int n_resident)
{
    kn_wan_transformer_done(&d->streamed);
    kn_wan_transformer_load(&d->streamed, &d->m.config, n_resident, &d->loader);
    must(kn_loader_finish(&d->loader, (const char *const[]){NULL}, err));
}

static inline void dit_close(dit *d)
{
    kn_wan_transformer_done(&d->m);
    kn_wan_transformer_done(&d->streamed);
    kn_weight_set_done(&d->set);
    kn_ctx_done(&d->c);
    kn_checkpoint_close(d->ck);
}

/* Golden [1, C, T, H, W] (entry b of the batch) as a tensor [T, H, W, C]. */
static inline kn_tensor load_clip(kn_ctx *c, kn_checkpoint *g, const char *name, int64_t b)
{
    const kn_entry *e = golden_entry(g, name);
    const int64_t *d = e->dims;
    float *all = golden_f32(g, name);
    kn_tensor x =
        kn_from_f32(c, KN_F32, KN_DIMS(d[1], d[2], d[3], d[4]), all + b * d[1] * d[2] * d[3] * d[4]);
    free(all);
    return kn_permute(c, x, (const int[]){1, 2, 3, 0});
}

static inline kn_tensor load_rows(kn_ctx *c, kn_checkpoint *g, const char *name, int64_t b)
{
    const kn_entry *e = golden_entry(g, name);
    float *all = golden_f32(g, name);
    kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(e->dims[1], e->dims[2]), all + b * e->dims[1] * e->dims[2]);
    free(all);
    return x;
}

/* Both pictures' states one behind the other. */
static inline kn_tensor load_image(kn_ctx *c, kn_checkpoint *g, const char *name)
{
    const kn_entry *e = kn_checkpoint_find(g, name);
    if (!e)
        return (kn_tensor){0};
    float *all = golden_f32(g, name);
    kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(e->dims[0] * e->dims[1], e->dims[2]), all);
    free(all);
    return x;
}

/* One forward from the goldens "<run>.in.*": entry b of the batch, compared with the golden `out`. */
static inline void check_run(dit *d, kn_checkpoint *g, const char *run, const char *out, int64_t b,
                             bool keep_kv, const char *label, double tolerance, bool traced)
{
    kn_ctx *c = &d->c;
    char name[64];
#define NAMED(part) (snprintf(name, sizeof name, "%s.in." part, run), name)
    golden_trace compare = {c, g, label, tolerance, 0};
    kn_trace trace = {traced ? compare_traced : NULL, &compare};
    kn_scope scope = kn_scope_open(c);
    kn_tensor latents = load_clip(c, g, NAMED("latents"), b);
    kn_tensor text = load_rows(c, g, NAMED("context"), b), image = load_image(c, g, NAMED("image"));
    kn_wan_context context;
    kn_wan_context_init(c, &d->m, text, image, &trace, &context);
    if (keep_kv)
        kn_wan_context_keep_kv(c, &d->m, &context);
    kn_rope rope =
        kn_wan_rope(c, d->m.config.head_dim, latents.dims[0], latents.dims[1] / 2, latents.dims[2] / 2);

    /* A timestep for each token, as the reference has them, where they differ. */
    const kn_entry *te = golden_entry(g, NAMED("timestep"));
    float *timesteps = golden_f32(g, name), *scale = NULL;
    int32_t tokens[64];
    for (int i = 0; i < 64; i++)
        tokens[i] = i;
    kn_wan_input in = {.latents = latents, .context = &context, .rope = &rope, .trace = &trace};
    in.timesteps = te->n_dims == 2 ? timesteps : timesteps + b;
    in.n_timesteps = te->n_dims == 2 ? (int)te->dims[1] : 1;
    in.token_timestep = te->n_dims == 2 ? tokens : NULL;
    if (d->m.config.n_vace) {
        in.control = load_clip(c, g, NAMED("control"), 0);
        scale = golden_f32(g, NAMED("control_scale"));
        in.control_scale = scale;
    }
    kn_tensor y = kn_wan_transformer_forward(c, &d->m, &in);
    must_be_ok(c);
    y = kn_permute(c, y, (const int[]){3, 0, 1, 2});
    int64_t n = kn_numel(y);
    float *got = malloc((size_t)n * sizeof *got), *want = golden_f32(g, out);
    kn_to_f32(c, y, got);
    check_close(label, out, got, want + b * n, n, tolerance);
    if (traced)
        assert_true(compare.n_compared >= 10);
    free(got);
    free(want);
    free(scale);
    free(timesteps);
    kn_wan_context_done(&context);
    kn_scope_close(c, scope, (kn_tensor){0});
    assert_int_equal(kn_pool_live(c), 0);
#undef NAMED
}

#endif
