/* Prompt cleaning as the Wan pipeline does it: ftfy.fix_text, html.unescape twice, strip, whitespace to one space. */
#ifndef KN_TEXT_CLEAN_H
#define KN_TEXT_CLEAN_H

#include "base/err.h"

/* *ret is heap. KN_EINVAL: not UTF-8; KN_ELIMIT: longer than KN_LIMIT_PROMPT_BYTES. */
int kn_prompt_clean(const char *text, char **ret, kn_err *err);

#endif
