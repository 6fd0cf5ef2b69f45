/* The CUDA device: opening it, its memory, its table of operations. */
#include "tensor/cuda/cuda_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/cuda_open.h"

/* Operations between two marks: with KN_CUDA_MARKS of them under way a 14B model is half a second ahead at most. */
enum { OPS_PER_MARK = 32 };
/* Oldest cards with bf16 and asynchronous copies to shared memory: sm_80 (Ampere). */
enum { OLDEST_MAJOR = 8 };

int kn_cuda_type(kn_dtype t)
{
    return t == KN_BF16 ? KN_K_BF16 : t == KN_F16 ? KN_K_F16 : KN_K_F32;
}

int kn_cuda_done(kn_device *dev, const char *what, kn_err *err)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    int rc = kn_gpu_launched(cuda->gpu, what, err);
    if (rc || ++cuda->n_since_mark < OPS_PER_MARK)
        return rc;
    cuda->n_since_mark = 0;
    kn_gpu_event *oldest = cuda->marks[cuda->n_marks++ % KN_CUDA_MARKS];
    rc = kn_gpu_event_wait(cuda->gpu, oldest, err);
    return rc ? rc : kn_gpu_event_record(cuda->gpu, KN_GPU_COMPUTE, oldest, err);
}

int kn_cuda_wait(kn_device *dev, kn_err *err)
{
    dev->n_waits++;
    return kn_gpu_wait(kn_cuda_of(dev)->gpu, KN_GPU_COMPUTE, err);
}

/* ---- the memory of pools ---- */

static void *reserve(kn_device *dev, size_t bytes)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    size_t page = kn_gpu_page_bytes(cuda->gpu), n = bytes / page + (bytes % page != 0);
    kn_cuda_range *r = kn_calloc(1, sizeof *r);
    uint8_t *is_mapped = kn_calloc(n, 1);
    void *base = r && is_mapped ? kn_gpu_reserve(cuda->gpu, n * page) : NULL;
    if (!base) {
        free(is_mapped);
        free(r);
        return NULL;
    }
    *r = (kn_cuda_range){.next = cuda->ranges, .base = (uintptr_t)base, .n_pages = n, .is_mapped = is_mapped};
    cuda->ranges = r;
    return base;
}

static void unmap(kn_cuda *cuda, kn_cuda_range *r, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        if (r->is_mapped[i]) {
            kn_gpu_unmap(cuda->gpu, (void *)(r->base + i * kn_gpu_page_bytes(cuda->gpu)));
            r->is_mapped[i] = 0;
        }
}

static void unreserve(kn_device *dev, void *p, size_t bytes)
{
    (void)bytes;
    kn_cuda *cuda = kn_cuda_of(dev);
    kn_cuda_wait(dev, NULL);
    for (kn_cuda_range **at = &cuda->ranges; *at; at = &(*at)->next) {
        kn_cuda_range *r = *at;
        if (r->base != (uintptr_t)p)
            continue;
        unmap(cuda, r, 0, r->n_pages);
        kn_gpu_unreserve(cuda->gpu, p, r->n_pages * kn_gpu_page_bytes(cuda->gpu));
        *at = r->next;
        free(r->is_mapped);
        free(r);
        return;
    }
}

static kn_cuda_range *find_range(kn_cuda *cuda, uintptr_t address)
{
    kn_cuda_range *r = cuda->ranges;
    while (r && (address < r->base || address - r->base >= r->n_pages * kn_gpu_page_bytes(cuda->gpu)))
        r = r->next;
    KN_ASSERT(r);
    return r;
}

/* All of it or nothing. */
static int map_pages(kn_cuda *cuda, kn_cuda_range *r, size_t begin, size_t end, kn_err *err)
{
    for (size_t i = begin; i < end; i++) {
        int rc = kn_gpu_map(cuda->gpu, (void *)(r->base + i * kn_gpu_page_bytes(cuda->gpu)), err);
        if (rc) {
            unmap(cuda, r, begin, i);
            return rc;
        }
        r->is_mapped[i] = 1;
    }
    return 0;
}

static int commit(kn_device *dev, void *p, size_t bytes, kn_err *err)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    kn_cuda_range *r = find_range(cuda, (uintptr_t)p);
    size_t page = kn_gpu_page_bytes(cuda->gpu), offset = (uintptr_t)p - r->base;
    size_t end = (offset + bytes + page - 1) / page;
    for (size_t i = offset / page; i < end; i++) {
        if (r->is_mapped[i])
            continue;
        size_t first = i;
        while (i < end && !r->is_mapped[i])
            i++;
        int rc = map_pages(cuda, r, first, i, err);
        if (rc)
            return rc;
    }
    return 0;
}

static void trim(kn_device *dev, void *p, size_t bytes)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    kn_cuda_range *r = find_range(cuda, (uintptr_t)p);
    size_t page = kn_gpu_page_bytes(cuda->gpu), offset = (uintptr_t)p - r->base;
    size_t begin = (offset + page - 1) / page, end = (offset + bytes) / page;
    kn_cuda_wait(dev, NULL);
    unmap(cuda, r, begin, end < r->n_pages ? end : r->n_pages);
    kn_gpu_trim(cuda->gpu);
}

static size_t available(kn_device *dev)
{
    return kn_gpu_available(kn_cuda_of(dev)->gpu);
}

static int fill_zero(kn_device *dev, void *dst, size_t bytes, kn_err *err)
{
    return kn_gpu_zero(kn_cuda_of(dev)->gpu, KN_GPU_COMPUTE, dst, bytes, err);
}

static void close_device(kn_device *dev)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    kn_gpu_wait(cuda->gpu, KN_GPU_COMPUTE, NULL);
    kn_cuda_stages_done(cuda);
    kn_cuda_slips_done(cuda);
    for (int i = 0; i < KN_CUDA_MARKS; i++)
        kn_gpu_event_free(cuda->gpu, cuda->marks[i]);
    kn_gpu_close(cuda->gpu);
    free(cuda);
}

static const kn_device_ops cuda_ops = {
    .reserve = reserve,
    .unreserve = unreserve,
    .commit = commit,
    .trim = trim,
    .available = available,
    .upload = kn_cuda_upload,
    .download = kn_cuda_download,
    .fill_zero = fill_zero,
    .wait = kn_cuda_wait,
    .raw_matmul = kn_cuda_raw_matmul,
    .weight_bytes = kn_cuda_weight_bytes,
    .weight_new = kn_cuda_weight_new,
    .weight_free = kn_cuda_weight_free,
    .linear_workspace = kn_cuda_linear_workspace,
    .conv_workspace = kn_cuda_conv_workspace,
    .group_norm_workspace = kn_cuda_group_norm_workspace,
    .linear = kn_cuda_linear,
    .conv = kn_cuda_conv,
    .attention = kn_cuda_attention,
    .rms_norm = kn_cuda_rms_norm,
    .layer_norm = kn_cuda_layer_norm,
    .group_norm = kn_cuda_group_norm,
    .rope = kn_cuda_rope,
    .ewise = kn_cuda_ewise,
    .copy = kn_cuda_copy,
    .permute = kn_cuda_permute,
    .concat = kn_cuda_concat,
    .slice = kn_cuda_slice,
    .repeat_channels = kn_cuda_repeat_channels,
    .mean_channels = kn_cuda_mean_channels,
    .close = close_device,
};

/* ---- opening ---- */

static void describe(kn_cuda *cuda, int index, const kn_gpu_info *info)
{
    kn_device *dev = &cuda->dev;
    snprintf(dev->name, sizeof dev->name, "cuda:%d", index);
    snprintf(dev->description, sizeof dev->description, "%s, %.1f GB, sm_%d%d", info->name,
             (double)info->mem_total_bytes / 1e9, info->major, info->minor);
    snprintf(dev->packing, sizeof dev->packing, "%s", info->versions);
    dev->has_bf16 = dev->has_int8 = dev->has_own_memory = true;
    dev->n_visitors = 2;
    dev->mem_total_bytes = info->mem_total_bytes;
    dev->mem_available_bytes = kn_gpu_available(cuda->gpu);
}

static int make_marks(kn_cuda *cuda, kn_err *err)
{
    for (int i = 0; i < KN_CUDA_MARKS; i++)
        if (!(cuda->marks[i] = kn_gpu_event_new(cuda->gpu)))
            return kn_fail(err, KN_ENOMEM, "no memory for an event");
    return 0;
}

int kn_cuda_device_open(int index, kn_device **ret, kn_err *err)
{
    kn_gpu_info info = {0};
    kn_cuda *cuda = kn_calloc(1, sizeof *cuda);
    if (!cuda)
        return kn_fail(err, KN_ENOMEM, "no memory for a device");
    int rc = kn_gpu_open(index, &cuda->gpu, &info, err);
    if (rc) {
        free(cuda);
        return rc;
    }
    cuda->dev.priv = cuda;
    cuda->dev.ops = &cuda_ops;
    if (info.major < OLDEST_MAJOR)
        rc = kn_fail(err, KN_EDEVICE, "%s is of compute capability %d.%d; expected 8.0 (Ampere) or later",
                     info.name, info.major, info.minor);
    if (!rc)
        rc = make_marks(cuda, err);
    if (!rc)
        rc = kn_cuda_stages_init(cuda, err);
    if (!rc)
        rc = kn_cuda_slips_init(cuda, err);
    if (rc) {
        close_device(&cuda->dev);
        return rc;
    }
    describe(cuda, index, &info);
    *ret = &cuda->dev;
    return 0;
}
