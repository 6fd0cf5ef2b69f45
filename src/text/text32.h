/* Text as an array of code points, for cleaning. */
#ifndef KN_TEXT_TEXT32_H
#define KN_TEXT_TEXT32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

/* Cleaning never grows a text much (a ligature becomes three letters at most). */
#define KN_LIMIT_CLEAN_CHARS (4u * KN_LIMIT_PROMPT_BYTES)

typedef struct kn_text32 {
    int32_t *c;
    size_t n, capacity;
    bool failed; /* an append found no memory or passed the limit; later appends do nothing */
} kn_text32;

void kn_text32_done(kn_text32 *t);
void kn_text32_put(kn_text32 *t, int32_t c);
void kn_text32_append(kn_text32 *t, const int32_t *c, size_t n);
/* Valid UTF-8; stops at the first byte that is not. */
void kn_text32_append_utf8(kn_text32 *t, const char *s, size_t size);
bool kn_text32_equal(const kn_text32 *a, const kn_text32 *b);
/* Gives `from` to `to`, whose old text goes. */
void kn_text32_move(kn_text32 *to, kn_text32 *from);
/* NUL-terminated heap string, or NULL without memory. */
char *kn_text32_utf8(const kn_text32 *t);

#endif
