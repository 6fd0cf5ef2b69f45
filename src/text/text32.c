#include "text/text32.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

void kn_text32_done(kn_text32 *t)
{
    free(t->c);
    *t = (kn_text32){0};
}

static bool reserve(kn_text32 *t, size_t more)
{
    if (t->failed || more > KN_LIMIT_CLEAN_CHARS - t->n) {
        t->failed = true;
        return false;
    }
    size_t needed = t->n + more;
    if (needed <= t->capacity)
        return true;
    size_t capacity = needed < 64 ? 64 : needed + needed / 2;
    int32_t *c = kn_realloc_array(t->c, capacity, sizeof *c);
    if (!c) {
        t->failed = true;
        return false;
    }
    t->c = c;
    t->capacity = capacity;
    return true;
}

void kn_text32_put(kn_text32 *t, int32_t c)
{
    if (reserve(t, 1))
        t->c[t->n++] = c;
}

void kn_text32_append(kn_text32 *t, const int32_t *c, size_t n)
{
    if (!n || !reserve(t, n))
        return;
    memcpy(t->c + t->n, c, n * sizeof *c);
    t->n += n;
}

void kn_text32_append_utf8(kn_text32 *t, const char *s, size_t size)
{
    for (size_t i = 0, n; i < size; i += n) {
        int32_t c = kn_utf8_next(s + i, size - i, &n);
        if (c < 0)
            return;
        kn_text32_put(t, c);
    }
}

bool kn_text32_equal(const kn_text32 *a, const kn_text32 *b)
{
    return a->n == b->n && (!a->n || !memcmp(a->c, b->c, a->n * sizeof *a->c));
}

void kn_text32_move(kn_text32 *to, kn_text32 *from)
{
    kn_text32_done(to);
    *to = *from;
    *from = (kn_text32){0};
}

char *kn_text32_utf8(const kn_text32 *t)
{
    char *s = kn_calloc(t->n + 1, 4);
    size_t size = 0;
    for (size_t i = 0; s && i < t->n; i++)
        size += kn_utf8_put(t->c[i], s + size);
    return s;
}
