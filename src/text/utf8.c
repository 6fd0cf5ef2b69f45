#include "text/utf8.h"

#include <utf8proc.h>

int32_t kn_utf8_next(const char *s, size_t size, size_t *ret_bytes)
{
    if ((unsigned char)s[0] < 0x80) {
        *ret_bytes = 1;
        return s[0];
    }
    utf8proc_int32_t c;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)(size < 4 ? size : 4), &c);
    *ret_bytes = n > 0 ? (size_t)n : 1;
    return n > 0 ? c : -1;
}

size_t kn_utf8_last(const char *s, size_t size)
{
    size_t i = size - 1;
    while (i > 0 && ((unsigned char)s[i] & 0xC0) == 0x80)
        i--;
    return i;
}

size_t kn_utf8_put(int32_t c, char out[4])
{
    if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out);
}

int kn_utf8_check(const char *s, size_t size, const char *what, kn_err *err)
{
    for (size_t i = 0, n; i < size; i += n) {
        if (kn_utf8_next(s + i, size - i, &n) < 0)
            return kn_fail(err, KN_EINVAL, "%s is not UTF-8: byte 0x%02X at offset %zu", what,
                           (unsigned char)s[i], i);
    }
    return 0;
}

int kn_utf8_fold(const char *s, size_t size, const char *what, char **ret, kn_err *err)
{
    utf8proc_uint8_t *folded = NULL;
    int rc = kn_utf8_check(s, size, what, err);
    if (rc)
        return rc;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)size, &folded,
                                      UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (n < 0)
        return kn_fail(err, n == UTF8PROC_ERROR_NOMEM ? KN_ENOMEM : KN_EINVAL, "%s: %s", what,
                       utf8proc_errmsg(n));
    *ret = (char *)folded;
    return 0;
}

bool kn_char_is_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

bool kn_char_is_python_space(int32_t c)
{
    return kn_char_is_space(c) || (c >= 0x1C && c <= 0x1F);
}

bool kn_char_is_word(int32_t c)
{
    /* Letters among the symbols: circled and squared Latin letters have the property Alphabetic. */
    if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
        (c >= 0x1F170 && c <= 0x1F189) || c == 0x200C || c == 0x200D)
        return true;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}
