/* What this machine is: the processor. */
#ifndef KN_TENSOR_CPU_CPU_FEATURES_H
#define KN_TENSOR_CPU_CPU_FEATURES_H

#include <stddef.h>

/* "AMD EPYC 9575F" from /proc/cpuinfo; the architecture's name where that says nothing. */
void kn_cpu_model_name(char *buf, size_t size);

#endif
