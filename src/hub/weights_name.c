#include "hub/weights_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 5, PIECE = 2 * DIGITS + 5 /* "-00001-of-00002" */ };

static bool read_digits(const char *s, int *ret)
{
    *ret = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (!isdigit((unsigned char)s[i]))
            return false;
        *ret = *ret * 10 + (s[i] - '0');
    }
    return true;
}

/* Takes "-00001-of-00002" out of s, wherever it is: tools have put the variant before it and behind it. */
static bool take_piece(char *s, kn_weights_name *w)
{
    for (char *p = strchr(s, '-'); p; p = strchr(p + 1, '-')) {
        if (strlen(p) < PIECE || !read_digits(p + 1, &w->piece) || strncmp(p + 1 + DIGITS, "-of-", 4) != 0 ||
            !read_digits(p + 5 + DIGITS, &w->n_pieces))
            continue;
        memmove(p, p + PIECE, strlen(p + PIECE) + 1);
        return w->piece >= 1 && w->piece <= w->n_pieces;
    }
    w->piece = w->n_pieces = 0;
    return true;
}

/* Takes `part` out of s. */
static bool take(char *s, const char *part)
{
    char *p = strstr(s, part);
    if (p)
        memmove(p, p + strlen(part), strlen(p + strlen(part)) + 1);
    return p != NULL;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool kn_weights_name_read(const char *name, kn_weights_name *ret)
{
    char s[256];
    *ret = (kn_weights_name){0};
    if (strlen(name) >= sizeof s)
        return false;
    memcpy(s, name, strlen(name) + 1);
    if (ends_with(s, ".json")) {
        s[strlen(s) - 5] = '\0';
        ret->is_index = true;
        if (!take(s, ".safetensors") || !take(s, ".index"))
            return false;
    } else if (ends_with(s, ".safetensors")) {
        s[strlen(s) - 12] = '\0';
        if (!take_piece(s, ret))
            return false;
    } else {
        return false;
    }
    const char *dot = strchr(s, '.');
    size_t n = dot ? (size_t)(dot - s) : strlen(s);
    if (!n || n >= sizeof ret->stem || (dot && strlen(dot + 1) >= sizeof ret->variant))
        return false;
    memcpy(ret->stem, s, n);
    snprintf(ret->variant, sizeof ret->variant, "%s", dot ? dot + 1 : "");
    return true;
}
