/* The memory of a context: one range of device addresses, handed out in blocks.
 *
 * Only offsets are kept here, so the same decisions are made on every device and `meta` predicts a run exactly.
 * What counts is the extent: the end of the highest byte ever handed out, because pages below it have been touched. */
#ifndef KN_TENSOR_POOL_H
#define KN_TENSOR_POOL_H

#include "tensor/device.h"

enum { KN_POOL_ALIGN = 64 }; /* a cache line, and the widest vector */

typedef struct kn_pool_block {
    size_t offset, size; /* multiples of KN_POOL_ALIGN */
    int depth;           /* of the scope that frees it */
} kn_pool_block;

struct kn_pool {
    kn_device *dev;
    uintptr_t base;
    size_t capacity;       /* bytes reserved */
    size_t extent;         /* bytes from the base that may have been touched */
    size_t peak;           /* largest extent since the last reset */
    size_t live;           /* sum of the blocks */
    kn_pool_block *blocks; /* live ones by ascending offset; the gaps between them are free */
    int n_blocks, n_blocks_max;
};

/* KN_ENOMEM if the device cannot reserve `capacity` bytes of addresses. */
int kn_pool_new(kn_device *dev, size_t capacity, kn_pool **ret, kn_err *err);
void kn_pool_free(kn_pool *p);

/* A block of at least `bytes` (> 0) bytes; NULL and KN_ENOMEM when the pool is full. */
void *kn_pool_alloc(kn_pool *p, size_t bytes, int depth, kn_err *err);
/* The block that holds the address (also one inside it, as views have); NULL if there is none. */
kn_pool_block *kn_pool_find(kn_pool *p, const void *data);
/* Frees a block that kn_pool_find gave. */
void kn_pool_release(kn_pool *p, kn_pool_block *b);
/* Frees every block of `depth` or deeper. */
void kn_pool_release_depth(kn_pool *p, int depth);
/* Gives the pages of the gaps back and lowers the extent to the last live block. */
void kn_pool_give_back(kn_pool *p);

#endif
