/* Text that was written as UTF-8 and read as something else, and how to get it back. The behaviour is that of
 * ftfy 6.3 (python-ftfy), whose facts about characters are in mojibake_classes.c and badness.c. */
#ifndef KN_TEXT_MOJIBAKE_H
#define KN_TEXT_MOJIBAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "text/text32.h"

/* Roles of a code point in mojibake; a code point can have several. */
enum kn_char_class {
    KN_CLASS_COMMON = 1 << 0, /* in many contexts, no sign of mojibake by itself */
    KN_CLASS_C1 = 1 << 1,     /* U+0080..U+009F */
    KN_CLASS_BAD = 1 << 2,    /* nearly always mojibake */
    KN_CLASS_LAW = 1 << 3,    /* paragraph and section signs */
    KN_CLASS_CURRENCY = 1 << 4,
    KN_CLASS_START = 1 << 5, /* punctuation that begins something */
    KN_CLASS_END = 1 << 6,   /* punctuation that ends something */
    KN_CLASS_NUMERIC = 1 << 7,
    KN_CLASS_KAOMOJI = 1 << 8, /* letters of faces, in odd places on purpose */
    KN_CLASS_UPPER_ACC = 1 << 9,
    KN_CLASS_LOWER_ACC = 1 << 10,
    KN_CLASS_UPPER_COM = 1 << 11,
    KN_CLASS_LOWER_COM = 1 << 12,
    KN_CLASS_BOX = 1 << 13,
    /* What the bytes of a UTF-8 sequence look like in the usual encodings. */
    KN_CLASS_LEAD2 = 1 << 14,
    KN_CLASS_LEAD3 = 1 << 15,
    KN_CLASS_LEAD4 = 1 << 16,
    KN_CLASS_CONT = 1 << 17,
    KN_CLASS_CONT_STRICT = 1 << 18, /* without the space */
};

uint32_t kn_char_classes(int32_t c); /* mojibake_classes.c */

/* A single-byte encoding (codepages.c). */
typedef struct kn_codepage {
    const char *name;
    const uint16_t *high; /* bytes 0x80..0xFF; NULL: Latin-1 */
    bool sloppy;          /* byte 0x1A stands for U+FFFD, a byte that was lost */
    bool restores_a0; /* whether a space may have been byte 0xA0 (not in MacRoman, where it follows dashes) */
} kn_codepage;

#define KN_N_CODEPAGES 10
extern const kn_codepage kn_codepages[KN_N_CODEPAGES]; /* [0] Latin-1, [1] Windows-1252 */

int kn_codepage_encode(const kn_codepage *page, int32_t c); /* the byte, or -1 */
int32_t kn_codepage_decode(const kn_codepage *page, unsigned char byte);
int32_t kn_windows1252(unsigned char byte); /* unassigned bytes stand for themselves */

/* Whether an unlikely sequence of characters occurs in s[0, n) (badness.c). */
bool kn_text_is_bad(const int32_t *s, size_t n);

/* Byte sequences of misread UTF-8 (mojibake_bytes.c). */
void kn_bytes_restore_a0(const kn_buf *in, kn_buf *out);    /* spaces that were bytes 0xA0 */
void kn_bytes_replace_lossy(const kn_buf *in, kn_buf *out); /* sequences with lost bytes become U+FFFD */
/* Strict UTF-8, and CESU-8 and Java's two-byte NUL; false where it is neither. */
bool kn_bytes_decode(const kn_buf *in, kn_text32 *out);

/* Repairs `text` in place as long as that changes it. `text->failed` tells that memory ran out. */
void kn_text_fix_encoding(kn_text32 *text);

#endif
