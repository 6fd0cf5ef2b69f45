#include "tensor/cpu/isa.h"

#include <string.h>

static const char *const isa_names[KN_ISA_COUNT] = {"c", "avx2", "avx512", "avx512_bf16"};

kn_cpu_isa kn_cpu_isa_best(void)
{
#if defined __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return KN_ISA_C;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return KN_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni"))
        return KN_ISA_AVX512;
    return KN_ISA_AVX512_BF16;
#else
    return KN_ISA_C;
#endif
}

const char *kn_cpu_isa_name(kn_cpu_isa isa)
{
    return isa_names[isa];
}

int kn_cpu_isa_from_name(const char *name, kn_cpu_isa *ret)
{
    for (int i = 0; i < KN_ISA_COUNT; i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            *ret = (kn_cpu_isa)i;
            return 0;
        }
    }
    return -1;
}
