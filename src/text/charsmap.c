#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/utf8.h"

/* The double array packs a node in 32 bits: byte label 0..7, leaf flag 8, offset 10..30 (times 256 with bit 9). */
static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

static bool unit_has_leaf(uint32_t unit)
{
    return (unit >> 8) & 1;
}

static uint32_t unit_label(uint32_t unit)
{
    return unit & ((1u << 31) | 0xFF);
}

static uint32_t unit_value(uint32_t unit)
{
    return unit & 0x7FFFFFFFu;
}

int kn_charsmap_init(kn_charsmap *m, const void *blob, size_t size, kn_err *err)
{
    const unsigned char *p = blob;
    if (size < 4)
        return kn_fail(err, KN_EFORMAT, "precompiled charsmap of %zu bytes, expected at least 4", size);
    size_t array = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (array % 4 || array < 4 || array > size - 4)
        return kn_fail(err, KN_EFORMAT, "precompiled charsmap says its array has %zu bytes, %zu follow",
                       array, size - 4);
    size_t n_units = array / 4, text_size = size - 4 - array;
    uint32_t *units = kn_calloc(n_units, sizeof *units);
    char *text = kn_calloc(text_size + 1, 1);
    if (!units || !text) {
        free(units);
        free(text);
        return kn_fail(err, KN_ENOMEM, "no memory for a charsmap of %zu bytes", size);
    }
    for (size_t i = 0; i < n_units; i++) {
        const unsigned char *u = p + 4 + 4 * i;
        units[i] = u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    }
    memcpy(text, p + 4 + array, text_size);
    if (kn_utf8_check(text, text_size, "precompiled charsmap text", err)) {
        free(units);
        free(text);
        if (err)
            err->code = KN_EFORMAT;
        return KN_EFORMAT;
    }
    *m = (kn_charsmap){units, n_units, text, text_size};
    return 0;
}

void kn_charsmap_done(kn_charsmap *m)
{
    free(m->units);
    free(m->text);
    *m = (kn_charsmap){0};
}

/* Walks s through the array; stops at the first or the last match. A position outside the array ends the walk:
 * only a damaged file has one. */
static size_t match(const kn_charsmap *m, const char *s, size_t size, bool first, const char **ret_text)
{
    size_t found = 0;
    if (!m->n_units)
        return 0;
    size_t pos = unit_offset(m->units[0]);
    for (size_t i = 0; i < size && s[i]; i++) {
        pos ^= (unsigned char)s[i];
        if (pos >= m->n_units || unit_label(m->units[pos]) != (unsigned char)s[i])
            break;
        uint32_t unit = m->units[pos];
        pos ^= unit_offset(unit);
        if (!unit_has_leaf(unit))
            continue;
        if (pos >= m->n_units || unit_value(m->units[pos]) > m->text_size)
            break;
        *ret_text = m->text + unit_value(m->units[pos]);
        found = i + 1;
        if (first)
            break;
    }
    return found;
}

size_t kn_charsmap_longest(const kn_charsmap *m, const char *s, size_t size, const char **ret_text)
{
    return match(m, s, size, false, ret_text);
}

static void apply_one(const kn_charsmap *m, const char *s, size_t size, kn_buf *out)
{
    const char *text;
    if (match(m, s, size, true, &text))
        kn_buf_puts(out, text);
    else
        kn_buf_append(out, s, size);
}

static void apply_grapheme(const kn_charsmap *m, const char *s, size_t size, kn_buf *out)
{
    const char *text;
    if (size < 6 && match(m, s, size, true, &text)) {
        kn_buf_puts(out, text);
        return;
    }
    for (size_t i = 0, n; i < size; i += n) {
        kn_utf8_next(s + i, size - i, &n);
        apply_one(m, s + i, n, out);
    }
}

void kn_charsmap_apply_graphemes(const kn_charsmap *m, const char *s, size_t size, kn_buf *out)
{
    size_t begin = 0;
    int32_t previous = -1;
    utf8proc_int32_t state = 0;
    for (size_t i = 0, n; i < size; i += n) {
        int32_t c = kn_utf8_next(s + i, size - i, &n);
        if (i > begin && utf8proc_grapheme_break_stateful(previous, c, &state)) {
            apply_grapheme(m, s + begin, i - begin, out);
            begin = i;
        }
        previous = c;
    }
    if (begin < size)
        apply_grapheme(m, s + begin, size - begin, out);
}
