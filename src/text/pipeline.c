#include "text/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/utf8.h"

kn_tokenizer *kn_pipeline_new(void)
{
    kn_tokenizer *t = kn_calloc(1, sizeof *t);
    if (t)
        t->pad_id = -1;
    return t;
}

void kn_tokenizer_close(kn_tokenizer *t)
{
    if (!t)
        return;
    kn_added_tokens_done(&t->added);
    kn_normalizer_done(&t->normalizer);
    if (t->model)
        t->model->ops->free(t->model);
    free(t);
}

int32_t kn_pipeline_find(const kn_tokenizer *t, const char *token)
{
    const kn_added_token *added = kn_added_tokens_by_content(&t->added, token);
    return added ? added->id : t->model->ops->find(t->model, token, strlen(token));
}

int kn_pipeline_finish(kn_tokenizer *t, kn_err *err)
{
    if (t->pad_id < 0)
        t->pad_id = kn_pipeline_find(t, "<pad>");
    if (t->pad_id < 0)
        t->pad_id = kn_pipeline_find(t, "[PAD]");
    return kn_added_tokens_finish(&t->added, &t->normalizer, err);
}

static int encode_words(const kn_tokenizer *t, const char *s, size_t size, bool at_start, kn_ids *out,
                        kn_err *err)
{
    kn_words words;
    int rc = kn_pretokenizer_apply(&t->pretokenizer, s, size, at_start, &words, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < words.n && !rc; i++)
        rc = t->model->ops->encode(t->model, words.text.data + words.words[i].begin, words.words[i].size, out,
                                   err);
    kn_words_done(&words);
    return rc;
}

typedef int (*segment_fn)(const kn_tokenizer *t, const char *s, size_t size, bool at_start, kn_ids *out,
                          kn_err *err);

/* Cuts the tokens of `trie` out of s; what lies between them goes to `between`. */
static int cut_tokens(const kn_tokenizer *t, const kn_trie *trie, segment_fn between, const char *s,
                      size_t size, bool at_start, kn_ids *out, kn_err *err)
{
    size_t from = 0, begin, end;
    int32_t id;
    int rc = 0;
    while (!rc && from < size && kn_added_tokens_next(&t->added, trie, s, size, from, &begin, &end, &id)) {
        if (begin > from)
            rc = between(t, s + from, begin - from, at_start && from == 0, out, err);
        if (!rc)
            rc = kn_ids_push(out, id, err);
        from = end;
    }
    if (!rc && from < size)
        rc = between(t, s + from, size - from, at_start && from == 0, out, err);
    return rc;
}

static int encode_segment(const kn_tokenizer *t, const char *s, size_t size, bool at_start, kn_ids *out,
                          kn_err *err)
{
    char *text = NULL;
    size_t n;
    int rc = kn_normalizer_apply(&t->normalizer, s, size, &text, &n, err);
    if (rc)
        return rc;
    rc = cut_tokens(t, &t->added.normalized, encode_words, text, n, at_start, out, err);
    free(text);
    return rc;
}

static int encode(const kn_tokenizer *t, const char *text, size_t size, kn_ids *out, kn_err *err)
{
    if (size > KN_LIMIT_PROMPT_BYTES)
        return kn_fail(err, KN_ELIMIT,
                       "a text of %zu bytes; at most %u are tokenized (KN_LIMIT_PROMPT_BYTES)", size,
                       KN_LIMIT_PROMPT_BYTES);
    int rc = kn_utf8_check(text, size, "the text", err);
    return rc ? rc : cut_tokens(t, &t->added.plain, encode_segment, text, size, true, out, err);
}

/* Hands the list to the caller; an empty list is a heap block too. */
static int give(kn_ids *ids, int32_t **ret_ids, int *ret_n, kn_err *err)
{
    if (!ids->data && !(ids->data = kn_calloc(1, sizeof *ids->data)))
        return kn_fail(err, KN_ENOMEM, "no memory for token ids");
    *ret_ids = ids->data;
    *ret_n = (int)ids->n;
    *ids = (kn_ids){0};
    return 0;
}

int kn_tokenizer_encode_raw_bytes(const kn_tokenizer *t, const char *text, size_t size, int32_t **ret_ids,
                                  int *ret_n, kn_err *err)
{
    kn_ids ids = {0};
    int rc = encode(t, text, size, &ids, err);
    if (!rc)
        rc = give(&ids, ret_ids, ret_n, err);
    kn_ids_done(&ids);
    return rc;
}

int kn_tokenizer_encode_raw(const kn_tokenizer *t, const char *text, int32_t **ret_ids, int *ret_n,
                            kn_err *err)
{
    return kn_tokenizer_encode_raw_bytes(t, text, strlen(text), ret_ids, ret_n, err);
}

static int push_all(kn_ids *ids, const int32_t *more, size_t n, kn_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = kn_ids_push(ids, more[i], err);
    return rc;
}

int kn_tokenizer_encode(const kn_tokenizer *t, const char *text, int max_ids, int32_t **ret_ids, int *ret_n,
                        kn_err *err)
{
    kn_ids raw = {0}, ids = {0};
    int rc, n_special = t->around.n_prefix + t->around.n_suffix;

    if (max_ids < n_special || max_ids < 1)
        return kn_fail(err, KN_EINVAL, "room for %d tokens; the special tokens alone take %d", max_ids,
                       n_special);
    if ((rc = encode(t, text, strlen(text), &raw, err)))
        goto out;
    size_t room = (size_t)(max_ids - n_special), n = raw.n < room ? raw.n : room;
    if ((rc = push_all(&ids, t->around.prefix, (size_t)t->around.n_prefix, err)) ||
        (rc = push_all(&ids, raw.data, n, err)) ||
        (rc = push_all(&ids, t->around.suffix, (size_t)t->around.n_suffix, err)))
        goto out;
    rc = give(&ids, ret_ids, ret_n, err);
out:
    kn_ids_done(&raw);
    kn_ids_done(&ids);
    return rc;
}

int kn_tokenizer_vocab_size(const kn_tokenizer *t)
{
    int size = t->model->ops->size(t->model);
    for (size_t i = 0; i < t->added.n; i++) {
        if (t->added.tokens[i].id >= size)
            size = t->added.tokens[i].id + 1;
    }
    return size;
}

int kn_tokenizer_pad_id(const kn_tokenizer *t)
{
    return t->pad_id;
}

const char *kn_tokenizer_piece(const kn_tokenizer *t, int32_t id)
{
    const kn_added_token *added = kn_added_tokens_by_id(&t->added, id);
    return added ? added->content : t->model->ops->piece(t->model, id);
}
