#include "base/base64.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int kn_base64_decode(const char *text, size_t size, unsigned char **ret, size_t *ret_size, kn_err *err)
{
    if (size % 4)
        return kn_fail(err, KN_EFORMAT, "base64 text of %zu characters, expected a multiple of 4", size);
    size_t padding = size && text[size - 1] == '=' ? (text[size - 2] == '=' ? 2 : 1) : 0, n = 0;
    unsigned char *out = kn_calloc(size / 4 * 3 + 1, 1);
    if (!out)
        return kn_fail(err, KN_ENOMEM, "no memory for %zu bytes of base64", size);
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int v = i >= size - padding ? 0 : value_of(text[i]);
        if (v < 0) {
            free(out);
            return kn_fail(err, KN_EFORMAT, "byte 0x%02X at offset %zu is not base64", (unsigned char)text[i],
                           i);
        }
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 == 3) {
            out[n++] = (unsigned char)(bits >> 16);
            out[n++] = (unsigned char)(bits >> 8);
            out[n++] = (unsigned char)bits;
        }
    }
    *ret = out;
    *ret_size = n - padding;
    return 0;
}
