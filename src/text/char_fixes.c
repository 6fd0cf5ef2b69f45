#include "text/char_fixes.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "text/mojibake.h"

static void fix_c1_controls(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n; i++) {
        int32_t c = in->c[i];
        kn_text32_put(out, c >= 0x80 && c <= 0x9F ? kn_windows1252((unsigned char)c) : c);
    }
}

/* Typographic ligatures, and digraphs that exist for the sake of old encodings. */
static const struct {
    int32_t c;
    const char *letters;
} ligatures[] = {
    {0x132, "IJ"},       {0x133, "ij"},  {0x149, "\u02BCn"}, {0x1C4, "D\u017D"}, {0x1C5, "D\u017E"},
    {0x1C6, "d\u017E"},  {0x1C7, "LJ"},  {0x1C8, "Lj"},      {0x1C9, "lj"},      {0x1CA, "NJ"},
    {0x1CB, "Nj"},       {0x1CC, "nj"},  {0x1F1, "DZ"},      {0x1F2, "Dz"},      {0x1F3, "dz"},
    {0xFB00, "ff"},      {0xFB01, "fi"}, {0xFB02, "fl"},     {0xFB03, "ffi"},    {0xFB04, "ffl"},
    {0xFB05, "\u017Ft"}, {0xFB06, "st"},
};

static void fix_ligatures(const kn_text32 *in, kn_text32 *out)
{
    size_t n = sizeof ligatures / sizeof *ligatures;
    for (size_t i = 0; i < in->n; i++) {
        size_t k = 0;
        while (k < n && ligatures[k].c != in->c[i])
            k++;
        if (k < n)
            kn_text32_append_utf8(out, ligatures[k].letters, strlen(ligatures[k].letters));
        else
            kn_text32_put(out, in->c[i]);
    }
}

/* Fullwidth and halfwidth forms get their usual width, which is what NFKC makes of them. */
static void fix_width(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n; i++) {
        int32_t c = in->c[i], wide[8];
        if (c == 0x3000) {
            kn_text32_put(out, ' ');
        } else if (c < 0xFF01 || c > 0xFFEF) {
            kn_text32_put(out, c);
        } else {
            utf8proc_option_t form = UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE;
            int boundary = 0;
            utf8proc_ssize_t n = utf8proc_decompose_char(c, wide, 8, form, &boundary);
            n = n > 0 && n <= 8 ? utf8proc_normalize_utf32(wide, n, form) : n;
            KN_ASSERT(n > 0 && n <= 8);
            kn_text32_append(out, wide, (size_t)n);
        }
    }
}

static void uncurl_quotes(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n; i++) {
        int32_t c = in->c[i];
        if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B))
            c = '\'';
        else if (c >= 0x201C && c <= 0x201F)
            c = '"';
        kn_text32_put(out, c);
    }
}

static void fix_line_breaks(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n; i++) {
        int32_t c = in->c[i];
        if (c == '\r' && i + 1 < in->n && in->c[i + 1] == '\n')
            continue;
        kn_text32_put(out, c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? '\n' : c);
    }
}

static bool is_digit(int32_t c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

/* ESC [ digits and semicolons, one letter. */
static size_t match_escape(const int32_t *s, size_t n)
{
    size_t i = 2;
    if (n < 3 || s[0] != 0x1B || s[1] != '[')
        return 0;
    while (i < n && (s[i] == ';' || is_digit(s[i])))
        i++;
    return i < n && ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')) ? i + 1 : 0;
}

static void remove_terminal_escapes(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n;) {
        size_t n = match_escape(in->c + i, in->n - i);
        if (!n)
            kn_text32_put(out, in->c[i]);
        i += n ? n : 1;
    }
}

/* Unicode Technical Report 20: not suitable for markup, and without a visible effect. */
static bool is_unwanted(int32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F ||
           (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

static void remove_controls(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n; i++) {
        if (!is_unwanted(in->c[i]))
            kn_text32_put(out, in->c[i]);
    }
}

static void compose(const kn_text32 *in, kn_text32 *out)
{
    char *utf8 = kn_text32_utf8(in);
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n = -1;
    if (utf8)
        n = utf8proc_map((const utf8proc_uint8_t *)utf8, 0, &composed,
                         UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n >= 0)
        kn_text32_append_utf8(out, (const char *)composed, (size_t)n);
    else
        out->failed = true;
    free(composed);
    free(utf8);
}

const kn_char_fix kn_char_fixes[KN_N_CHAR_FIXES] = {
    fix_c1_controls, fix_ligatures,           fix_width,       uncurl_quotes,
    fix_line_breaks, remove_terminal_escapes, remove_controls, compose,
};
