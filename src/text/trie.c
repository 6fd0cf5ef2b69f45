#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int compare_keys(const void *pa, const void *pb)
{
    const kn_trie_key *a = pa, *b = pb;
    uint32_t n = a->size < b->size ? a->size : b->size;
    int c = memcmp(a->text, b->text, n);
    if (c)
        return c;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return (a->value > b->value) - (a->value < b->value);
}

static uint32_t common_prefix(const kn_trie_key *a, const kn_trie_key *b)
{
    uint32_t n = a->size < b->size ? a->size : b->size, i = 0;
    while (i < n && a->text[i] == b->text[i])
        i++;
    return i;
}

/* Keys are sorted, so each adds the nodes beyond what it shares with the one before. */
static int count_nodes(const kn_trie_key *keys, size_t n, size_t *ret, kn_err *err)
{
    size_t total = 1;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].size > KN_LIMIT_PIECE_BYTES)
            return kn_fail(err, KN_ELIMIT, "a vocabulary entry of %u bytes; at most %d are expected",
                           keys[i].size, KN_LIMIT_PIECE_BYTES);
        total += keys[i].size - (i ? common_prefix(&keys[i - 1], &keys[i]) : 0);
        if (total > KN_LIMIT_TRIE_BYTES)
            return kn_fail(err, KN_ELIMIT, "the vocabulary has more than %u bytes of text",
                           KN_LIMIT_TRIE_BYTES);
    }
    *ret = total;
    return 0;
}

/* The keys below a node while it waits to be expanded: keys[begin, end) share their first `depth` bytes. */
typedef struct span {
    uint32_t begin, end, depth;
} span;

static void expand(kn_trie_node *nodes, span *spans, uint32_t node, uint32_t *n_nodes,
                   const kn_trie_key *keys)
{
    span s = spans[node];
    nodes[node].first_child = *n_nodes;
    uint32_t i = s.begin;
    for (; i < s.end && keys[i].size == s.depth; i++)
        nodes[node].value = keys[i].value;
    while (i < s.end) {
        unsigned char byte = (unsigned char)keys[i].text[s.depth];
        uint32_t end = i + 1;
        while (end < s.end && (unsigned char)keys[end].text[s.depth] == byte)
            end++;
        nodes[*n_nodes] = (kn_trie_node){.value = -1, .byte = byte};
        spans[*n_nodes] = (span){i, end, s.depth + 1};
        (*n_nodes)++;
        nodes[node].n_children++;
        i = end;
    }
}

int kn_trie_build(kn_trie *t, kn_trie_key *keys, size_t n, kn_err *err)
{
    int rc = 0;
    size_t total = 0;
    kn_trie_node *nodes = NULL;
    span *spans = NULL;

    if (n > UINT32_MAX)
        return kn_fail(err, KN_ELIMIT, "%zu vocabulary entries", n);
    if (n)
        qsort(keys, n, sizeof *keys, compare_keys);
    while (n && keys[0].size == 0) {
        keys++;
        n--;
    }
    if ((rc = count_nodes(keys, n, &total, err)))
        goto out;
    nodes = kn_calloc(total, sizeof *nodes);
    spans = kn_calloc(total, sizeof *spans);
    if (!nodes || !spans) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for a trie of %zu nodes", total);
        goto out;
    }
    nodes[0].value = -1;
    spans[0] = (span){0, (uint32_t)n, 0};
    uint32_t n_nodes = 1;
    for (uint32_t node = 0; node < n_nodes; node++)
        expand(nodes, spans, node, &n_nodes, keys);
    KN_ASSERT(n_nodes == total);
    t->nodes = nodes;
    nodes = NULL;
out:
    free(nodes);
    free(spans);
    return rc;
}

void kn_trie_done(kn_trie *t)
{
    free(t->nodes);
    t->nodes = NULL;
}

uint32_t kn_trie_step(const kn_trie *t, uint32_t node, unsigned char byte)
{
    const kn_trie_node *n = &t->nodes[node];
    uint32_t lo = n->first_child, hi = lo + n->n_children;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->nodes[mid].byte == byte)
            return mid;
        if (t->nodes[mid].byte < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

int32_t kn_trie_find(const kn_trie *t, const char *text, size_t size)
{
    uint32_t node = 0;
    if (!t->nodes || size == 0)
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (!(node = kn_trie_step(t, node, (unsigned char)text[i])))
            return -1;
    }
    return t->nodes[node].value;
}

int32_t kn_trie_longest(const kn_trie *t, const char *text, size_t size, size_t *ret_size)
{
    uint32_t node = 0;
    int32_t value = -1;
    if (!t->nodes)
        return -1;
    for (size_t i = 0; i < size && (node = kn_trie_step(t, node, (unsigned char)text[i])); i++) {
        if (t->nodes[node].value >= 0) {
            value = t->nodes[node].value;
            *ret_size = i + 1;
        }
    }
    return value;
}
