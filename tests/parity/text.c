/* Tokens, text encoder, prompt cleaning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "models/common/t5.h"
#include "parity.h"
#include "text/clean.h"
#include "text/tokenizer.h"

/* ---- tok.json ---- */

static bool same(const json_t *want, const int32_t *ids, int n)
{
    if ((int)json_array_size(want) != n)
        return false;
    for (int i = 0; i < n; i++)
        if (json_integer_value(json_array_get(want, (size_t)i)) != ids[i])
            return false;
    return true;
}

static bool tokenizes(const kn_tokenizer *t, const json_t *text, const json_t *want, bool eos)
{
    int32_t *ids = NULL;
    int n = 0, max = (int)json_array_size(want);
    /* recorded with truncation; a text with NUL in it has no C string */
    bool plain = strlen(json_string_value(text)) == json_string_length(text);
    if (eos && plain) {
        bool same_ids =
            !kn_tokenizer_encode(t, json_string_value(text), max, &ids, &n, NULL) && same(want, ids, n);
        free(ids);
        return same_ids;
    }
    if (kn_tokenizer_encode_raw_bytes(t, json_string_value(text), json_string_length(text), &ids, &n, NULL))
        return false;
    json_t *expected = json_deep_copy(want);
    if (eos) /* the ids end with </s> */
        json_array_remove(expected, json_array_size(expected) - 1);
    bool ok = same(expected, ids, n);
    json_decref(expected);
    free(ids);
    return ok;
}

static void check_column(parity *p, const kn_tokenizer *t, const json_t *cases, const char *text,
                         const char *ids, bool eos)
{
    size_t i;
    json_t *c;
    int right = 0, total = 0;
    char name[64], detail[64];
    json_array_foreach((json_t *)(uintptr_t)cases, i, c)
    {
        const json_t *want = json_object_get(c, ids);
        if (!want)
            continue;
        total++;
        right += tokenizes(t, json_object_get(c, text), want, eos);
    }
    if (!total)
        return;
    snprintf(name, sizeof name, "tok.%s", ids);
    snprintf(detail, sizeof detail, "%d of %d strings", right, total);
    parity_result(p, name, right == total, detail);
}

static void check_clean(parity *p, const json_t *cases)
{
    size_t i;
    json_t *c;
    int right = 0, total = 0;
    char detail[64];
    json_array_foreach((json_t *)(uintptr_t)cases, i, c)
    {
        const char *want = json_string_value(json_object_get(c, "clean"));
        const json_t *text = json_object_get(c, "text");
        char *got = NULL;
        if (!want)
            continue;
        total++;
        if (!kn_prompt_clean_bytes(json_string_value(text), json_string_length(text), &got, NULL))
            right += strcmp(got, want) == 0;
        free(got);
    }
    snprintf(detail, sizeof detail, "%d of %d strings", right, total);
    if (total)
        parity_result(p, "tok.clean", right == total, detail);
}

static void check_padded(parity *p, const kn_tokenizer *t, const json_t *cases)
{
    size_t i;
    json_t *c;
    int right = 0;
    char detail[64];
    json_array_foreach((json_t *)(uintptr_t)cases, i, c)
    {
        int max = (int)json_integer_value(json_object_get(c, "max_length")), n = 0;
        int32_t *ids = NULL;
        json_t *want = json_deep_copy(json_object_get(c, "ids"));
        if (!kn_tokenizer_encode(t, json_string_value(json_object_get(c, "text")), max, &ids, &n, NULL)) {
            while ((int)json_array_size(want) > n) /* we do not pad: the rest must be padding */
                if (json_integer_value(json_array_get(want, json_array_size(want) - 1)) !=
                    kn_tokenizer_pad_id(t))
                    break;
                else
                    json_array_remove(want, json_array_size(want) - 1);
            right += same(want, ids, n);
        }
        json_decref(want);
        free(ids);
    }
    snprintf(detail, sizeof detail, "%d of %zu strings", right, json_array_size(cases));
    if (json_array_size(cases))
        parity_result(p, "tok.padded", right == (int)json_array_size(cases), detail);
}

static kn_tokenizer *open_tokenizer(parity *p, const char *file, kn_tokenizer_reading reading)
{
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    char *dir = parity_model_dir(p), *path = kn_path_join(dir, file);
    if (kn_tokenizer_open_reading(path, reading, &t, &err))
        parity_error(p, "tokenizer", &err);
    free(dir);
    free(path);
    return t;
}

void parity_tokens(parity *p)
{
    char *path = parity_path(p, "tok.json");
    json_t *tok = json_load_file(path, JSON_ALLOW_NUL, NULL); /* some strings hold NUL */
    free(path);
    if (!tok)
        return;
    const json_t *cases = json_object_get(tok, "cases"), *entries = json_object_get(tok, "entries");
    kn_tokenizer *t = open_tokenizer(p, "tokenizer", KN_TOKENIZER_AS_WRITTEN);
    kn_tokenizer *five = open_tokenizer(p, "tokenizer", KN_TOKENIZER_TRANSFORMERS5);
    kn_tokenizer *spm = open_tokenizer(p, "tokenizer/spiece.model", KN_TOKENIZER_AS_WRITTEN);
    if (t && five && spm) {
        /* Wan's fixtures: `ids` is the file as written; `ref_ids` transformers 5 */
        check_column(p, t, cases, "text", "raw_ids", false);
        check_column(p, t, cases, "text", "ids", true);
        check_column(p, t, cases, "clean", "clean_ids", true);
        check_column(p, five, cases, "text", "ref_ids", true);
        check_column(p, five, cases, "clean", "clean_ref_ids", true);
        check_clean(p, cases);
        check_padded(p, t, json_object_get(tok, "padded"));
        /* text encoder fixtures: `file` is the file as written, `ids` transformers 5, `spm` SentencePiece */
        check_column(p, t, entries, "text", "file", false);
        check_column(p, five, entries, "text", "raw", false);
        check_column(p, five, entries, "text", "ids", true);
        check_column(p, spm, entries, "text", "spm", false);
    }
    kn_tokenizer_close(t);
    kn_tokenizer_close(five);
    kn_tokenizer_close(spm);
    json_decref(tok);
}

/* ---- the encoder ---- */

typedef struct text_trace {
    parity *p;
    kn_ctx *c;
    const char *set; /* "text_neg" */
    int n_layers;
} text_trace;

static void on_text(void *ud, const char *name, kn_tensor t)
{
    text_trace *tr = ud;
    char golden[96];
    snprintf(golden, sizeof golden, "%s%s", tr->set, name + strlen("text"));
    if (strcmp(name, "text.out") != 0)
        parity_check_tensor(tr->p, tr->c, golden, t, parity_tolerance(tr->p));
}

/* Ids of the golden, as the encoder takes them. */
static int32_t *golden_ids(parity *p, const char *name, int64_t *ret_rows, int64_t *ret_n)
{
    const kn_entry *e = NULL;
    float *f = parity_input(p, name, &e);
    if (!f)
        return NULL;
    *ret_rows = e->dims[0];
    *ret_n = e->dims[1];
    int64_t n = e->dims[0] * e->dims[1];
    int32_t *ids = kn_calloc((size_t)n, sizeof *ids);
    for (int64_t i = 0; ids && i < n; i++)
        ids[i] = (int32_t)f[i];
    free(f);
    return ids;
}

kn_tensor parity_encode(kn_ctx *c, const kn_t5_config *f, kn_loader *l, const kn_t5_seq *seqs, int n_seqs,
                        const kn_t5_hooks *hooks)
{
    kn_t5 m;
    kn_t5_load(&m, f, 0, l);
    kn_tensor h = {0};
    if (l->err.code)
        kn_ctx_fail(c, l->err.code, "%s", l->err.msg);
    else
        h = kn_t5_forward(c, &m, l, seqs, n_seqs, hooks);
    kn_t5_done(&m);
    return h;
}

static int read_config(parity *p, kn_t5_config *ret, kn_err *err)
{
    char *dir = parity_model_dir(p), *path = kn_path_join(dir, "text_encoder/config.json");
    json_t *j = parity_json(p, path, err);
    int rc = j ? kn_t5_config_read(j, path, ret, err) : err->code;
    json_decref(j);
    free(dir);
    free(path);
    return rc;
}

/* One set of goldens (text, text_neg, text_empty): the ids are input here; parity_check_ids compares them. */
static void encode_set(parity *p, component *k, const kn_t5_config *f, const char *set, const char *out)
{
    char name[64];
    int64_t rows = 0, n = 0;
    snprintf(name, sizeof name, "%s.ids", set);
    int32_t *ids = golden_ids(p, name, &rows, &n);
    if (!ids)
        return;
    snprintf(name, sizeof name, "%s.mask", set);
    parity_mark(p, name);
    kn_ctx *c = &k->ctx;
    text_trace tr = {p, c, set, f->n_layers};
    kn_t5_hooks hooks = {.trace = {on_text, &tr}};
    kn_t5_seq seq = {.ids = ids, .n = (int)n};
    kn_scope s = kn_scope_open(c);
    kn_tensor h = parity_encode(c, f, &k->loader, &seq, 1, &hooks);
    parity_check_tensor(p, c, out, h, parity_tolerance(p));
    kn_scope_close(c, s, (kn_tensor){0});
    if (!kn_ok(c))
        parity_error(p, set, &c->err);
    free(ids);
}

/* The tokenizer and the cleaning must give the recorded ids for the prompts of the call. */
static void check_prompt_ids(parity *p, const kn_tokenizer *t, const char *set, const char *key)
{
    const json_t *call = json_object_get(p->fixture, "call");
    const char *prompt = key ? json_string_value(json_object_get(call, key)) : "";
    char name[64];
    snprintf(name, sizeof name, "%s.ids", set);
    if (!prompt || !parity_has(p, name))
        return;
    char *clean = NULL;
    int32_t *ids = NULL;
    int n = 0;
    float got[4096];
    if (!kn_prompt_clean(prompt, &clean, NULL) && !kn_tokenizer_encode(t, clean, 512, &ids, &n, NULL)) {
        for (int i = 0; i < n; i++)
            got[i] = (float)ids[i];
        parity_check(p, name, got, n, 0);
    } else {
        parity_result(p, name, false, "the prompt cannot be tokenized");
    }
    free(clean);
    free(ids);
}

void parity_text(parity *p)
{
    static const struct {
        const char *set, *key;
    } sets[] = {{"text", "prompt"}, {"text_neg", "negative_prompt"}, {"text_empty", NULL}};
    kn_tokenizer *t = open_tokenizer(p, "tokenizer", KN_TOKENIZER_AS_WRITTEN);
    for (int i = 0; i < 3 && t; i++)
        check_prompt_ids(p, t, sets[i].set, sets[i].key);
    kn_tokenizer_close(t);
    kn_err err = {0};
    kn_t5_config f;
    component k;
    char *dir = parity_model_dir(p), *path = kn_path_join(dir, "text_encoder");
    if (read_config(p, &f, &err) || component_open(p, &k, path, NULL, &err)) {
        parity_error(p, "text encoder", &err);
    } else {
        k.loader.dtype = p->act;
        for (int i = 0; i < 3; i++) {
            char out[64];
            snprintf(out, sizeof out, "%s.out", sets[i].set);
            encode_set(p, &k, &f, sets[i].set, out);
        }
        component_close(&k);
    }
    free(dir);
    free(path);
}

/* ---- text-umt5 ---- */

static void on_hidden(void *ud, const char *name, kn_tensor t)
{
    text_trace *tr = ud;
    char golden[64];
    int block = 0;
    if (strcmp(name, "text.embed") == 0)
        snprintf(golden, sizeof golden, "text.hidden0");
    else if (sscanf(name, "text.block%d.out", &block) == 1 && block + 1 < tr->n_layers)
        snprintf(golden, sizeof golden, "text.hidden%d", block + 1);
    else
        return;
    parity_check_tensor(tr->p, tr->c, golden, t, parity_tolerance(tr->p));
}

static void encode_batch(parity *p, component *k, const kn_t5_config *f, bool masked, const char *out)
{
    int64_t rows = 0, n = 0;
    int32_t *ids = golden_ids(p, "text.ids", &rows, &n);
    float *mask = parity_input(p, "text.mask", NULL);
    kn_t5_seq seqs[8] = {0};
    for (int64_t r = 0; ids && mask && r < rows && r < 8; r++) {
        seqs[r] = (kn_t5_seq){.ids = ids + r * n, .n = (int)n};
        for (int64_t i = 0; i < n && masked; i++)
            seqs[r].n_keys += mask[r * n + i] != 0;
    }
    kn_ctx *c = &k->ctx;
    text_trace tr = {p, c, "text", f->n_layers};
    kn_t5_hooks hooks = {.trace = {masked ? on_hidden : NULL, &tr}};
    kn_scope s = kn_scope_open(c);
    kn_tensor h = parity_encode(c, f, &k->loader, seqs, (int)rows, &hooks);
    parity_check_tensor(p, c, out, h, parity_tolerance(p));
    if (masked && !kn_is_null(h)) {
        char last[64];
        snprintf(last, sizeof last, "text.hidden%d", f->n_layers);
        parity_check_tensor(p, c, last, h, parity_tolerance(p));
        /* Wan: rows behind the last token are zeros */
        float *host = kn_calloc((size_t)kn_numel(h), sizeof *host);
        kn_to_f32(c, h, host);
        for (int64_t i = 0; i < rows * n; i++)
            if (mask[i] == 0)
                memset(host + i * f->d_model, 0, (size_t)f->d_model * sizeof *host);
        parity_check(p, "text.wan.out", host, kn_numel(h), parity_tolerance(p));
        free(host);
    }
    kn_scope_close(c, s, (kn_tensor){0});
    if (!kn_ok(c))
        parity_error(p, out, &c->err);
    free(ids);
    free(mask);
}

static void check_buckets(parity *p, const kn_t5_config *f)
{
    const kn_entry *e = NULL;
    float *want = parity_input(p, "text.relative_buckets", &e);
    if (!want)
        return;
    int64_t n = e->dims[0], half = (n - 1) / 2;
    float *got = kn_calloc((size_t)n, sizeof *got);
    for (int64_t i = 0; i < n; i++)
        got[i] = (float)kn_t5_bucket((int)(i - half), f->n_buckets, f->max_distance);
    parity_check(p, "text.relative_buckets", got, n, 0);
    free(got);
    free(want);
}

void parity_text_encoder(parity *p)
{
    kn_err err = {0};
    kn_t5_config f;
    component k;
    char *dir = parity_model_dir(p), *path = kn_path_join(dir, "text_encoder");
    if (read_config(p, &f, &err) || component_open(p, &k, path, NULL, &err)) {
        parity_error(p, "text encoder", &err);
    } else {
        k.loader.dtype = p->act;
        encode_batch(p, &k, &f, true, "text.out");
        encode_batch(p, &k, &f, false, "text.nomask.out");
        encode_set(p, &k, &f, "text.single", "text.single.out");
        check_buckets(p, &f);
        component_close(&k);
    }
    free(dir);
    free(path);
}
