/* Single-character repairs of ftfy 6.3, in the order fix_text applies them. Each appends the repaired text to *out. */
#ifndef KN_TEXT_CHAR_FIXES_H
#define KN_TEXT_CHAR_FIXES_H

#include "text/text32.h"

typedef void (*kn_char_fix)(const kn_text32 *in, kn_text32 *out);

/* C1 controls to Windows-1252, Latin ligatures, character width, quotes, line breaks, terminal escapes, control
 * characters, NFC. */
enum { KN_N_CHAR_FIXES = 8 };
extern const kn_char_fix kn_char_fixes[KN_N_CHAR_FIXES];

#endif
