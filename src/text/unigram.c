#include "text/unigram.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

/* How much worse than the worst piece an unknown character is (kUnkPenalty in SentencePiece). */
static const double unk_penalty = 10.0;

typedef struct piece {
    const char *text; /* in the arena */
    double score;
    uint32_t size;
    unsigned char kind;
} piece;

struct kn_unigram {
    kn_tok_model model;
    kn_unigram_rules rules;
    kn_arena arena;
    piece *pieces;
    size_t n_pieces, capacity;
    kn_trie matched; /* pieces that text can match */
    kn_trie all;     /* every piece, by name; SentencePiece only */
    double min_score, max_score;
    int32_t byte_ids[256];
};

static kn_unigram *of_model(kn_tok_model *m)
{
    return (kn_unigram *)(void *)m;
}

static const kn_unigram *of_const_model(const kn_tok_model *m)
{
    return (const kn_unigram *)(const void *)m;
}

/* The best way to reach a position of the word. */
typedef struct path_end {
    double score;
    uint32_t begin; /* where its last piece begins */
    int32_t id;     /* its last piece, -1: not reached */
} path_end;

static void offer(const kn_unigram *m, path_end *end, double score, size_t begin, int32_t id)
{
    if (end->id >= 0 && !(score > end->score))
        return;
    end->score = m->rules.sentencepiece ? (double)(float)score : score;
    end->begin = (uint32_t)begin;
    end->id = id;
}

static double piece_score(const kn_unigram *m, int32_t id, size_t size)
{
    const piece *p = &m->pieces[id];
    if (m->rules.sentencepiece && p->kind == KN_PIECE_USER_DEFINED)
        return (double)((float)size * (float)m->max_score) - 0.1; /* always wins over normal pieces */
    return p->score;
}

/* Log-probabilities that sum to the same value are told apart by rounding alone: SentencePiece 0.2 adds in float
 * (0.1 compared the unrounded double), the tokenizers library in double. */
static double add_scores(const kn_unigram *m, double a, double b, bool user_defined)
{
    return m->rules.sentencepiece && !user_defined ? (double)((float)a + (float)b) : a + b;
}

/* Fills ends[1..size]; ends[0] is the beginning. KN_EINVAL: an unknown character and no unknown piece. */
static int find_paths(const kn_unigram *m, const char *word, size_t size, path_end *ends, kn_err *err)
{
    for (size_t i = 0; i <= size; i++)
        ends[i] = (path_end){.id = i ? -1 : 0};
    for (size_t begin = 0, n; begin < size; begin += n) {
        bool single = false;
        uint32_t node = 0;
        kn_utf8_next(word + begin, size - begin, &n);
        for (size_t i = begin; i < size && (node = kn_trie_step(&m->matched, node, (unsigned char)word[i]));
             i++) {
            int32_t id = m->matched.nodes[node].value;
            if (id < 0)
                continue;
            double score = piece_score(m, id, i + 1 - begin);
            bool user = m->pieces[id].kind == KN_PIECE_USER_DEFINED;
            offer(m, &ends[i + 1], add_scores(m, score, ends[begin].score, user), begin, id);
            single = single || i + 1 - begin == n;
        }
        if (single)
            continue;
        if (m->rules.unk_id < 0)
            return kn_fail(err, KN_EINVAL,
                           "the vocabulary lacks a character of the text and has no unknown token");
        double score = add_scores(m, m->min_score - unk_penalty, ends[begin].score, false);
        offer(m, &ends[begin + n], score, begin, m->rules.unk_id);
    }
    return 0;
}

static int push_bytes(const kn_unigram *m, const char *s, size_t size, kn_ids *out, kn_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < size && !rc; i++)
        rc = kn_ids_push(out, m->byte_ids[(unsigned char)s[i]], err);
    return rc;
}

static bool has_bytes(const kn_unigram *m, const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (m->byte_ids[(unsigned char)s[i]] < 0)
            return false;
    }
    return true;
}

/* A run of unknown characters. */
static int push_unknown(const kn_unigram *m, const char *s, size_t size, kn_ids *out, kn_err *err)
{
    if (!m->rules.sentencepiece) {
        int32_t id = kn_trie_find(&m->matched, s, size);
        if (id >= 0)
            return kn_ids_push(out, id, err);
    }
    if (m->rules.byte_fallback && has_bytes(m, s, size))
        return push_bytes(m, s, size, out, err);
    return kn_ids_push(out, m->rules.unk_id, err);
}

/* A piece of the path: word[begin, end). */
typedef struct step {
    uint32_t begin, end;
    int32_t id;
} step;

/* The path's pieces from the last to the first. */
static size_t collect_path(const path_end *ends, size_t size, step *steps)
{
    size_t n = 0;
    for (uint32_t end = (uint32_t)size; end > 0; end = ends[end].begin)
        steps[n++] = (step){ends[end].begin, end, ends[end].id};
    return n;
}

static int push_path(const kn_unigram *m, const char *word, const step *steps, size_t n, kn_ids *out,
                     kn_err *err)
{
    int rc = 0;
    for (size_t i = n; i > 0 && !rc;) {
        const step *first = &steps[--i];
        if (first->id != m->rules.unk_id) {
            rc = kn_ids_push(out, first->id, err);
            continue;
        }
        while (i > 0 && steps[i - 1].id == m->rules.unk_id)
            i--;
        rc = push_unknown(m, word + first->begin, steps[i].end - first->begin, out, err);
    }
    return rc;
}

static int encode(const kn_tok_model *model, const char *word, size_t size, kn_ids *out, kn_err *err)
{
    const kn_unigram *m = of_const_model(model);
    int rc;
    if (size == 0)
        return 0;
    path_end *ends = kn_calloc(size + 1, sizeof *ends);
    step *steps = kn_calloc(size, sizeof *steps);
    if (!ends || !steps) {
        rc = kn_fail(err, KN_ENOMEM, "no memory to tokenize %zu bytes", size);
        goto out;
    }
    if ((rc = find_paths(m, word, size, ends, err)))
        goto out;
    rc = push_path(m, word, steps, collect_path(ends, size, steps), out, err);
out:
    free(ends);
    free(steps);
    return rc;
}

static const char *piece_text(const kn_tok_model *model, int32_t id)
{
    const kn_unigram *m = of_const_model(model);
    return id >= 0 && (size_t)id < m->n_pieces ? m->pieces[id].text : NULL;
}

static int32_t find(const kn_tok_model *model, const char *text, size_t size)
{
    const kn_unigram *m = of_const_model(model);
    return kn_trie_find(m->all.nodes ? &m->all : &m->matched, text, size);
}

static int vocab_size(const kn_tok_model *model)
{
    return (int)of_const_model(model)->n_pieces;
}

static void free_model(kn_tok_model *model)
{
    kn_unigram_free(of_model(model));
}

static const kn_tok_model_ops unigram_ops = {
    .name = "Unigram",
    .encode = encode,
    .piece = piece_text,
    .find = find,
    .size = vocab_size,
    .free = free_model,
};

int kn_unigram_new(size_t n_pieces, kn_unigram **ret, kn_err *err)
{
    if (n_pieces == 0 || n_pieces > KN_LIMIT_VOCAB)
        return kn_fail(err, n_pieces ? KN_ELIMIT : KN_EFORMAT, "a vocabulary of %zu pieces, expected 1 to %d",
                       n_pieces, KN_LIMIT_VOCAB);
    kn_unigram *m = kn_calloc(1, sizeof *m);
    piece *pieces = kn_calloc(n_pieces, sizeof *pieces);
    if (!m || !pieces) {
        free(m);
        free(pieces);
        return kn_fail(err, KN_ENOMEM, "no memory for %zu pieces", n_pieces);
    }
    m->model.ops = &unigram_ops;
    m->pieces = pieces;
    m->capacity = n_pieces;
    /* The arena aligns every string to 16 bytes. */
    kn_arena_init(&m->arena, KN_LIMIT_TRIE_BYTES + 16 * (size_t)KN_LIMIT_VOCAB);
    *ret = m;
    return 0;
}

int kn_unigram_add(kn_unigram *m, const char *text, size_t size, double score, kn_piece_kind kind,
                   kn_err *err)
{
    KN_ASSERT(m->n_pieces < m->capacity);
    if (!isfinite(score))
        return kn_fail(err, KN_EFORMAT, "piece %zu has score %g, expected a finite number", m->n_pieces,
                       score);
    if (size > KN_LIMIT_PIECE_BYTES)
        return kn_fail(err, KN_ELIMIT, "piece %zu has %zu bytes, at most %d are expected", m->n_pieces, size,
                       KN_LIMIT_PIECE_BYTES);
    char *copy = kn_arena_alloc(&m->arena, size + 1);
    if (!copy)
        return kn_fail(err, KN_ELIMIT, "no room for the text of piece %zu", m->n_pieces);
    memcpy(copy, text, size);
    m->pieces[m->n_pieces++] = (piece){copy, score, (uint32_t)size, (unsigned char)kind};
    return 0;
}

static bool can_match(const kn_unigram *m, const piece *p)
{
    return !m->rules.sentencepiece || p->kind == KN_PIECE_NORMAL || p->kind == KN_PIECE_USER_DEFINED;
}

static int build_trie(kn_unigram *m, bool all, kn_trie *t, kn_err *err)
{
    size_t n = 0;
    kn_trie_key *keys = kn_calloc(m->n_pieces, sizeof *keys);
    if (!keys)
        return kn_fail(err, KN_ENOMEM, "no memory for %zu pieces", m->n_pieces);
    for (size_t i = 0; i < m->n_pieces; i++) {
        if (all || can_match(m, &m->pieces[i]))
            keys[n++] = (kn_trie_key){m->pieces[i].text, m->pieces[i].size, (int32_t)i};
    }
    int rc = kn_trie_build(t, keys, n, err);
    free(keys);
    return rc;
}

static void find_score_range(kn_unigram *m)
{
    m->min_score = INFINITY;
    m->max_score = m->rules.sentencepiece ? (double)FLT_MIN : -INFINITY; /* SentencePiece begins there */
    for (size_t i = 0; i < m->n_pieces; i++) {
        const piece *p = &m->pieces[i];
        if (m->rules.sentencepiece && p->kind != KN_PIECE_NORMAL)
            continue;
        m->min_score = fmin(m->min_score, p->score);
        m->max_score = fmax(m->max_score, p->score);
    }
    if (!isfinite(m->min_score))
        m->min_score = 0;
}

static void find_byte_ids(kn_unigram *m)
{
    char name[8];
    for (int b = 0; b < 256; b++) {
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        int32_t id = find(&m->model, name, 6);
        if (id >= 0 && m->rules.sentencepiece && m->pieces[id].kind != KN_PIECE_BYTE)
            id = -1;
        m->byte_ids[b] = id;
    }
}

int kn_unigram_finish(kn_unigram *m, kn_unigram_rules rules, kn_err *err)
{
    int rc;
    if (rules.unk_id < -1 || rules.unk_id >= (int64_t)m->n_pieces)
        return kn_fail(err, KN_EFORMAT, "unk_id is %d, expected an id below %zu", rules.unk_id, m->n_pieces);
    m->rules = rules;
    find_score_range(m);
    if ((rc = build_trie(m, false, &m->matched, err)))
        return rc;
    if (rules.sentencepiece && (rc = build_trie(m, true, &m->all, err)))
        return rc;
    find_byte_ids(m);
    return 0;
}

kn_tok_model *kn_unigram_model(kn_unigram *m)
{
    return &m->model;
}

int kn_unigram_user_defined(const kn_unigram *m, kn_trie_key **ret, size_t *ret_n, kn_err *err)
{
    size_t n = 0;
    kn_trie_key *keys = kn_calloc(m->n_pieces, sizeof *keys);
    if (!keys)
        return kn_fail(err, KN_ENOMEM, "no memory for %zu pieces", m->n_pieces);
    for (size_t i = 0; i < m->n_pieces; i++) {
        if (m->pieces[i].kind == KN_PIECE_USER_DEFINED)
            keys[n++] = (kn_trie_key){m->pieces[i].text, m->pieces[i].size, (int32_t)i};
    }
    *ret = keys;
    *ret_n = n;
    return 0;
}

int kn_unigram_set_unknown(kn_tok_model *model, int32_t unk_id, kn_err *err)
{
    if (model->ops != &unigram_ops)
        return kn_fail(err, KN_EINVAL, "this reading is for Unigram tokenizers, the model is %s",
                       model->ops->name);
    kn_unigram *m = of_model(model);
    if ((size_t)unk_id >= m->n_pieces)
        return kn_fail(err, KN_EINVAL, "unknown id %d in a vocabulary of %zu", unk_id, m->n_pieces);
    m->rules.unk_id = unk_id;
    return 0;
}

void kn_unigram_free(kn_unigram *m)
{
    if (!m)
        return;
    kn_trie_done(&m->matched);
    kn_trie_done(&m->all);
    kn_arena_done(&m->arena);
    free(m->pieces);
    free(m);
}
