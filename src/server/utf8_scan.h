/* UTF-8, a byte at a time: what comes in pieces is checked as it comes. */
#ifndef KN_SERVER_UTF8_SCAN_H
#define KN_SERVER_UTF8_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: at the beginning of a code point. */
typedef struct kn_utf8_scan {
    unsigned char n_left;    /* bytes that must follow */
    unsigned char low, high; /* what the next of them may be */
} kn_utf8_scan;

/* false: not UTF-8 (overlong, a surrogate, beyond U+10FFFF, or no beginning). */
static inline bool kn_utf8_scan_byte(kn_utf8_scan *s, unsigned char c)
{
    if (s->n_left) {
        if (c < s->low || c > s->high)
            return false;
        *s = (kn_utf8_scan){(unsigned char)(s->n_left - 1), 0x80, 0xbf};
        return true;
    }
    if (c < 0x80)
        return true;
    if (c < 0xc2 || c > 0xf4)
        return false;
    *s = (kn_utf8_scan){(unsigned char)(c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3), 0x80, 0xbf};
    if (c == 0xe0)
        s->low = 0xa0;
    else if (c == 0xed)
        s->high = 0x9f;
    else if (c == 0xf0)
        s->low = 0x90;
    else if (c == 0xf4)
        s->high = 0x8f;
    return true;
}

static inline bool kn_utf8_scan_bytes(kn_utf8_scan *s, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        if (!kn_utf8_scan_byte(s, p[i]))
            return false;
    return true;
}

static inline bool kn_utf8_is_valid(const void *data, size_t size)
{
    kn_utf8_scan s = {0};
    return kn_utf8_scan_bytes(&s, data, size) && s.n_left == 0;
}

#endif
