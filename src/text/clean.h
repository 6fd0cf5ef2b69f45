/* Prompt cleaning as the Wan pipeline does it: ftfy.fix_text, html.unescape twice, strip, whitespace to one space.
 *
 * fix_text is that of ftfy 6.3 with its defaults: HTML references (not from the first line on that has a '<'), misread
 * UTF-8, C1 controls, Latin ligatures, character width, quotes, line breaks, terminal escapes, control characters,
 * NFC. Normalisation follows the Unicode version of utf8proc. */
#ifndef KN_TEXT_CLEAN_H
#define KN_TEXT_CLEAN_H

#include "base/err.h"

/* *ret is heap. KN_EINVAL: not UTF-8; KN_ELIMIT: longer than KN_LIMIT_PROMPT_BYTES. */
int kn_prompt_clean(const char *text, char **ret, kn_err *err);
/* The same for a text that may hold NUL bytes (the result never does). */
int kn_prompt_clean_bytes(const char *text, size_t size, char **ret, kn_err *err);

#endif
