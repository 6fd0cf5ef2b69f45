#include "text/pattern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

int kn_pattern_literal(kn_pattern *p, const char *text, kn_err *err)
{
    if (!*text)
        return kn_fail(err, KN_EFORMAT, "a replacement pattern is empty");
    char *literal = kn_strdup(text);
    if (!literal)
        return kn_fail(err, KN_ENOMEM, "no memory for a pattern");
    *p = (kn_pattern){.literal = literal};
    return 0;
}

/* The single character a regular expression begins with; its size, or 0. */
static size_t parse_atom(const char *regex, int32_t *ret)
{
    static const char special[] = "^$.|?*+()[]{}";
    size_t n, size = strlen(regex);
    if (size == 0)
        return 0;
    if (regex[0] == '\\') {
        if (size < 2 || (unsigned char)regex[1] >= 0x80)
            return 0;
        if (regex[1] == 's') {
            *ret = KN_PATTERN_SPACE;
            return 2;
        }
        if (strchr(special, regex[1]) || regex[1] == '\\' || regex[1] == '-' || regex[1] == '/') {
            *ret = regex[1];
            return 2;
        }
        const char *escapes = "ntr", *e = strchr(escapes, regex[1]);
        if (!e)
            return 0;
        *ret = "\n\t\r"[e - escapes];
        return 2;
    }
    if (strchr(special, regex[0]))
        return 0;
    *ret = kn_utf8_next(regex, size, &n);
    return *ret < 0 ? 0 : n;
}

/* "", "+", "{n}", "{n,}", "{n,m}" with n >= 1. */
static bool parse_repeat(const char *s, size_t *ret_min, size_t *ret_max)
{
    *ret_min = 1;
    *ret_max = 1;
    if (!*s)
        return true;
    if (!strcmp(s, "+")) {
        *ret_max = SIZE_MAX;
        return true;
    }
    char *end;
    if (*s != '{' || s[1] < '1' || s[1] > '9')
        return false;
    *ret_min = *ret_max = strtoul(s + 1, &end, 10);
    if (*end == ',' && end[1] == '}') {
        *ret_max = SIZE_MAX;
        end++;
    } else if (*end == ',' && end[1] >= '1' && end[1] <= '9') {
        *ret_max = strtoul(end + 1, &end, 10);
    }
    return *end == '}' && !end[1] && *ret_min <= *ret_max && *ret_min < 1000;
}

int kn_pattern_regex(kn_pattern *p, const char *regex, kn_err *err)
{
    kn_pattern found = {0};
    size_t n = parse_atom(regex, &found.c);
    if (!n || !parse_repeat(regex + n, &found.min, &found.max))
        return kn_fail(err, KN_EUNSUPPORTED,
                       "replacement pattern /%.100s/; one repeated character is supported", regex);
    *p = found;
    return 0;
}

void kn_pattern_done(kn_pattern *p)
{
    free(p->literal);
    *p = (kn_pattern){0};
}

static bool is_char(const kn_pattern *p, int32_t c)
{
    return p->c == KN_PATTERN_SPACE ? kn_char_is_space(c) : c == p->c;
}

size_t kn_pattern_match(const kn_pattern *p, const char *s, size_t size)
{
    if (p->literal) {
        size_t n = strlen(p->literal);
        return n <= size && !memcmp(s, p->literal, n) ? n : 0;
    }
    size_t end = 0, count = 0, n;
    while (end < size && count < p->max && is_char(p, kn_utf8_next(s + end, size - end, &n))) {
        end += n;
        count++;
    }
    return count >= p->min ? end : 0;
}
