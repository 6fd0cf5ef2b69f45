/* The answer to a WebSocket's key: SHA-1 of it and a constant (RFC 6455, 1.3), in base64. SHA-1 is no secret's guard here. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/http_internal.h"

enum { KEY_CHARS = 24, DIGEST_BYTES = 20 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const unsigned char *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t t = rotate(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* Of fewer than 64 + 56 bytes: two blocks. */
static void sha1_short(const char *text, size_t size, unsigned char ret[DIGEST_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char blocks[128] = {0};
    KN_ASSERT(size < 64 + 56 && size >= 56);
    memcpy(blocks, text, size);
    blocks[size] = 0x80;
    blocks[126] = (unsigned char)(size * 8 >> 8);
    blocks[127] = (unsigned char)(size * 8);
    sha1_block(h, blocks);
    sha1_block(h, blocks + 64);
    for (int i = 0; i < DIGEST_BYTES; i++)
        ret[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}

/* 16 bytes are 22 characters, the last of which has four bits that mean nothing, and "==". */
static bool is_key(const char *key)
{
    return strlen(key) == KEY_CHARS && strspn(key, alphabet) == KEY_CHARS - 2 &&
           strcmp(key + KEY_CHARS - 2, "==") == 0;
}

bool kn_socket_accept_key(const char *key, char ret[29])
{
    char text[KEY_CHARS + 37];
    unsigned char digest[DIGEST_BYTES + 1] = {0}; /* three bytes at a time */
    if (!is_key(key))
        return false;
    int size = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1_short(text, (size_t)size, digest);
    for (int i = 0, k = 0; i < DIGEST_BYTES + 1; i += 3) {
        uint32_t bits = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            ret[k++] = alphabet[bits >> shift & 63];
    }
    ret[27] = '=';
    ret[28] = '\0';
    return true;
}
