/* PNG files of any colour type, depth and set of chunks, for tests: our own encoder writes 8-bit RGB only. */
#ifndef KN_TESTS_MEDIA_PNG_WRITER_H
#define KN_TESTS_MEDIA_PNG_WRITER_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

typedef struct png_writer {
    uint8_t data[65536];
    size_t size;
} png_writer;

static void png_put(png_writer *p, const void *data, size_t n)
{
    assert(p->size + n <= sizeof p->data);
    memcpy(p->data + p->size, data, n);
    p->size += n;
}

static void png_be32(png_writer *p, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    png_put(p, b, 4);
}

static void png_chunk(png_writer *p, const char *type, const void *data, size_t n)
{
    png_be32(p, (uint32_t)n);
    size_t from = p->size;
    png_put(p, type, 4);
    if (n)
        png_put(p, data, n);
    uint32_t crc = 0xffffffffu;
    for (size_t i = from; i < p->size; i++) {
        crc ^= p->data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    png_be32(p, ~crc);
}

static void png_begin(png_writer *p, uint32_t width, uint32_t height, int depth, int color_type)
{
    uint8_t ihdr[13] = {(uint8_t)(width >> 24),
                        (uint8_t)(width >> 16),
                        (uint8_t)(width >> 8),
                        (uint8_t)width,
                        (uint8_t)(height >> 24),
                        (uint8_t)(height >> 16),
                        (uint8_t)(height >> 8),
                        (uint8_t)height,
                        (uint8_t)depth,
                        (uint8_t)color_type,
                        0,
                        0,
                        0};
    p->size = 0;
    png_put(p, "\x89PNG\r\n\x1a\n", 8);
    png_chunk(p, "IHDR", ihdr, sizeof ihdr);
}

/* rows: height times (a filter byte 0 and the packed samples), in one stored deflate block. */
static void png_end(png_writer *p, const uint8_t *rows, size_t n)
{
    uint8_t idat[32768] = {0x78, 0x01, 0x01, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
    uint32_t a = 1, b = 0;
    assert(n + 11 <= sizeof idat);
    for (size_t i = 0; i < n; i++) {
        idat[7 + i] = rows[i];
        a = (a + rows[i]) % 65521;
        b = (b + a) % 65521;
    }
    uint8_t adler[4] = {(uint8_t)(b >> 8), (uint8_t)b, (uint8_t)(a >> 8), (uint8_t)a};
    memcpy(idat + 7 + n, adler, 4);
    png_chunk(p, "IDAT", idat, n + 11);
    png_chunk(p, "IEND", NULL, 0);
}

#endif
