#include "models/common/t5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- weights ---- */

static void load_block(kn_loader *l, const void *config, int i, void *ret)
{
    const kn_t5_config *f = config;
    kn_t5_block *b = ret;
    int64_t inner = f->n_heads * f->d_kv, table[2] = {f->n_buckets, f->n_heads};
    kn_loader_prefix(l, "encoder.block.%d.layer.0.", i);
    b->norm1 = kn_load_vector(l, "layer_norm.weight", 1, &f->d_model, 0);
    b->q = kn_load_linear(l, "SelfAttention.q", f->d_model, inner, KN_LOAD_NO_BIAS);
    b->k = kn_load_linear(l, "SelfAttention.k", f->d_model, inner, KN_LOAD_NO_BIAS);
    b->v = kn_load_linear(l, "SelfAttention.v", f->d_model, inner, KN_LOAD_NO_BIAS);
    b->o = kn_load_linear(l, "SelfAttention.o", inner, f->d_model, KN_LOAD_NO_BIAS);
    b->rel_bias = (kn_tensor){0};
    if (i == 0 || f->bias_per_layer)
        b->rel_bias = kn_load_vector(l, "SelfAttention.relative_attention_bias.weight", 2, table, 0);
    kn_loader_prefix(l, "encoder.block.%d.layer.1.", i);
    b->norm2 = kn_load_vector(l, "layer_norm.weight", 1, &f->d_model, 0);
    b->wi_0 = kn_load_linear(l, f->gated ? "DenseReluDense.wi_0" : "DenseReluDense.wi", f->d_model, f->d_ff,
                             KN_LOAD_NO_BIAS);
    b->wi_1 =
        f->gated ? kn_load_linear(l, "DenseReluDense.wi_1", f->d_model, f->d_ff, KN_LOAD_NO_BIAS) : NULL;
    b->wo = kn_load_linear(l, "DenseReluDense.wo", f->d_ff, f->d_model, KN_LOAD_NO_BIAS);
    kn_loader_prefix(l, "%s", "");
}

/* Rows are gathered from the embedding table when prompts come; until then nothing else would say it is ours. */
static void claim_table(kn_loader *l)
{
    kn_entry *e =
        l->err.code || kn_checkpoint_is_random(l->ck) ? NULL : kn_checkpoint_find(l->ck, "shared.weight");
    if (e)
        e->used = true;
}

void kn_t5_load(kn_t5 *m, const kn_t5_config *config, int n_resident, kn_loader *l)
{
    *m = (kn_t5){.config = *config};
    m->norm = kn_load_vector(l, "encoder.final_layer_norm.weight", 1, &config->d_model, 0);
    claim_table(l);
    kn_blocks_spec spec = {.load = load_block,
                           .config = &m->config,
                           .block_bytes = sizeof(kn_t5_block),
                           .n = config->n_layers,
                           .n_resident = n_resident};
    m->blocks = kn_blocks_new(l, &spec);
}

void kn_t5_done(kn_t5 *m)
{
    kn_blocks_free(m->blocks);
    m->blocks = NULL;
}

/* ---- forward ---- */

int kn_t5_bucket(int distance, int n_buckets, int max_distance)
{
    int half = n_buckets / 2, exact = half / 2, n = abs(distance), base = distance > 0 ? half : 0;
    if (n < exact)
        return base + n;
    /* In float32, as the reference computes it: the result is truncated. */
    float x = logf((float)n / (float)exact) / (float)log((double)max_distance / exact);
    int bucket = exact + (int)(x * (float)(half - exact));
    return base + (bucket < half ? bucket : half - 1);
}

/* The table of a layer [n_buckets, heads] by distance instead of by bucket: [heads, 2 * max_distance + 1]. */
static kn_tensor unroll_bias(kn_ctx *c, const kn_t5_config *f, kn_tensor table)
{
    int64_t width = 2 * (int64_t)f->max_distance + 1, n_heads = f->n_heads;
    float *by_bucket = kn_calloc((size_t)(f->n_buckets * n_heads), sizeof *by_bucket);
    float *by_distance = kn_calloc((size_t)(width * n_heads), sizeof *by_distance);
    kn_tensor out = {0};
    if (by_bucket && by_distance) {
        kn_to_f32(c, table, by_bucket);
        for (int64_t i = 0; i < width; i++) {
            int bucket = kn_t5_bucket((int)(i - f->max_distance), f->n_buckets, f->max_distance);
            for (int64_t h = 0; h < n_heads; h++)
                by_distance[h * width + i] = by_bucket[bucket * n_heads + h];
        }
        out = kn_from_f32(c, KN_F32, KN_DIMS(n_heads, width), by_distance);
    } else {
        kn_ctx_fail(c, KN_ENOMEM, "no memory for the relative attention bias");
    }
    free(by_bucket);
    free(by_distance);
    return out;
}

typedef struct t5_batch {
    const kn_t5_seq *seqs;
    int n_seqs;
    int64_t n_rows;
} t5_batch;

static kn_tensor attend(kn_ctx *c, const kn_t5_config *f, const t5_batch *batch, kn_tensor q, kn_tensor k,
                        kn_tensor v, kn_tensor rel_bias)
{
    kn_tensor out = kn_empty(c, c->act, KN_DIMS(batch->n_rows, f->n_heads * f->d_kv));
    kn_attention_opts opts = {.scale = 1, .rel_bias = rel_bias};
    int64_t at = 0;
    for (int i = 0; i < batch->n_seqs; i++) {
        int64_t n = batch->seqs[i].n, n_keys = batch->seqs[i].n_keys ? batch->seqs[i].n_keys : n;
        kn_tensor o = kn_attention(c, kn_rows(c, q, at, n), kn_rows(c, k, at, n_keys),
                                   kn_rows(c, v, at, n_keys), f->n_heads, f->n_heads, &opts, c->act);
        kn_copy(c, kn_rows(c, out, at, n), o);
        kn_free(c, &o);
        at += n;
    }
    return out;
}

static void self_attention(kn_ctx *c, const kn_t5_config *f, const kn_t5_block *b, const t5_batch *batch,
                           kn_tensor x, kn_tensor rel_bias)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_rms_norm(c, x, b->norm1, f->eps, KN_ACT_NONE, NULL, 1, c->act);
    kn_tensor q = kn_linear(c, h, b->q, KN_ACT_NONE, c->act);
    kn_tensor k = kn_linear(c, h, b->k, KN_ACT_NONE, c->act);
    kn_tensor v = kn_linear(c, h, b->v, KN_ACT_NONE, c->act);
    kn_free(c, &h);
    kn_tensor o = attend(c, f, batch, q, k, v, rel_bias);
    kn_linear_residual(c, x, o, b->o, (kn_mod){0});
    kn_scope_close(c, scope, (kn_tensor){0});
}

static void feed_forward(kn_ctx *c, const kn_t5_config *f, const kn_t5_block *b, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_rms_norm(c, x, b->norm2, f->eps, KN_ACT_NONE, NULL, 1, c->act);
    kn_tensor g = kn_linear(c, h, b->wi_0, f->act, c->act);
    if (f->gated)
        kn_mul(c, g, kn_linear(c, h, b->wi_1, KN_ACT_NONE, c->act));
    kn_linear_residual(c, x, g, b->wo, (kn_mod){0});
    kn_scope_close(c, scope, (kn_tensor){0});
}

static int check_seq(kn_ctx *c, const kn_t5_config *f, const kn_t5_seq *s)
{
    if (s->n < 1 || s->n_keys < 0 || s->n_keys > s->n)
        kn_ctx_fail(c, KN_EINVAL, "text: %d tokens of which %d are attended to, expected 1 or more", s->n,
                    s->n_keys);
    for (int i = 0; i < s->n && kn_ok(c); i++)
        if (s->ids[i] < 0 || s->ids[i] >= f->vocab_size)
            kn_ctx_fail(c, KN_EINVAL, "text: token id %d, but the text encoder's vocabulary has %lld",
                        (int)s->ids[i], (long long)f->vocab_size);
    return c->err.code;
}

static kn_tensor embed(kn_ctx *c, const kn_t5_config *f, kn_loader *l, t5_batch *batch)
{
    for (int i = 0; i < batch->n_seqs; i++) {
        if (check_seq(c, f, &batch->seqs[i]))
            return (kn_tensor){0};
        batch->n_rows += batch->seqs[i].n;
    }
    float *rows = kn_calloc((size_t)batch->n_rows, (size_t)f->d_model * sizeof *rows);
    if (!rows)
        return kn_ctx_fail(c, KN_ENOMEM, "no memory for %lld embedded tokens", (long long)batch->n_rows);
    int rc = 0;
    int64_t at = 0;
    kn_loader_prefix(l, "%s", "");
    for (int i = 0; i < batch->n_seqs && !rc; at += batch->seqs[i++].n)
        rc = kn_loader_gather(l, "shared.weight", f->d_model, batch->seqs[i].n, batch->seqs[i].ids,
                              rows + at * f->d_model);
    kn_tensor x = {0};
    if (rc)
        kn_ctx_fail(c, l->err.code, "%s", l->err.msg);
    else
        x = kn_from_f32(c, KN_F32, KN_DIMS(batch->n_rows, f->d_model), rows);
    free(rows);
    return x;
}

/* Keeps *rel_bias up to date. */
static void run_block(kn_ctx *c, const kn_t5_config *f, const kn_t5_block *b, const t5_batch *batch,
                      kn_tensor x, kn_tensor *rel_bias)
{
    if (!kn_is_null(b->rel_bias)) {
        kn_free(c, rel_bias);
        *rel_bias = unroll_bias(c, f, b->rel_bias);
    }
    if (!kn_ok(c))
        return;
    self_attention(c, f, b, batch, x, *rel_bias);
    feed_forward(c, f, b, x);
}

kn_tensor kn_t5_forward(kn_ctx *c, const kn_t5 *m, kn_loader *l, const kn_t5_seq *seqs, int n_seqs,
                        const kn_t5_hooks *hooks)
{
    const kn_t5_config *f = &m->config;
    const kn_trace *trace = hooks ? &hooks->trace : NULL;
    t5_batch batch = {.seqs = seqs, .n_seqs = n_seqs};
    kn_scope scope = kn_scope_open(c);
    kn_tensor rel_bias = {0}, x = embed(c, f, l, &batch);
    kn_trace_tensor(trace, x, "text.embed");
    for (int i = 0; i < f->n_layers && kn_ok(c); i++) {
        const kn_t5_block *b = kn_blocks_use(c, m->blocks, i);
        if (!b)
            break;
        run_block(c, f, b, &batch, x, &rel_bias);
        kn_trace_tensor(trace, kn_ok(c) ? x : (kn_tensor){0}, "text.block%d.out", i);
        if (hooks && hooks->progress)
            hooks->progress(hooks->ud, i + 1, f->n_layers);
    }
    kn_blocks_rest(c, m->blocks);
    kn_tensor y =
        kn_ok(c) ? kn_rms_norm(c, x, m->norm, f->eps, KN_ACT_NONE, NULL, 1, KN_F32) : (kn_tensor){0};
    kn_trace_tensor(trace, y, "text.out");
    return kn_scope_close(c, scope, y);
}
