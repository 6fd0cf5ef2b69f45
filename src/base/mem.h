/* Checked host allocation and an arena.  Sizes are checked before arithmetic; failure is NULL, never abort. */
#ifndef KN_BASE_MEM_H
#define KN_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *kn_calloc(size_t n, size_t size);                 /* zeroed; NULL on overflow or no memory */
void *kn_realloc_array(void *p, size_t n, size_t size); /* NULL leaves p valid */
char *kn_strdup(const char *s);                         /* NULL in, NULL out */
char *kn_strndup(const char *s, size_t n);
char *kn_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline bool kn_mul_overflows(size_t a, size_t b, size_t *ret)
{
    return __builtin_mul_overflow(a, b, ret);
}

/* An arena: many small allocations of one lifetime.  All of it goes at once. */
typedef struct kn_arena {
    struct kn_arena_chunk *chunks;
    size_t max_bytes; /* 0: no maximum */
    size_t used_bytes;
} kn_arena;

void kn_arena_init(kn_arena *a, size_t max_bytes);
void kn_arena_done(kn_arena *a);
void *kn_arena_alloc(kn_arena *a, size_t size); /* zeroed, 16-byte aligned; NULL at the maximum */
char *kn_arena_strdup(kn_arena *a, const char *s);
char *kn_arena_printf(kn_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A growing byte buffer that is created with its maximum. */
typedef struct kn_buf {
    char *data; /* always NUL-terminated once anything was appended */
    size_t size, capacity, max_bytes;
    bool failed; /* an append did not fit or found no memory; later appends do nothing */
} kn_buf;

void kn_buf_init(kn_buf *b, size_t max_bytes);
void kn_buf_done(kn_buf *b);
void kn_buf_append(kn_buf *b, const void *data, size_t size);
void kn_buf_puts(kn_buf *b, const char *s);
void kn_buf_printf(kn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *kn_buf_take(kn_buf *b); /* the string, owned by the caller; NULL if an append failed */

#endif
