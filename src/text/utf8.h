/* UTF-8 and the few character classes tokenizers and prompt cleaning ask for. */
#ifndef KN_TEXT_UTF8_H
#define KN_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The code point at s (size > 0) and how many bytes it takes; -1 and 1 byte where s is not UTF-8. */
int32_t kn_utf8_next(const char *s, size_t size, size_t *ret_bytes);
/* Where the code point that ends at s + size begins (size > 0); s must be valid UTF-8. */
size_t kn_utf8_last(const char *s, size_t size);
/* Writes the 1 to 4 bytes of a code point; 0 for surrogates and beyond U+10FFFF. */
size_t kn_utf8_put(int32_t c, char out[4]);
/* KN_EINVAL naming the first bad byte and its offset; `what` begins the message ("the prompt"). */
int kn_utf8_check(const char *s, size_t size, const char *what, kn_err *err);
/* A copy in which texts that differ in case, or in how an accent is written, are the same: for searching. Heap.
 * KN_EINVAL as kn_utf8_check. */
int kn_utf8_fold(const char *s, size_t size, const char *what, char **ret, kn_err *err);

bool kn_char_is_space(int32_t c);        /* Unicode White_Space: Rust's char::is_whitespace and \s */
bool kn_char_is_python_space(int32_t c); /* Python's str.isspace and \s: also U+001C..U+001F */
bool kn_char_is_word(int32_t c);         /* \w of Rust's regex crate */

#endif
