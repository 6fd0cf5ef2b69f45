#include "text/normalizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/utf8.h"

int kn_normalizer_add(kn_normalizer *n, kn_norm_kind kind, kn_norm_step **ret, kn_err *err)
{
    if (n->n_steps >= KN_LIMIT_NORMALIZER_STEPS)
        return kn_fail(err, KN_ELIMIT, "more than %d normalizer steps", KN_LIMIT_NORMALIZER_STEPS);
    kn_norm_step *steps = kn_realloc_array(n->steps, (size_t)n->n_steps + 1, sizeof *steps);
    if (!steps)
        return kn_fail(err, KN_ENOMEM, "no memory for a normalizer");
    n->steps = steps;
    *ret = &steps[n->n_steps++];
    **ret = (kn_norm_step){.kind = kind};
    return 0;
}

void kn_normalizer_done(kn_normalizer *n)
{
    for (int i = 0; i < n->n_steps; i++) {
        kn_norm_step *s = &n->steps[i];
        kn_pattern_done(&s->pattern);
        free(s->content);
        kn_charsmap_done(&s->map);
        kn_trie_done(&s->spm.user_defined);
    }
    free(n->steps);
    *n = (kn_normalizer){0};
}

static void replace(const kn_norm_step *step, const char *text, size_t size, kn_buf *out)
{
    for (size_t i = 0, n; i < size; i += n) {
        if ((n = kn_pattern_match(&step->pattern, text + i, size - i))) {
            kn_buf_puts(out, step->content);
            continue;
        }
        kn_utf8_next(text + i, size - i, &n);
        kn_buf_append(out, text + i, n);
    }
}

static void strip(const kn_norm_step *step, const char *text, size_t size, kn_buf *out)
{
    size_t begin = 0, end = size, n;
    while (step->left && begin < end && kn_char_is_space(kn_utf8_next(text + begin, end - begin, &n)))
        begin += n;
    while (step->right && end > begin) {
        size_t last = kn_utf8_last(text, end);
        if (last < begin || !kn_char_is_space(kn_utf8_next(text + last, end - last, &n)))
            break;
        end = last;
    }
    kn_buf_append(out, text + begin, end - begin);
}

static void map_chars(kn_norm_kind kind, const char *text, size_t size, kn_buf *out)
{
    char bytes[4];
    for (size_t i = 0, n; i < size; i += n) {
        int32_t c = kn_utf8_next(text + i, size - i, &n);
        if (kind == KN_NORM_STRIP_ACCENTS) {
            utf8proc_category_t category = utf8proc_category(c);
            if (c >= 0 && category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME)
                continue;
            kn_buf_append(out, text + i, n);
        } else if (c == 0x130) {
            /* The one character whose lower case is two (SpecialCasing.txt). */
            kn_buf_puts(out, "i\xCC\x87");
        } else if (c < 0) {
            kn_buf_append(out, text + i, n);
        } else {
            kn_buf_append(out, bytes, kn_utf8_put(utf8proc_tolower(c), bytes));
        }
    }
}

static void unicode_form(kn_norm_kind kind, const char *text, size_t size, kn_buf *out)
{
    utf8proc_option_t options = UTF8PROC_STABLE;
    options |= kind == KN_NORM_NFC || kind == KN_NORM_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    options |= kind == KN_NORM_NFKC || kind == KN_NORM_NFKD ? UTF8PROC_COMPAT : 0;
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &mapped, options);
    if (n == UTF8PROC_ERROR_INVALIDUTF8)
        kn_buf_append(out, text,
                      size); /* an earlier step left an odd byte (damaged map): nothing to compose */
    else if (n < 0)
        out->failed = true;
    else
        kn_buf_append(out, mapped, (size_t)n);
    free(mapped);
}

static void apply_step(const kn_norm_step *step, const char *text, size_t size, kn_buf *out)
{
    switch (step->kind) {
    case KN_NORM_CHARSMAP:
        kn_charsmap_apply_graphemes(&step->map, text, size, out);
        break;
    case KN_NORM_SPM:
        kn_spm_normalize(step, text, size, out);
        break;
    case KN_NORM_REPLACE:
        replace(step, text, size, out);
        break;
    case KN_NORM_STRIP:
        strip(step, text, size, out);
        break;
    case KN_NORM_PREPEND:
        if (size)
            kn_buf_puts(out, step->content);
        kn_buf_append(out, text, size);
        break;
    case KN_NORM_APPEND:
        kn_buf_append(out, text, size);
        if (size)
            kn_buf_puts(out, step->content);
        break;
    case KN_NORM_LOWERCASE:
    case KN_NORM_STRIP_ACCENTS:
        map_chars(step->kind, text, size, out);
        break;
    case KN_NORM_NFC:
    case KN_NORM_NFD:
    case KN_NORM_NFKC:
    case KN_NORM_NFKD:
        unicode_form(step->kind, text, size, out);
        break;
    }
}

int kn_normalizer_apply(const kn_normalizer *n, const char *text, size_t size, char **ret, size_t *ret_size,
                        kn_err *err)
{
    kn_buf current, next;
    kn_buf_init(&current, KN_LIMIT_NORMALIZED_BYTES);
    kn_buf_append(&current, text, size);
    kn_buf_puts(&current, ""); /* so that an empty text is a string too */
    for (int i = 0; i < n->n_steps && !current.failed; i++) {
        kn_buf_init(&next, KN_LIMIT_NORMALIZED_BYTES);
        kn_buf_puts(&next, "");
        apply_step(&n->steps[i], current.data, current.size, &next);
        kn_buf_done(&current);
        current = next;
    }
    size_t n_bytes = current.size;
    char *taken = kn_buf_take(&current);
    kn_buf_done(&current);
    if (!taken)
        return kn_fail(err, KN_ELIMIT, "normalising %zu bytes of text needs more than %u bytes", size,
                       KN_LIMIT_NORMALIZED_BYTES);
    *ret = taken;
    *ret_size = n_bytes;
    return 0;
}
