/* Inside the loader: names, entries and their values. Every function keeps the loader's first error. */
#ifndef KN_TENSOR_LOADER_SOURCE_H
#define KN_TENSOR_LOADER_SOURCE_H

#include "tensor/loader.h"

/* A tensor the loader was asked for. */
typedef struct kn_source {
    char name[800];  /* in full: prefix, name, suffix */
    kn_entry *entry; /* NULL in a random checkpoint */
    bool is_there;
} kn_source;

/* False after an error and when the load is cancelled (which it records). */
bool kn_loader_ready(kn_loader *l);

/* Looks up `<prefix><name><suffix>`. Absent: an error, unless optional. Returns whether it is there. */
bool kn_source_find(kn_loader *l, const char *name, const char *suffix, bool optional, kn_source *ret);
/* Checks the shape, where dimensions of size 1 do not count, and marks the entry as used; its data is not touched. With
 * `fold`, dimensions after the first may also be split further. */
bool kn_source_expect(kn_loader *l, kn_source *s, int n_dims, const int64_t *dims, bool fold);

/* How random values are drawn. */
typedef struct kn_random_kind {
    float mean, std;
} kn_random_kind;
kn_random_kind kn_random_kind_of(const char *name, int64_t fan_in);

/* The values as float32, LoRAs merged; n_out x n_in elements. */
int kn_source_decode(kn_loader *l, const kn_source *s, int64_t n_out, int64_t n_in, kn_random_kind random,
                     float *dst);
/* The data as it lies, if a device takes that: f32, bf16 or f16, aligned, without scale or LoRA; else NULL. */
const void *kn_source_as_is(const kn_loader *l, const kn_source *s);
/* For l->touched: the entry, or bytes elsewhere, will be read. */
void kn_source_note(kn_loader *l, const kn_source *s);
void kn_loader_note(kn_loader *l, const void *data, size_t bytes);
/* The entry's pages will be wanted; may go. */
void kn_source_prefetch(const kn_loader *l, const kn_source *s);
void kn_source_release(const kn_loader *l, const kn_source *s);

#endif
