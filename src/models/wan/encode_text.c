/* A prompt to text states. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/text_cache.h"
#include "models/wan/pipeline.h"
#include "text/clean.h"

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
    kn_t5 t5;
    kn_t5_load(&t5, &m->text, 0, &l);
    int rc = kn_loader_finish(&l, kn_t5_ignore, err);
    if (rc)
        goto out;
    kn_scope s = kn_scope_open(c);
    kn_tensor h = kn_t5_forward(c, &t5, &l, seqs, n_seqs, &hooks);
    int64_t row = 0;
    for (int i = 0; i < n_seqs; i++) {
        if (!kn_is_null(h))
            kn_to_f32(c, kn_rows(c, h, row, seqs[i].n), out[i]->rows);
        row += seqs[i].n;
    }
    kn_scope_close(c, s, (kn_tensor){0});
    rc = kn_ctx_error(c, err);
out:
    kn_t5_done(&t5);
    kn_weight_set_done(&set);
    kn_pool_trim(c);
    return rc;
}

static int encode_or_recall(kn_wan_model *m, kn_run *r, const kn_t5_seq *seqs, int n_seqs,
                            kn_wan_states *const *out, kn_err *err)
{
    kn_text_cache_seq kept[2];
    for (int i = 0; i < n_seqs; i++)
        kept[i] = (kn_text_cache_seq){.ids = seqs[i].ids, .n_ids = seqs[i].n, .rows = out[i]->rows};
    bool usable = m->tokenizer != NULL; /* random weights lie nowhere */
    int rc = 0;
    if (usable && kn_text_cache_get(r, m->text_ck, n_seqs, kept, m->text.d_model)) {
        kn_phase_begin(r, KN_PHASE_ENCODE, "text, known from an earlier run", 0);
        kn_phase_end(r);
        return 0;
    }
    kn_phase_begin(r, KN_PHASE_ENCODE, "text", m->text.n_layers);
    rc = run_text_encoder(m, r, seqs, n_seqs, out, err);
    kn_phase_end(r);
    if (!rc && usable)
        kn_text_cache_put(r, m->text_ck, n_seqs, kept, m->text.d_model);
    return rc;
}

int kn_wan_encode_text(kn_wan_model *m, kn_run *r, bool with_negative, kn_wan_text *ret, kn_err *err)
{
    const kn_request *rq = r->rq;
    int64_t max = rq->max_sequence_length;
    tokens prompt = {0}, negative = {0};
    kn_wan_text text = {.dim = m->text.d_model};
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
        rc = encode_or_recall(m, r, seqs, with_negative ? 2 : 1, out, err);
    }
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
