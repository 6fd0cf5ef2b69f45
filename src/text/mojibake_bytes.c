/* Byte sequences that would be UTF-8 if nothing had happened to them. */
#include <string.h>

#include "text/mojibake.h"
#include "text/utf8.h"

enum { SEQUENCE_MAX = 6 };

/* A sequence of byte sets; a set is a string of ranges, two bytes each. */
typedef struct sequence {
    const char *sets[SEQUENCE_MAX + 1];
} sequence;

#define CONT          "\x80\xBF"
#define CONT_NO_SPACE "\x80\x84\x86\x9F\xA1\xBF" /* without 0x85 and 0xA0, which are spaces */

/* UTF-8 whose byte 0xA0 became a space, as far as the result is a likely character. */
static const sequence spaced[] = {
    {{"\xC2\xC3\xC5\xC5\xCE\xCE\xD0\xD0\xD9\xD9", "  "}},
    {{"\xE2\xE3", "  ", CONT_NO_SPACE}},
    {{"\xE0\xE3", CONT_NO_SPACE, "  "}},
    {{"\xF0\xF0", "  ", CONT, CONT}},
    {{"\xF0\xF0", CONT, "  ", CONT}},
    {{"\xF0\xF0", CONT, CONT, "  "}},
};

#define LOST           "\x1A\x1A??"
#define LOST_OR_CONT   "\x1A\x1A\x80\xBF"
#define LOST_OR_CONT_Q "\x1A\x1A??\x80\xBF"

/* UTF-8 and CESU-8 where a byte was lost: 0x1A, or '?' at most once. */
static const sequence lossy[] = {
    {{"\xC2\xDF", "\x1A\x1A"}},
    {{"\xC2\xC3", "??"}},
    {{"\xED\xED", "\xA0\xAF", LOST, "\xED\xED", "\xB0\xBF", LOST_OR_CONT_Q}},
    {{"\xED\xED", "\xA0\xAF", LOST_OR_CONT_Q, "\xED\xED", "\xB0\xBF", LOST}},
    {{"\xE0\xEF", LOST, LOST_OR_CONT}},
    {{"\xE0\xEF", LOST_OR_CONT, LOST}},
    {{"\xF0\xF4", LOST, LOST_OR_CONT, LOST_OR_CONT}},
    {{"\xF0\xF4", LOST_OR_CONT, LOST, LOST_OR_CONT}},
    {{"\xF0\xF4", LOST_OR_CONT, LOST_OR_CONT, LOST}},
    {{"\x1A\x1A"}},
};

static bool in_ranges(const char *ranges, unsigned char byte)
{
    for (const unsigned char *r = (const unsigned char *)ranges; r[0]; r += 2) {
        if (byte >= r[0] && byte <= r[1])
            return true;
    }
    return false;
}

/* How many bytes the first sequence of the list that s begins with takes, 0 if none does. */
static size_t match(const sequence *list, size_t n_list, const char *s, size_t size)
{
    for (size_t k = 0; k < n_list; k++) {
        size_t i = 0;
        while (list[k].sets[i] && i < size && in_ranges(list[k].sets[i], (unsigned char)s[i]))
            i++;
        if (!list[k].sets[i])
            return i;
    }
    return 0;
}

static bool begins_with(const char *s, size_t size, const char *prefix)
{
    size_t n = strlen(prefix);
    return size >= n && !memcmp(s, prefix, n);
}

/* 0xC3 and a space is an "a" with grave accent that was a word of its own, whose own space went too, unless it
 * begins one of the Portuguese words that it is joined to. */
static bool is_lone_a_grave(const char *s, size_t size)
{
    static const char *const joined[] = {" ", "quele", "quela", "quilo", "s "};
    if (!begins_with(s, size, "\xC3 "))
        return false;
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        if (begins_with(s + 2, size - 2, joined[i]))
            return false;
    }
    return true;
}

static void restore_lone_a_grave(const kn_buf *in, kn_buf *out)
{
    for (size_t i = 0; i < in->size;) {
        bool lone = is_lone_a_grave(in->data + i, in->size - i);
        if (lone)
            kn_buf_puts(out, "\xC3\xA0 ");
        else
            kn_buf_append(out, in->data + i, 1);
        i += lone ? 2 : 1;
    }
}

static bool has_spaced(const kn_buf *in)
{
    for (size_t i = 0; i < in->size; i++) {
        if (match(spaced, sizeof spaced / sizeof *spaced, in->data + i, in->size - i))
            return true;
    }
    return false;
}

void kn_bytes_restore_a0(const kn_buf *in, kn_buf *out)
{
    if (!has_spaced(in)) {
        kn_buf_append(out, in->data, in->size);
        return;
    }
    kn_buf words;
    kn_buf_init(&words, 2 * in->size);
    restore_lone_a_grave(in, &words);
    for (size_t i = 0; i < words.size;) {
        size_t n = match(spaced, sizeof spaced / sizeof *spaced, words.data + i, words.size - i);
        for (size_t k = 0; k < n; k++)
            kn_buf_append(out, words.data[i + k] == ' ' ? "\xA0" : &words.data[i + k], 1);
        if (!n)
            kn_buf_append(out, words.data + i, 1);
        i += n ? n : 1;
    }
    out->failed = out->failed || words.failed;
    kn_buf_done(&words);
}

void kn_bytes_replace_lossy(const kn_buf *in, kn_buf *out)
{
    for (size_t i = 0; i < in->size;) {
        size_t n = match(lossy, sizeof lossy / sizeof *lossy, in->data + i, in->size - i);
        if (n)
            kn_buf_puts(out, "\xEF\xBF\xBD");
        else
            kn_buf_append(out, in->data + i, 1);
        i += n ? n : 1;
    }
}

/* A surrogate pair, each half in three bytes: its code point, or -1. */
static int32_t cesu8(const char *s, size_t size)
{
    static const sequence pair = {{"\xED\xED", "\xA0\xAF", CONT, "\xED\xED", "\xB0\xBF", CONT}};
    if (!match(&pair, 1, s, size))
        return -1;
    return 0x10000 + ((s[1] & 0x0F) << 16 | (s[2] & 0x3F) << 10 | (s[4] & 0x0F) << 6 | (s[5] & 0x3F));
}

bool kn_bytes_decode(const kn_buf *in, kn_text32 *out)
{
    for (size_t i = 0, n; i < in->size; i += n) {
        const char *s = in->data + i;
        int32_t c = kn_utf8_next(s, in->size - i, &n);
        if (c < 0 && (c = cesu8(s, in->size - i)) >= 0) {
            n = 6;
        } else if (c < 0 && begins_with(s, in->size - i, "\xC0\x80")) {
            c = 0;
            n = 2;
        }
        if (c < 0)
            return false;
        kn_text32_put(out, c);
    }
    return true;
}
