/* Memory of the CPU device: ranges of addresses that cost pages only when touched, and then large ones. */
#ifndef KN_TENSOR_CPU_CPU_MEMORY_H
#define KN_TENSOR_CPU_CPU_MEMORY_H

#include <stddef.h>

/* Zeroed; NULL on failure.  Nothing is taken from the machine until it is written to. */
void *kn_cpu_map(size_t bytes);
void kn_cpu_unmap(void *p, size_t bytes); /* p may be NULL */
/* Gives the pages back; they read as zeros afterwards. */
void kn_cpu_drop(void *p, size_t bytes);

/* Zeroed memory for a weight, at least 64-byte aligned: large ones are mapped.  Free with the same size. */
void *kn_cpu_block_new(size_t bytes);
void kn_cpu_block_free(void *p, size_t bytes);

#endif
