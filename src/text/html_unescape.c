#include <string.h>
#include <utf8proc.h>

#include "text/html_entities.h"
#include "text/mojibake.h"

/* The longest name, "CounterClockwiseContourIntegral;", has 32 characters. */
enum { NAME_MAX_CHARS = 32 };

const kn_html_entity *kn_html_entity_find(const char *name, size_t size)
{
    size_t lo = 0, hi = kn_n_html_entities;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncmp(name, kn_html_entities[mid].name, size);
        if (!c && !kn_html_entities[mid].name[size])
            return &kn_html_entities[mid];
        if (c > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void put_string(kn_text32 *out, const char *s)
{
    kn_text32_append_utf8(out, s, strlen(s));
}

static int digit(int32_t c, int base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* "Numeric character reference end state" of the HTML standard, as Python's html module has it. */
static void put_number(kn_text32 *out, uint32_t number)
{
    bool non_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
    if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF)
        kn_text32_put(out, 0xFFFD);
    else if (number >= 0x80 && number <= 0x9F)
        kn_text32_put(out, kn_windows1252((unsigned char)number));
    else if (number == '\r' ||
             !(non_character || (number < 0x20 && !strchr("\t\n\f", (int)number)) || number == 0x7F))
        kn_text32_put(out, (int32_t)number);
}

/* "#123;", "#x1F600": returns how many of the n code points belong to it, 0 if it is none. */
static size_t put_numeric(kn_text32 *out, const int32_t *s, size_t n)
{
    int base = n > 1 && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
    size_t begin = base == 16 ? 2 : 1, i = begin;
    uint32_t number = 0;
    for (int d; i < n && (d = digit(s[i], base)) >= 0; i++) {
        if (number <= 0x10FFFF)
            number = number * (uint32_t)base + (uint32_t)d;
    }
    if (i == begin)
        return 0;
    put_number(out, number);
    return i < n && s[i] == ';' ? i + 1 : i;
}

static bool ends_name(int32_t c)
{
    return c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' || c == ';';
}

/* "amp;", "ampere": the whole name, else its longest known prefix of at least two characters. */
static size_t put_named(kn_text32 *out, const int32_t *s, size_t n)
{
    char name[NAME_MAX_CHARS + 2];
    size_t size = 0;
    while (size < n && size < NAME_MAX_CHARS && !ends_name(s[size]) && s[size] < 0x80) {
        name[size] = (char)s[size];
        size++;
    }
    if (size < n && size && s[size] == ';')
        name[size++] = ';';
    for (; size > 1; size--) {
        const kn_html_entity *e = kn_html_entity_find(name, size);
        if (!e)
            continue;
        put_string(out, e->text);
        return size;
    }
    return 0;
}

static size_t put_reference(kn_text32 *out, const int32_t *s, size_t n)
{
    return n && s[0] == '#' ? put_numeric(out, s, n) : put_named(out, s, n);
}

void kn_html_unescape(const kn_text32 *in, kn_text32 *out)
{
    for (size_t i = 0; i < in->n;) {
        size_t used = in->c[i] == '&' ? put_reference(out, in->c + i + 1, in->n - i - 1) : 0;
        if (!used)
            kn_text32_put(out, in->c[i]);
        i += used + 1;
    }
}

/* ---- ftfy's careful variant ---- */

/* Lower-case entity texts whose upper case is more than one character (SpecialCasing.txt). */
static const struct {
    int32_t c;
    const char *upper;
} special_upper[] = {
    {0xDF, "SS"},   {0x149, "\xCA\xBCN"}, {0xFB00, "FF"},  {0xFB01, "FI"},
    {0xFB02, "FL"}, {0xFB03, "FFI"},      {0xFB04, "FFL"},
};

static void put_upper(kn_text32 *out, const char *text)
{
    kn_text32 chars = {0};
    kn_text32_append_utf8(&chars, text, strlen(text));
    for (size_t i = 0; i < chars.n; i++) {
        size_t k = 0, n_special = sizeof special_upper / sizeof *special_upper;
        while (k < n_special && special_upper[k].c != chars.c[i])
            k++;
        if (k < n_special)
            put_string(out, special_upper[k].upper);
        else
            kn_text32_put(out, utf8proc_toupper(chars.c[i]));
    }
    out->failed = out->failed || chars.failed;
    kn_text32_done(&chars);
}

/* Whether html.unescape leaves "&name" alone: no prefix of the name is an entity. */
static bool is_unknown(const char *name, size_t size)
{
    for (; size > 1; size--) {
        if (kn_html_entity_find(name, size))
            return false;
    }
    return true;
}

static bool put_upper_name(kn_text32 *out, const char *name, size_t size)
{
    char lower[NAME_MAX_CHARS];
    for (size_t i = 0; i < size; i++) {
        if (name[i] >= 'a' && name[i] <= 'z')
            return false;
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    }
    const kn_html_entity *e = kn_html_entity_find(lower, size);
    if (!e || !is_unknown(name, size))
        return false;
    put_upper(out, e->text);
    return true;
}

static bool is_ascii_alnum(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* &#?[0-9A-Za-z]{1,24}; : how many code points after the ampersand it takes, 0 if it does not match. */
static size_t match_reference(const int32_t *s, size_t n, char name[NAME_MAX_CHARS])
{
    size_t hash = n && s[0] == '#', i = hash;
    while (i < n && i - hash < 24 && is_ascii_alnum(s[i]))
        i++;
    if (i == hash || i >= n || s[i] != ';')
        return 0;
    for (size_t k = 0; k <= i; k++)
        name[k] = (char)s[k];
    return i + 1;
}

static bool put_careful(kn_text32 *out, const int32_t *s, size_t size, const char *name)
{
    if (s[0] == '#') {
        /* A reference that ends before its semicolon is none. */
        kn_text32 text = {0};
        bool whole = put_numeric(&text, s, size) == size;
        if (whole && text.n == 1 && text.c[0] == ';')
            whole = false;
        if (whole)
            kn_text32_append(out, text.c, text.n);
        out->failed = out->failed || text.failed;
        kn_text32_done(&text);
        return whole;
    }
    const kn_html_entity *e = kn_html_entity_find(name, size);
    if (!e)
        return put_upper_name(out, name, size);
    put_string(out, e->text);
    return true;
}

void kn_html_unescape_careful(const kn_text32 *in, kn_text32 *out)
{
    char name[NAME_MAX_CHARS];
    for (size_t i = 0; i < in->n;) {
        const int32_t *s = in->c + i + 1;
        size_t size = in->c[i] == '&' ? match_reference(s, in->n - i - 1, name) : 0;
        if (size && put_careful(out, s, size, name)) {
            i += 1 + size;
        } else {
            kn_text32_append(out, in->c + i, 1 + size);
            i += 1 + size;
        }
    }
}
