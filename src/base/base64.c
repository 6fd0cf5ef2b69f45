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

char *kn_base64_encode(const void *data, size_t size)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    char *text = size > SIZE_MAX / 2 ? NULL : kn_calloc(size / 3 + 2, 4), *out = text;
    for (size_t i = 0; text && i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits =
            (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[bits & 63] : '=';
    }
    return text;
}
