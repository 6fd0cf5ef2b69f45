#define _GNU_SOURCE
#include "tensor/cpu/cpu_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Smaller blocks would waste much of a page. */
enum { MAP_FROM_BYTES = 1 << 20 };

/* Pages of 2 MiB, where the system leaves the choice to programs: touching a GiB for the first time takes about 80 ms
 * instead of 500 (Zen 5, Linux 6), and products gain a little. */
void *kn_cpu_map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

void kn_cpu_unmap(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

void kn_cpu_drop(void *p, size_t bytes)
{
    (void)madvise(p, bytes, MADV_DONTNEED);
}

void *kn_cpu_block_new(size_t bytes)
{
    if (bytes >= MAP_FROM_BYTES)
        return kn_cpu_map(bytes);
    size_t size = (bytes + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, size);
    return p ? memset(p, 0, size) : NULL;
}

void kn_cpu_block_free(void *p, size_t bytes)
{
    if (bytes >= MAP_FROM_BYTES)
        kn_cpu_unmap(p, bytes);
    else
        free(p);
}
