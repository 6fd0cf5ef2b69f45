/* A byte trie built once from a list of strings; children of a node lie together, sorted by byte. */
#ifndef KN_TEXT_TRIE_H
#define KN_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* UMT5's 256,384 pieces are 2.3 MB of text; eight times that is no vocabulary. */
#define KN_LIMIT_TRIE_BYTES (32u << 20)
/* SentencePiece's own default is 16 characters, Llama's longest run of spaces 128 bytes. */
#define KN_LIMIT_PIECE_BYTES 1024

typedef struct kn_trie_key {
    const char *text;
    uint32_t size;
    int32_t value; /* >= 0; of equal keys the largest value counts */
} kn_trie_key;

typedef struct kn_trie_node {
    uint32_t first_child;
    int32_t value; /* -1: no key ends here */
    uint16_t n_children;
    unsigned char byte;
} kn_trie_node;

typedef struct kn_trie {
    kn_trie_node *nodes; /* [0] is the root; NULL for a trie without keys */
} kn_trie;

/* Sorts `keys` in place; empty keys are left out. KN_ELIMIT: a key or all keys together are too long; KN_ENOMEM. */
int kn_trie_build(kn_trie *t, kn_trie_key *keys, size_t n, kn_err *err);
void kn_trie_done(kn_trie *t);
/* The child of `node` for a byte, 0 if there is none. Start with node 0. */
uint32_t kn_trie_step(const kn_trie *t, uint32_t node, unsigned char byte);
/* The value of exactly this key, -1 if absent. */
int32_t kn_trie_find(const kn_trie *t, const char *text, size_t size);
/* The longest key that text begins with: its value and size, or -1. */
int32_t kn_trie_longest(const kn_trie *t, const char *text, size_t size, size_t *ret_size);

#endif
