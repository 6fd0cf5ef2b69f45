#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *kn_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (kn_mul_overflows(n, size, &bytes))
        return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *kn_realloc_array(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (kn_mul_overflows(n, size, &bytes))
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

char *kn_strdup(const char *s)
{
    return s ? kn_strndup(s, strlen(s)) : NULL;
}

char *kn_strndup(const char *s, size_t n)
{
    char *copy = malloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *kn_asprintf(const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : malloc((size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return s;
}

/* ---- arena ---- */

struct kn_arena_chunk {
    struct kn_arena_chunk *next;
    size_t used, capacity;
    _Alignas(16) unsigned char data[];
};

enum { ARENA_CHUNK_BYTES = 64 << 10 };

void kn_arena_init(kn_arena *a, size_t max_bytes)
{
    *a = (kn_arena){.max_bytes = max_bytes};
}

void kn_arena_done(kn_arena *a)
{
    while (a->chunks) {
        struct kn_arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    a->used_bytes = 0;
}

void *kn_arena_alloc(kn_arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if (a->max_bytes && size > a->max_bytes - a->used_bytes)
        return NULL;
    struct kn_arena_chunk *ch = a->chunks;
    if (!ch || ch->capacity - ch->used < size) {
        size_t capacity = size > ARENA_CHUNK_BYTES ? size : ARENA_CHUNK_BYTES;
        ch = calloc(1, sizeof *ch + capacity);
        if (!ch)
            return NULL;
        ch->capacity = capacity;
        ch->next = a->chunks;
        a->chunks = ch;
    }
    void *p = ch->data + ch->used;
    ch->used += size;
    a->used_bytes += size;
    return p;
}

char *kn_arena_strdup(kn_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = kn_arena_alloc(a, n);
    return copy ? memcpy(copy, s, n) : NULL;
}

char *kn_arena_printf(kn_arena *a, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : kn_arena_alloc(a, (size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return s;
}

/* ---- bounded buffer ---- */

void kn_buf_init(kn_buf *b, size_t max_bytes)
{
    *b = (kn_buf){.max_bytes = max_bytes};
}

void kn_buf_done(kn_buf *b)
{
    free(b->data);
    *b = (kn_buf){.max_bytes = b->max_bytes};
}

static bool grow(kn_buf *b, size_t extra)
{
    if (b->failed || extra > b->max_bytes - b->size || extra > SIZE_MAX / 4) {
        b->failed = true;
        return false;
    }
    size_t needed = b->size + extra + 1;
    if (needed <= b->capacity)
        return true;
    size_t capacity = b->capacity * 2 > needed ? b->capacity * 2 : needed + 64;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void kn_buf_append(kn_buf *b, const void *data, size_t size)
{
    if (!grow(b, size))
        return;
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void kn_buf_puts(kn_buf *b, const char *s)
{
    kn_buf_append(b, s, strlen(s));
}

void kn_buf_printf(kn_buf *b, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if (grow(b, (size_t)n)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, fmt, ap2);
        b->size += (size_t)n;
    }
    va_end(ap2);
}

char *kn_buf_take(kn_buf *b)
{
    char *s = b->failed ? NULL : (b->data ? b->data : kn_strdup(""));
    if (b->failed)
        free(b->data);
    *b = (kn_buf){.max_bytes = b->max_bytes};
    return s;
}
