#include "base/hash.h"

#include <string.h>

/* So many independent sums, that a processor works on them at once. */
enum { LANES = 8, BLOCK = LANES * 8 };

/* Each step can be undone, so that two different words never give one sum; the shift brings high bits down again. */
static inline uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}

uint64_t kn_hash_bulk(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t lanes[LANES], words[LANES];
    size_t n_blocks = size / BLOCK;
    for (int i = 0; i < LANES; i++)
        lanes[i] = KN_FNV1A_BEGIN + (uint64_t)i;
    for (size_t b = 0; b < n_blocks; b++, p += BLOCK) {
        memcpy(words, p, BLOCK);
        for (int i = 0; i < LANES; i++)
            lanes[i] = mix(lanes[i], words[i]);
    }
    uint64_t h = KN_FNV1A_BEGIN;
    for (int i = 0; i < LANES; i++)
        h = mix(h, lanes[i]);
    return kn_fnv1a(mix(h, size), p, size % BLOCK);
}
