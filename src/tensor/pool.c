#include "tensor/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Gaps are given back in whole pages of the largest size in use (arm64: 64 KiB). */
enum { PAGE = 65536 };

static void set_extent(kn_pool *p, size_t extent)
{
    kn_device_account(p->dev, 0, (int64_t)extent - (int64_t)p->extent);
    p->extent = extent;
    if (extent > p->peak)
        p->peak = extent;
}

int kn_pool_new(kn_device *dev, size_t capacity, kn_pool **ret, kn_err *err)
{
    capacity = capacity / PAGE * PAGE;
    if (!capacity)
        return kn_fail(err, KN_EINVAL, "a pool of less than %d bytes holds nothing", PAGE);
    kn_pool *p = kn_calloc(1, sizeof *p);
    if (!p)
        return kn_fail(err, KN_ENOMEM, "no memory for a pool");
    p->dev = dev;
    p->capacity = capacity;
    p->base = (uintptr_t)dev->ops->reserve(dev, capacity);
    if (!p->base) {
        free(p);
        return kn_fail(err, KN_ENOMEM, "device %s cannot reserve %zu MiB of addresses", dev->name,
                       capacity >> 20);
    }
    *ret = p;
    return 0;
}

void kn_pool_free(kn_pool *p)
{
    if (!p)
        return;
    set_extent(p, 0);
    p->dev->ops->unreserve(p->dev, (void *)p->base, p->capacity);
    free(p->blocks);
    free(p);
}

/* Where in the gap before block i a new block goes: beside the neighbour of the deeper scope.  What dies together
 * then lies together and leaves one gap, not two. */
static size_t place_in_gap(const kn_pool *p, int i, size_t begin, size_t size)
{
    bool above_dies_first = i > 0 && p->blocks[i].depth > p->blocks[i - 1].depth;
    return above_dies_first ? p->blocks[i].offset - size : begin;
}

/* Index at which a new block of `size` bytes goes, its offset in *ret_offset; -1 if nowhere.
 *
 * Best fit: the smallest gap that is large enough, the lowest of equals. A small temporary then does not cut the
 * gap that a freed activation left and that the next activation of that size fills. The touched end of the range
 * counts as a gap too; beyond the extent is used only when no gap is large enough. */
static int find_gap(const kn_pool *p, size_t size, size_t *ret_offset)
{
    size_t begin = 0, best = SIZE_MAX;
    int at = -1;
    for (int i = 0; i < p->n_blocks; i++) {
        size_t gap = p->blocks[i].offset - begin;
        if (gap >= size && gap < best) {
            best = gap;
            at = i;
            *ret_offset = place_in_gap(p, i, begin, size);
        }
        begin = p->blocks[i].offset + p->blocks[i].size;
    }
    size_t touched = p->extent > begin ? p->extent - begin : 0;
    bool fits_touched = touched >= size && touched < best;
    bool fits_end = at < 0 && p->capacity - begin >= size;
    if (fits_touched || fits_end) {
        at = p->n_blocks;
        *ret_offset = begin;
    }
    return at;
}

static bool grow_table(kn_pool *p)
{
    if (p->n_blocks < p->n_blocks_max)
        return true;
    int n = p->n_blocks_max ? p->n_blocks_max * 2 : 64;
    kn_pool_block *blocks = kn_realloc_array(p->blocks, (size_t)n, sizeof *blocks);
    if (!blocks)
        return false;
    p->blocks = blocks;
    p->n_blocks_max = n;
    return true;
}

void *kn_pool_alloc(kn_pool *p, size_t bytes, int depth, kn_err *err)
{
    KN_ASSERT(bytes > 0);
    size_t offset = 0;
    size_t size =
        bytes <= p->capacity ? (bytes + KN_POOL_ALIGN - 1) / KN_POOL_ALIGN * KN_POOL_ALIGN : SIZE_MAX;
    int at = find_gap(p, size, &offset);
    if (at < 0) {
        kn_fail(err, KN_ENOMEM, "%zu bytes do not fit into the pool of device %s: %zu of %zu bytes in use",
                bytes, p->dev->name, p->live, p->capacity);
        return NULL;
    }
    void *data = (void *)(p->base + offset);
    if (p->dev->ops->commit && p->dev->ops->commit(p->dev, data, size, err))
        return NULL;
    if (!grow_table(p)) {
        kn_fail(err, KN_ENOMEM, "no memory for the pool's table of %d blocks", p->n_blocks);
        return NULL;
    }
    memmove(p->blocks + at + 1, p->blocks + at, (size_t)(p->n_blocks - at) * sizeof *p->blocks);
    p->blocks[at] = (kn_pool_block){.offset = offset, .size = size, .depth = depth};
    p->n_blocks++;
    p->live += size;
    if (offset + size > p->extent)
        set_extent(p, offset + size);
    return data;
}

kn_pool_block *kn_pool_find(kn_pool *p, const void *data)
{
    uintptr_t address = (uintptr_t)data;
    if (address < p->base || address - p->base >= p->capacity)
        return NULL;
    size_t offset = address - p->base;
    int lo = 0, hi = p->n_blocks;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (p->blocks[mid].offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || offset - p->blocks[lo - 1].offset >= p->blocks[lo - 1].size)
        return NULL;
    return &p->blocks[lo - 1];
}

void kn_pool_release(kn_pool *p, kn_pool_block *b)
{
    int at = (int)(b - p->blocks);
    KN_ASSERT(at >= 0 && at < p->n_blocks);
    p->live -= b->size;
    p->n_blocks--;
    memmove(b, b + 1, (size_t)(p->n_blocks - at) * sizeof *b);
}

void kn_pool_release_depth(kn_pool *p, int depth)
{
    int n = 0;
    for (int i = 0; i < p->n_blocks; i++) {
        if (p->blocks[i].depth >= depth)
            p->live -= p->blocks[i].size;
        else
            p->blocks[n++] = p->blocks[i];
    }
    p->n_blocks = n;
}

static void trim_gap(kn_pool *p, size_t begin, size_t end)
{
    begin = (begin + PAGE - 1) / PAGE * PAGE;
    end = end / PAGE * PAGE;
    if (begin < end && p->dev->ops->trim)
        p->dev->ops->trim(p->dev, (void *)(p->base + begin), end - begin);
}

void kn_pool_give_back(kn_pool *p)
{
    size_t begin = 0;
    for (int i = 0; i < p->n_blocks; i++) {
        trim_gap(p, begin, p->blocks[i].offset);
        begin = p->blocks[i].offset + p->blocks[i].size;
    }
    trim_gap(p, begin, (p->extent + PAGE - 1) / PAGE * PAGE);
    set_extent(p, begin);
}
