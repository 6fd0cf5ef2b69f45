/* Choosing among the tables that one kernel text gives when compiled for each instruction set. */
#ifndef KN_TENSOR_CPU_DISPATCH_H
#define KN_TENSOR_CPU_DISPATCH_H

#include "tensor/cpu/isa.h"

#if defined __x86_64__
#define KN_DECLARE_KERNELS(type, table) extern const type table##_c, table##_avx2, table##_avx512
#define KN_PICK_KERNELS(table, isa)                                                                          \
    ((isa) >= KN_ISA_AVX512 ? &table##_avx512 : (isa) >= KN_ISA_AVX2 ? &table##_avx2 : &table##_c)
#else
#define KN_DECLARE_KERNELS(type, table) extern const type table##_c
#define KN_PICK_KERNELS(table, isa)     ((void)(isa), &table##_c)
#endif

#endif
