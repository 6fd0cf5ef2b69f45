/* The CPU device: opening it, its memory, its table of operations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/ram.h"
#include "tensor/cpu/cpu_device.h"
#include "tensor/cpu/cpu_features.h"
#include "tensor/cpu/cpu_memory.h"
#include "tensor/cpu/kernels.h"

/* ---- memory ---- */

static void *cpu_reserve(kn_device *dev, size_t bytes)
{
    (void)dev;
    return kn_cpu_map(bytes);
}

static void cpu_unreserve(kn_device *dev, void *p, size_t bytes)
{
    (void)dev;
    kn_cpu_unmap(p, bytes);
}

static void cpu_trim(kn_device *dev, void *p, size_t bytes)
{
    (void)dev;
    kn_cpu_drop(p, bytes);
}

static size_t cpu_available(kn_device *dev)
{
    (void)dev;
    return kn_ram_available();
}

static int cpu_move(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    (void)dev, (void)err;
    memcpy(dst, src, bytes);
    return 0;
}

static int cpu_fill_zero(kn_device *dev, void *dst, size_t bytes, kn_err *err)
{
    (void)dev, (void)err;
    memset(dst, 0, bytes);
    return 0;
}

static void cpu_close(kn_device *dev)
{
    kn_cpu *cpu = kn_cpu_of(dev);
    kn_prims_free(cpu->prims);
    free(cpu);
}

static const kn_device_ops cpu_ops = {
    .reserve = cpu_reserve,
    .unreserve = cpu_unreserve,
    .trim = cpu_trim,
    .available = cpu_available,
    .upload = cpu_move,
    .download = cpu_move,
    .fill_zero = cpu_fill_zero,
    .weight_bytes = kn_cpu_weight_bytes,
    .weight_new = kn_cpu_weight_new,
    .weight_free = kn_cpu_weight_free,
    .weight_packing = kn_cpu_weight_packing,
    .weight_format = kn_cpu_weight_format,
    .weight_save = kn_cpu_weight_save,
    .weight_map = kn_cpu_weight_map,
    .raw_matmul = kn_cpu_raw_matmul,
    .linear_workspace = kn_cpu_linear_workspace,
    .conv_workspace = kn_cpu_conv_workspace,
    .attention_workspace = kn_cpu_attention_workspace,
    .group_norm_workspace = kn_cpu_group_norm_workspace,
    .linear = kn_cpu_linear,
    .conv = kn_cpu_conv,
    .attention = kn_cpu_attention,
    .rms_norm = kn_cpu_rms_norm,
    .layer_norm = kn_cpu_layer_norm,
    .group_norm = kn_cpu_group_norm,
    .rope = kn_cpu_rope,
    .ewise = kn_cpu_ewise,
    .copy = kn_cpu_copy,
    .permute = kn_cpu_permute,
    .concat = kn_cpu_concat,
    .slice = kn_cpu_slice,
    .repeat_channels = kn_cpu_repeat_channels,
    .mean_channels = kn_cpu_mean_channels,
    .close = cpu_close,
};

/* ---- opening ---- */

static int choose_isa(const char *name, kn_cpu_isa *ret, kn_err *err)
{
    kn_cpu_isa best = kn_cpu_isa_best(), isa = best;
    if (name && kn_cpu_isa_from_name(name, &isa))
        return kn_fail(err, KN_EINVAL, "instruction set \"%s\"; expected c, avx2, avx512 or avx512_bf16",
                       name);
    if (isa > best)
        return kn_fail(err, KN_EUNSUPPORTED, "instruction set %s: this machine has %s at most", name,
                       kn_cpu_isa_name(best));
    *ret = isa;
    return 0;
}

/* Whether oneDNN has a product of matrices of this type here. */
static bool has_matmul(kn_prims *prims, kn_dtype type)
{
    kn_prim_key key = {.kind = KN_PRIM_MATMUL_LAYOUT,
                       .src_type = type,
                       .weights_type = type,
                       .dst_type = type,
                       .src = {64, 64},
                       .weights = {64, 64}};
    kn_prim *prim = NULL;
    bool has = kn_prim_get(prims, &key, &prim, NULL) == 0;
    kn_prim_put(prims, prim);
    return has;
}

/* oneDNN emulates bf16 from AVX-512 on; other processors (aarch64) are asked.  Its int8 products saturate in
 * between without VNNI. */
static void choose_math(kn_cpu *cpu)
{
#if defined __x86_64__
    cpu->bf16_math = cpu->base.isa >= KN_ISA_AVX512 && has_matmul(cpu->prims, KN_BF16);
    cpu->int8_math = cpu->base.isa >= KN_ISA_AVX512_BF16;
    cpu->dev.has_bf16 = cpu->base.isa >= KN_ISA_AVX512_BF16;
#else
    cpu->bf16_math = has_matmul(cpu->prims, KN_BF16);
    cpu->dev.has_bf16 = cpu->bf16_math;
#endif
    cpu->dev.has_int8 = cpu->int8_math;
}

static void describe(kn_cpu *cpu)
{
    static const char *const levels[] = {"", ", AVX2", ", AVX-512", ", AVX-512 BF16 VNNI"};
    char model[96];
    kn_cpu_model_name(model, sizeof model);
    int n = kn_parallel_threads();
    snprintf(cpu->dev.name, sizeof cpu->dev.name, "cpu");
    snprintf(cpu->dev.description, sizeof cpu->dev.description, "%s, %d thread%s%s", model, n,
             n == 1 ? "" : "s", levels[cpu->base.isa]);
    char versions[48];
    snprintf(cpu->dev.packing, sizeof cpu->dev.packing, "%s%s%s, %s, level %d",
             kn_cpu_isa_name(cpu->base.isa), cpu->bf16_math ? " bf16" : "", cpu->int8_math ? " int8" : "",
             kn_cpu_versions(versions, sizeof versions), (int)dnnl_get_effective_cpu_isa());
    cpu->dev.mem_total_bytes = kn_ram_total();
    cpu->dev.mem_available_bytes = kn_ram_available();
}

int kn_cpu_device_open(const kn_cpu_options *opts, kn_device **ret, kn_err *err)
{
    kn_cpu_isa isa = KN_ISA_C;
    int rc = choose_isa(opts ? opts->isa : NULL, &isa, err);
    if (rc)
        return rc;
    kn_cpu *cpu = kn_calloc(1, sizeof *cpu);
    if (!cpu)
        return kn_fail(err, KN_ENOMEM, "no memory for a device");
    cpu->base.isa = isa;
    cpu->dev.priv = cpu;
    cpu->dev.ops = &cpu_ops;
    kn_parallel_set_threads(opts ? opts->n_threads : 0);
    if (opts && opts->pin)
        kn_parallel_pin();
    rc = kn_prims_new(&cpu->prims, err);
    if (rc) {
        free(cpu);
        return rc;
    }
    choose_math(cpu);
    describe(cpu);
    *ret = &cpu->dev;
    return 0;
}
