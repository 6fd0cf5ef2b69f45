/* SentencePiece's normaliser: charsmap by longest match, then the rules for spaces. */
#include <string.h>

#include "text/normalizer.h"
#include "text/utf8.h"

static const char space_symbol[] = "\xE2\x96\x81"; /* U+2581, SentencePiece's visible space */

/* What the text begins with, normalised: *ret_size input bytes become *ret_text. */
static void next_chunk(const kn_norm_step *step, const char *s, size_t size, size_t *ret_bytes,
                       const char **ret_text, size_t *ret_size)
{
    size_t n;
    if (kn_trie_longest(&step->spm.user_defined, s, size, &n) >= 0) {
        *ret_bytes = *ret_size = n;
        *ret_text = s;
        return;
    }
    if ((n = kn_charsmap_longest(&step->map, s, size, ret_text))) {
        *ret_bytes = n;
        *ret_size = strlen(*ret_text);
        return;
    }
    bool valid = kn_utf8_next(s, size, ret_bytes) >= 0;
    *ret_text = valid ? s : "\xEF\xBF\xBD";
    *ret_size = valid ? *ret_bytes : 3;
}

static void append_escaped(const kn_norm_step *step, const char *s, size_t size, kn_buf *out)
{
    for (size_t i = 0; i < size; i++) {
        if (s[i] == ' ' && step->spm.escape_whitespaces)
            kn_buf_puts(out, space_symbol);
        else
            kn_buf_append(out, s + i, 1);
    }
}

static size_t skip_leading_space(const kn_norm_step *step, const char *s, size_t size)
{
    size_t pos = 0, bytes, n;
    const char *text;
    while (pos < size) {
        next_chunk(step, s + pos, size - pos, &bytes, &text, &n);
        if (n != 1 || text[0] != ' ')
            break;
        pos += bytes;
    }
    return pos;
}

static void trim_trailing_space(const kn_norm_step *step, kn_buf *out)
{
    const char *space = step->spm.escape_whitespaces ? space_symbol : " ";
    size_t n = strlen(space);
    while (out->size >= n && !out->failed && !memcmp(out->data + out->size - n, space, n)) {
        out->size -= n;
        out->data[out->size] = '\0';
    }
}

void kn_spm_normalize(const kn_norm_step *step, const char *s, size_t size, kn_buf *out)
{
    const kn_spm_normalizer *rules = &step->spm;
    const char *space = rules->escape_whitespaces ? space_symbol : " ";
    size_t pos = rules->remove_extra_whitespaces ? skip_leading_space(step, s, size) : 0, bytes, n;
    bool after_space = rules->remove_extra_whitespaces;
    const char *text;

    if (pos == size)
        return;
    if (rules->add_dummy_prefix && !rules->whitespace_as_suffix)
        kn_buf_puts(out, space);
    for (; pos < size; pos += bytes) {
        next_chunk(step, s + pos, size - pos, &bytes, &text, &n);
        while (after_space && n && *text == ' ') {
            text++;
            n--;
        }
        if (!n)
            continue;
        append_escaped(step, text, n, out);
        after_space = rules->remove_extra_whitespaces && text[n - 1] == ' ';
    }
    if (rules->remove_extra_whitespaces)
        trim_trailing_space(step, out);
    if (rules->add_dummy_prefix && rules->whitespace_as_suffix)
        kn_buf_puts(out, space);
}
