/* SentencePiece's precompiled character map: a Darts double array from byte sequences to NUL-terminated
 * replacements. Layout of the blob: u32 size of the array in bytes (little endian), the array, the replacements. */
#ifndef KN_TEXT_CHARSMAP_H
#define KN_TEXT_CHARSMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

typedef struct kn_charsmap {
    uint32_t *units;
    size_t n_units;
    char *text; /* NUL-terminated beyond its size */
    size_t text_size;
} kn_charsmap;

/* Copies the blob. KN_EFORMAT: too short, or an array size that does not fit. */
int kn_charsmap_init(kn_charsmap *m, const void *blob, size_t size, kn_err *err);
void kn_charsmap_done(kn_charsmap *m);

/* SentencePiece's rule: the longest sequence of the map that s begins with. Returns how many bytes it takes
 * (0: none) and the replacement. */
size_t kn_charsmap_longest(const kn_charsmap *m, const char *s, size_t size, const char **ret_text);
/* The tokenizers library's rule: grapheme by grapheme (whole if under 6 bytes, else character by character), and
 * the *shortest* match stands for the whole of it. Appends the mapped text. */
void kn_charsmap_apply_graphemes(const kn_charsmap *m, const char *s, size_t size, kn_buf *out);

#endif
