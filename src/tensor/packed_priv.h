/* Inside a packed file: its header, its index, and the sums of its items. */
#ifndef KN_TENSOR_PACKED_PRIV_H
#define KN_TENSOR_PACKED_PRIV_H

#include "base/file.h"
#include "base/mem.h"
#include "tensor/packed.h"

/* In the byte order of the machine: a file never leaves it. */
typedef struct kn_packed_header {
    char magic[8];
    uint64_t file_bytes, index_begin, index_bytes;
    uint64_t index_sum; /* kn_hash_bulk of the index */
    uint64_t sum;       /* kn_hash_bulk of the fields before */
} kn_packed_header;

/* Changes with the layout of the file. */
#define KN_PACKED_MAGIC "KNPACK1"

typedef struct kn_packed_entry {
    const char *name, *what; /* of the arena */
    uint64_t format, begin, bytes, sum;
    bool is_checked;
} kn_packed_entry;

typedef enum kn_packed_state {
    KN_PACKED_OFF, /* given up */
    KN_PACKED_READING,
    KN_PACKED_RECORDING,
    KN_PACKED_REHEARSED, /* a rehearsal that was committed */
} kn_packed_state;

struct kn_packed {
    kn_packed_state state;
    kn_arena arena;
    char *path, *key;
    kn_packed_entry *entries;
    int n_entries, max_entries;
    int next; /* the entry after the last one found: items are asked for in the order they were recorded */
    kn_map map;
    /* while recording */
    char *part;
    int fd;       /* -1: a rehearsal */
    uint64_t end; /* of what was written */
    uint64_t put; /* bytes of the open item so far */
};

/* path may be NULL. */
kn_packed *kn_packed_alloc(const char *path, const char *key);
/* Copies the texts. */
int kn_packed_add(kn_packed *p, const kn_packed_entry *e);
/* Heap JSON; NULL without memory. */
char *kn_packed_index(const kn_packed *p);
/* The sum of an item, or of a piece of it that begins at a multiple of KN_SAVE_PIECE, added to h. */
uint64_t kn_packed_sum(uint64_t h, const void *data, size_t bytes);

#endif
