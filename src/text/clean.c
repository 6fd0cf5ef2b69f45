#include "text/clean.h"

#include <string.h>

#include "text/char_fixes.h"
#include "text/html_entities.h"
#include "text/mojibake.h"
#include "text/utf8.h"

/* Replaces *text by what `fix` makes of it. */
static void apply(kn_text32 *text, kn_char_fix fix)
{
    kn_text32 out = {0};
    fix(text, &out);
    out.failed = out.failed || text->failed;
    kn_text32_move(text, &out);
}

/* One line, until nothing changes any more: a repair can uncover the next. */
static void fix_segment(kn_text32 *text, bool unescape_html)
{
    kn_text32 before = {0};
    do {
        kn_text32_done(&before);
        kn_text32_append(&before, text->c, text->n);
        if (unescape_html)
            apply(text, kn_html_unescape_careful);
        kn_text_fix_encoding(text);
        for (int i = 0; i < KN_N_CHAR_FIXES; i++)
            apply(text, kn_char_fixes[i]);
        text->failed = text->failed || before.failed;
    } while (!text->failed && !kn_text32_equal(text, &before));
    kn_text32_done(&before);
}

static bool contains(const int32_t *s, size_t n, int32_t c)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == c)
            return true;
    }
    return false;
}

static size_t line_end(const kn_text32 *text, size_t begin)
{
    size_t end = begin;
    while (end < text->n && text->c[end] != '\n')
        end++;
    return end < text->n ? end + 1 : end;
}

/* Line by line. A '<' says that this is real HTML, from that line on. */
static void fix_text(const kn_text32 *in, kn_text32 *out)
{
    bool unescape_html = true;
    for (size_t begin = 0, end; begin < in->n; begin = end) {
        kn_text32 line = {0};
        end = line_end(in, begin);
        kn_text32_append(&line, in->c + begin, end - begin);
        unescape_html = unescape_html && !contains(line.c, line.n, '<');
        fix_segment(&line, unescape_html);
        kn_text32_append(out, line.c, line.n);
        out->failed = out->failed || line.failed;
        kn_text32_done(&line);
    }
}

/* Runs of white space become one space; none stays at the ends. */
static void collapse_space(const kn_text32 *in, kn_text32 *out)
{
    bool pending = false;
    for (size_t i = 0; i < in->n; i++) {
        if (kn_char_is_python_space(in->c[i])) {
            pending = out->n > 0;
            continue;
        }
        if (pending)
            kn_text32_put(out, ' ');
        pending = false;
        kn_text32_put(out, in->c[i]);
    }
}

int kn_prompt_clean_bytes(const char *s, size_t size, char **ret, kn_err *err)
{
    kn_text32 text = {0};
    if (size > KN_LIMIT_PROMPT_BYTES)
        return kn_fail(err, KN_ELIMIT, "a prompt of %zu bytes; at most %u are read (KN_LIMIT_PROMPT_BYTES)",
                       size, KN_LIMIT_PROMPT_BYTES);
    int rc = kn_utf8_check(s, size, "the prompt", err);
    if (rc)
        return rc;
    kn_text32_append_utf8(&text, s, size);
    apply(&text, fix_text);
    apply(&text, kn_html_unescape);
    apply(&text, kn_html_unescape);
    apply(&text, collapse_space);
    char *clean = text.failed ? NULL : kn_text32_utf8(&text);
    if (clean)
        *ret = clean;
    else
        rc = kn_fail(err, KN_ENOMEM, "no memory to clean a prompt of %zu bytes", size);
    kn_text32_done(&text);
    return rc;
}

int kn_prompt_clean(const char *text, char **ret, kn_err *err)
{
    return kn_prompt_clean_bytes(text, strlen(text), ret, err);
}
