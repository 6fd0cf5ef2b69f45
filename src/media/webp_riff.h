/* Walking the chunks of a WebP file; every access is checked. */
#ifndef KN_MEDIA_WEBP_RIFF_H
#define KN_MEDIA_WEBP_RIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kn_riff {
    const uint8_t *p;
    size_t size, at;
} kn_riff;

typedef struct kn_riff_chunk {
    const uint8_t *whole, *data; /* with its head of 8 bytes and its padding; without */
    size_t whole_size, size;
} kn_riff_chunk;

enum { KN_RIFF_HEAD = 8, KN_WEBP_HEAD = 12, KN_ANMF_HEAD = 16, KN_VP8X_BYTES = 10 };
/* Flags of VP8X. */
enum { KN_VP8X_ANIMATION = 0x02, KN_VP8X_XMP = 0x04, KN_VP8X_ALPHA = 0x10 };

/* The chunks of a file; false if it does not begin as WebP does or is shorter than it says. */
bool kn_riff_open_webp(const void *data, size_t size, kn_riff *ret);
/* False at the end, and where a chunk is longer than what is left. */
bool kn_riff_next(kn_riff *r, kn_riff_chunk *ret);
bool kn_riff_is(const kn_riff_chunk *c, const char *id);

uint32_t kn_le24(const uint8_t *p);
uint32_t kn_le32(const uint8_t *p);
void kn_put_le24(uint8_t *p, uint32_t v);
void kn_put_le32(uint8_t *p, uint32_t v);

/* What a frame of an animation says of itself. */
typedef struct kn_anmf {
    int x, y, width, height;
    uint32_t duration_ms;
    bool blends, disposes; /* over what is there; to the background, after it was shown */
    kn_riff chunks;        /* its picture */
} kn_anmf;
bool kn_anmf_parse(const kn_riff_chunk *c, kn_anmf *ret);

#endif
