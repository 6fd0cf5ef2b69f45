#include "text/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

int kn_added_tokens_add(kn_added_tokens *a, const kn_added_token *token, kn_err *err)
{
    if (!*token->content)
        return 0;
    if (a->n >= KN_LIMIT_ADDED_TOKENS)
        return kn_fail(err, KN_ELIMIT, "more than %d added tokens", KN_LIMIT_ADDED_TOKENS);
    if (a->n == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 64;
        kn_added_token *tokens = kn_realloc_array(a->tokens, capacity, sizeof *tokens);
        if (!tokens)
            return kn_fail(err, KN_ENOMEM, "no memory for added tokens");
        a->tokens = tokens;
        a->capacity = capacity;
    }
    char *content = kn_strdup(token->content);
    if (!content)
        return kn_fail(err, KN_ENOMEM, "no memory for added tokens");
    a->tokens[a->n] = *token;
    a->tokens[a->n++].content = content;
    return 0;
}

/* The strings to search for; those of normalised tokens are normalised themselves, into `owned`. */
static int collect_keys(const kn_added_tokens *a, const kn_normalizer *normalizer, bool normalized,
                        kn_trie_key *keys, char **owned, size_t *ret_n, kn_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const kn_added_token *t = &a->tokens[i];
        const char *text = t->content;
        size_t size = strlen(text);
        if (t->normalized != normalized)
            continue;
        if (normalized) {
            int rc = kn_normalizer_apply(normalizer, t->content, size, &owned[i], &size, err);
            if (rc)
                return rc;
            text = owned[i];
        }
        if (size > KN_LIMIT_PIECE_BYTES)
            return kn_fail(err, KN_ELIMIT, "added token %d has %zu bytes, at most %d are expected", t->id,
                           size, KN_LIMIT_PIECE_BYTES);
        keys[n++] = (kn_trie_key){text, (uint32_t)size, (int32_t)i};
    }
    *ret_n = n;
    return 0;
}

static int build(kn_added_tokens *a, const kn_normalizer *normalizer, bool normalized, kn_trie *t,
                 kn_err *err)
{
    int rc = 0;
    size_t n = 0;
    kn_trie_key *keys = kn_calloc(a->n, sizeof *keys);
    char **owned = kn_calloc(a->n, sizeof *owned);
    if (!keys || !owned) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for added tokens");
        goto out;
    }
    if ((rc = collect_keys(a, normalizer, normalized, keys, owned, &n, err)))
        goto out;
    rc = kn_trie_build(t, keys, n, err);
out:
    for (size_t i = 0; owned && i < a->n; i++)
        free(owned[i]);
    free(owned);
    free(keys);
    return rc;
}

int kn_added_tokens_finish(kn_added_tokens *a, const kn_normalizer *normalizer, kn_err *err)
{
    if (!a->n)
        return 0;
    int rc = build(a, normalizer, false, &a->plain, err);
    return rc ? rc : build(a, normalizer, true, &a->normalized, err);
}

void kn_added_tokens_done(kn_added_tokens *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->tokens[i].content);
    free(a->tokens);
    kn_trie_done(&a->plain);
    kn_trie_done(&a->normalized);
    *a = (kn_added_tokens){0};
}

const kn_added_token *kn_added_tokens_by_id(const kn_added_tokens *a, int32_t id)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->tokens[i].id == id)
            return &a->tokens[i];
    }
    return NULL;
}

const kn_added_token *kn_added_tokens_by_content(const kn_added_tokens *a, const char *content)
{
    for (size_t i = 0; i < a->n; i++) {
        if (!strcmp(a->tokens[i].content, content))
            return &a->tokens[i];
    }
    return NULL;
}

static bool touches_word(const char *s, size_t size, size_t begin, size_t end)
{
    size_t n;
    if (begin > 0) {
        size_t last = kn_utf8_last(s, begin);
        if (kn_char_is_word(kn_utf8_next(s + last, begin - last, &n)))
            return true;
    }
    return end < size && kn_char_is_word(kn_utf8_next(s + end, size - end, &n));
}

static size_t strip_left(const char *s, size_t from, size_t begin)
{
    size_t n;
    while (begin > from) {
        size_t last = kn_utf8_last(s, begin);
        if (last < from || !kn_char_is_space(kn_utf8_next(s + last, begin - last, &n)))
            break;
        begin = last;
    }
    return begin;
}

static size_t strip_right(const char *s, size_t size, size_t end)
{
    size_t n;
    while (end < size && kn_char_is_space(kn_utf8_next(s + end, size - end, &n)))
        end += n;
    return end;
}

bool kn_added_tokens_next(const kn_added_tokens *a, const kn_trie *trie, const char *s, size_t size,
                          size_t from, size_t *ret_begin, size_t *ret_end, int32_t *ret_id)
{
    for (size_t begin = from, n = 0; begin < size; begin += n) {
        int32_t index = kn_trie_longest(trie, s + begin, size - begin, &n);
        if (index < 0) {
            n = 1;
            continue;
        }
        const kn_added_token *t = &a->tokens[index];
        if (t->single_word && touches_word(s, size, begin, begin + n))
            continue;
        *ret_begin = t->lstrip ? strip_left(s, from, begin) : begin;
        *ret_end = t->rstrip ? strip_right(s, size, begin + n) : begin + n;
        *ret_id = t->id;
        return true;
    }
    return false;
}
