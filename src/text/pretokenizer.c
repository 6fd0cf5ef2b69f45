#include "text/pretokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/normalizer.h"
#include "text/utf8.h"

int kn_pretokenizer_add(kn_pretokenizer *p, kn_pretok_kind kind, kn_pretok_step **ret, kn_err *err)
{
    if (p->n_steps >= KN_LIMIT_PRETOKENIZER_STEPS)
        return kn_fail(err, KN_ELIMIT, "more than %d pre-tokenizer steps", KN_LIMIT_PRETOKENIZER_STEPS);
    *ret = &p->steps[p->n_steps++];
    **ret = (kn_pretok_step){.kind = kind};
    return 0;
}

static void words_init(kn_words *w)
{
    *w = (kn_words){0};
    kn_buf_init(&w->text, 2 * (size_t)KN_LIMIT_NORMALIZED_BYTES);
}

void kn_words_done(kn_words *w)
{
    kn_buf_done(&w->text);
    free(w->words);
    *w = (kn_words){0};
}

/* Adds the word text[begin, end of text); words without characters do not exist. A failed text stays failed. */
static void close_word(kn_words *w, size_t begin, bool at_start)
{
    size_t size = w->text.size - begin;
    if (!size || w->text.failed)
        return;
    if (w->n == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 32;
        kn_word *words = kn_realloc_array(w->words, capacity, sizeof *words);
        if (!words) {
            w->text.failed = true;
            return;
        }
        w->words = words;
        w->capacity = capacity;
    }
    w->words[w->n++] = (kn_word){begin, size, at_start};
}

static void split_whitespace(const char *s, size_t size, bool at_start, kn_words *out)
{
    size_t begin = out->text.size;
    bool first = at_start;
    for (size_t i = 0, n; i < size; i += n) {
        if (!kn_char_is_space(kn_utf8_next(s + i, size - i, &n))) {
            kn_buf_append(&out->text, s + i, n);
            continue;
        }
        close_word(out, begin, first);
        begin = out->text.size;
        first = false;
    }
    close_word(out, begin, first);
}

static bool wants_prefix(const kn_pretok_step *step, const char *s, size_t size, bool at_start)
{
    size_t n = strlen(step->replacement);
    if (step->prepend == KN_PREPEND_NEVER || (step->prepend == KN_PREPEND_FIRST && !at_start))
        return false;
    return s[0] != ' ' && (size < n || memcmp(s, step->replacement, n) != 0);
}

/* Spaces become the replacement; with `split`, each replacement begins a word. */
static void metaspace(const kn_pretok_step *step, const char *s, size_t size, bool at_start, kn_words *out)
{
    size_t mark = strlen(step->replacement), begin = out->text.size;
    bool first = at_start;
    if (!size)
        return;
    if (wants_prefix(step, s, size, at_start))
        kn_buf_puts(&out->text, step->replacement);
    for (size_t i = 0, n; i < size; i += n) {
        kn_utf8_next(s + i, size - i, &n);
        bool is_mark = s[i] == ' ' || (n == mark && !memcmp(s + i, step->replacement, mark));
        if (is_mark && step->split && out->text.size > begin) {
            close_word(out, begin, first);
            begin = out->text.size;
            first = false;
        }
        if (is_mark)
            kn_buf_puts(&out->text, step->replacement);
        else
            kn_buf_append(&out->text, s + i, n);
    }
    close_word(out, begin, first);
}

static void apply_step(const kn_pretok_step *step, const kn_words *in, kn_words *out)
{
    for (size_t i = 0; i < in->n; i++) {
        const kn_word *w = &in->words[i];
        const char *s = in->text.data + w->begin;
        if (step->kind == KN_PRETOK_METASPACE)
            metaspace(step, s, w->size, w->at_start, out);
        else
            split_whitespace(s, w->size, w->at_start, out);
    }
}

int kn_pretokenizer_apply(const kn_pretokenizer *p, const char *text, size_t size, bool at_start,
                          kn_words *ret, kn_err *err)
{
    kn_words current, next;
    words_init(&current);
    kn_buf_append(&current.text, text, size);
    close_word(&current, 0, at_start);
    for (int i = 0; i < p->n_steps && !current.text.failed; i++) {
        words_init(&next);
        apply_step(&p->steps[i], &current, &next);
        kn_words_done(&current);
        current = next;
    }
    if (current.text.failed) {
        kn_words_done(&current);
        return kn_fail(err, KN_ELIMIT, "splitting %zu bytes of text needs more than %u bytes", size,
                       2 * KN_LIMIT_NORMALIZED_BYTES);
    }
    *ret = current;
    return 0;
}
