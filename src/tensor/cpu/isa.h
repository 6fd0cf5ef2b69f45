/* Instruction-set levels of our own kernels: what this machine has, and what a device was told to use. */
#ifndef KN_TENSOR_CPU_ISA_H
#define KN_TENSOR_CPU_ISA_H

#include "tensor/device.h"

/* Each level includes those before it. */
typedef enum kn_cpu_isa {
    KN_ISA_C,
    KN_ISA_AVX2,        /* AVX2, FMA */
    KN_ISA_AVX512,      /* F, BW, DQ, VL */
    KN_ISA_AVX512_BF16, /* + BF16, VNNI */
    KN_ISA_COUNT
} kn_cpu_isa;

/* The best level of this machine and operating system. */
kn_cpu_isa kn_cpu_isa_best(void);
const char *kn_cpu_isa_name(kn_cpu_isa isa); /* "c", "avx2", "avx512", "avx512_bf16" */
/* 0, or -1 for an unknown name. */
int kn_cpu_isa_from_name(const char *name, kn_cpu_isa *ret);

/* The private data of every CPU device begins with this. */
typedef struct kn_cpu_base {
    kn_cpu_isa isa;
} kn_cpu_base;

static inline kn_cpu_isa kn_cpu_isa_of(const kn_device *dev)
{
    return ((const kn_cpu_base *)dev->priv)->isa;
}

#endif
