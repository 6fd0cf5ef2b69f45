/* What this machine is: processor, memory this process may use. */
#ifndef KN_TENSOR_CPU_CPU_FEATURES_H
#define KN_TENSOR_CPU_CPU_FEATURES_H

#include <stddef.h>

/* "AMD EPYC 9575F" from /proc/cpuinfo; the architecture's name where that says nothing. */
void kn_cpu_model_name(char *buf, size_t size);

/* Physical memory, or less where a control group (v1 or v2) of this process or one above it sets a limit. */
size_t kn_cpu_memory_bytes(void);

#endif
