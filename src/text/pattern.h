/* The patterns that Replace normalizers use: a literal string, or one character (or \s) with a repeat count.
 * Published Unigram and Gemma tokenizers need no more; anything else is refused by name. */
#ifndef KN_TEXT_PATTERN_H
#define KN_TEXT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct kn_pattern {
    char *literal; /* heap; NULL for a repeated character */
    int32_t c;     /* the character, KN_PATTERN_SPACE for \s */
    size_t min, max;
} kn_pattern;

#define KN_PATTERN_SPACE (-2)

int kn_pattern_literal(kn_pattern *p, const char *text, kn_err *err);
/* KN_EUNSUPPORTED quoting the expression. */
int kn_pattern_regex(kn_pattern *p, const char *regex, kn_err *err);
void kn_pattern_done(kn_pattern *p);
/* How many bytes of s match at its beginning; 0: none. */
size_t kn_pattern_match(const kn_pattern *p, const char *s, size_t size);

#endif
