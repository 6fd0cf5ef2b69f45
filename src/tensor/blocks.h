/* The equal parts of a component: the blocks of a transformer, of which some stay on the device and the others are loaded
 * each time they are used.
 *
 * A block that does not stay is loaded (or mapped, if the loader has a packed file), used and freed, while the next one is read from the disk
 * (tensor/read_ahead.h).  Blocks are used in ascending order, over and over, so what comes next is always known.  The
 * device holds the weights of the blocks that stay and of one more, or two where one arrives while the other is worked with
 * (kn_device.n_visitors); loading makes the same bits each time. */
#ifndef KN_TENSOR_BLOCKS_H
#define KN_TENSOR_BLOCKS_H

#include "tensor/loader.h"

/* As many blocks as there are. */
enum { KN_ALL_BLOCKS = INT32_MAX };

typedef struct kn_blocks_spec {
    /* Block `index` into *ret_block: a struct of pointers to what the loader gives. l keeps the error. */
    void (*load)(kn_loader *l, const void *config, int index, void *ret_block);
    const void *config; /* for load; borrowed */
    size_t block_bytes; /* of that struct */
    int n;
    int n_resident; /* the first so many stay; KN_ALL_BLOCKS */
} kn_blocks_spec;

typedef struct kn_blocks kn_blocks;

/* Loads the blocks that stay into l's set and checks that the others can be loaded: names, shapes, room for their
 * weights excepted.  l->err says how it went; NULL after an error.  What l borrows must outlive the blocks, l need not. */
kn_blocks *kn_blocks_new(kn_loader *l, const kn_blocks_spec *spec);
void kn_blocks_free(kn_blocks *b); /* accepts NULL */
/* The struct of block i, whose weights are on the device until the next call; NULL after an error, which c keeps. */
const void *kn_blocks_use(kn_ctx *c, kn_blocks *b, int i);
/* The block used last is done with: for the timeline, on which it would last until the next one is used. Accepts NULL. */
void kn_blocks_rest(kn_ctx *c, kn_blocks *b);
bool kn_blocks_all_stay(const kn_blocks *b);

#endif
