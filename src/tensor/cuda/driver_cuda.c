/* driver.h by CUDA: memory that is mapped page by page, two streams, events.  libcuda itself is loaded, so that the library links
 * where there is no driver. */
#include "tensor/cuda/driver_cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/cuda/kernels.h"

int kn_cuda_check(cudaError_t e, const char *what, kn_err *err)
{
    if (e == cudaSuccess)
        return 0;
    cudaGetLastError(); /* forgets it, so that the next call does not report it */
    int code = e == cudaErrorMemoryAllocation ? KN_ENOMEM : KN_EDEVICE;
    return kn_fail(err, code, "%s: %s (CUDA error %d)", what, cudaGetErrorString(e), (int)e);
}

/* ---- libcuda ---- */

static kn_libcuda lib;
static kn_err lib_err;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static void load_once(void)
{
    static const struct {
        const char *name;
        void **slot;
    } symbols[] = {
#define X(field, name) {name, (void **)&lib.field},
        KN_LIBCUDA_LIST(X)
#undef X
    };
    void *so = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        kn_fail(&lib_err, KN_EDEVICE, "no NVIDIA driver: %s", dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *symbols[i].slot = dlsym(so, symbols[i].name);
        if (!*symbols[i].slot) {
            kn_fail(&lib_err, KN_EDEVICE, "the NVIDIA driver has no %s; expected one for CUDA 11.2 or later",
                    symbols[i].name);
            return;
        }
    }
}

/* ---- opening ---- */

static int describe(int index, kn_gpu_info *ret, kn_err *err)
{
    struct cudaDeviceProp p;
    int driver = 0, runtime = 0;
    int rc = kn_cuda_check(cudaGetDeviceProperties(&p, index), "reading the card's properties", err);
    if (rc)
        return rc;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    *ret = (kn_gpu_info){.major = p.major, .minor = p.minor, .mem_total_bytes = p.totalGlobalMem};
    snprintf(ret->name, sizeof ret->name, "%.95s", p.name);
    snprintf(ret->versions, sizeof ret->versions, "CUDA %d.%d, driver %d.%d, cuBLASLt %zu", runtime / 1000,
             runtime % 1000 / 10, driver / 1000, driver % 1000 / 10, kn_gemm_version());
    if (!kn_k_is_built())
        return kn_fail(err, KN_EDEVICE,
                       "%s is of compute capability %d.%d, for which this library has no code; build it with "
                       "-DCMAKE_CUDA_ARCHITECTURES=%d%d",
                       p.name, p.major, p.minor, p.major, p.minor);
    return 0;
}

static int make_streams(kn_gpu *g, kn_err *err)
{
    cudaMemPool_t pool;
    uint64_t keep = UINT64_MAX;
    int rc = 0;
    for (int i = 0; i < KN_GPU_QUEUES && !rc; i++)
        rc = kn_cuda_check(cudaStreamCreateWithFlags(&g->streams[i], cudaStreamNonBlocking),
                           "making a stream", err);
    if (!rc)
        rc = kn_cuda_check(cudaDeviceGetDefaultMemPool(&pool, g->index), "finding the memory pool", err);
    if (!rc)
        rc = kn_cuda_check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep),
                           "setting up the memory pool", err);
    return rc;
}

static int find_page(kn_gpu *g, kn_err *err)
{
    g->page = (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = g->index}};
    if (lib.granularity(&g->page_bytes, &g->page, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED) != CUDA_SUCCESS ||
        !g->page_bytes)
        return kn_fail(err, KN_EDEVICE, "the card's page size cannot be read");
    return 0;
}

int kn_gpu_open(int index, kn_gpu **ret, kn_gpu_info *ret_info, kn_err *err)
{
    int n = 0;
    pthread_once(&lib_once, load_once);
    if (lib_err.code)
        return kn_fail(err, lib_err.code, "%s", lib_err.msg);
    int rc = kn_cuda_check(cudaGetDeviceCount(&n), "looking for cards", err);
    if (!rc && index >= n)
        rc = kn_fail(err, KN_EDEVICE, "card %d, but there %s %d", index, n == 1 ? "is" : "are", n);
    kn_gpu *g = rc ? NULL : kn_calloc(1, sizeof *g);
    if (!g)
        return rc ? rc : kn_fail(err, KN_ENOMEM, "no memory for a card");
    g->index = index;
    cudaSetDevice(index);
    cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync);
    rc = describe(index, ret_info, err);
    if (!rc)
        rc = make_streams(g, err);
    if (!rc)
        rc = find_page(g, err);
    if (!rc)
        rc = kn_gemm_open(g, err);
    if (rc)
        kn_gpu_close(g);
    else
        *ret = g;
    return rc;
}

void kn_gpu_close(kn_gpu *g)
{
    if (!g)
        return;
    cudaSetDevice(g->index);
    kn_gemm_close(g);
    kn_gpu_trim(g);
    for (int i = 0; i < KN_GPU_QUEUES; i++)
        if (g->streams[i])
            cudaStreamDestroy(g->streams[i]);
    free(g);
}

/* What a thread calls first is for the card it means. */
static void enter(const kn_gpu *g)
{
    cudaSetDevice(g->index);
}

size_t kn_gpu_available(kn_gpu *g)
{
    size_t free_bytes = 0, total_bytes = 0;
    enter(g);
    kn_gpu_trim(g);
    return cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess ? free_bytes : 0;
}

/* ---- memory ---- */

size_t kn_gpu_page_bytes(const kn_gpu *g)
{
    return g->page_bytes;
}

void *kn_gpu_reserve(kn_gpu *g, size_t bytes)
{
    CUdeviceptr p = 0;
    enter(g);
    return lib.reserve(&p, bytes, 0, 0, 0) == CUDA_SUCCESS ? (void *)(uintptr_t)p : NULL;
}

void kn_gpu_unreserve(kn_gpu *g, void *p, size_t bytes)
{
    enter(g);
    lib.unreserve((CUdeviceptr)(uintptr_t)p, bytes);
}

/* The handle is given back at once: the memory stays for as long as it is mapped. */
int kn_gpu_map(kn_gpu *g, void *page, kn_err *err)
{
    CUmemGenericAllocationHandle handle;
    CUmemAccessDesc access = {.location = g->page.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)page;
    enter(g);
    CUresult r = lib.create(&handle, g->page_bytes, &g->page, 0);
    if (r == CUDA_ERROR_OUT_OF_MEMORY) { /* freed weights may hold what is wanted */
        kn_gpu_trim(g);
        r = lib.create(&handle, g->page_bytes, &g->page, 0);
    }
    if (r == CUDA_ERROR_OUT_OF_MEMORY)
        return kn_fail(err, KN_ENOMEM, "the card has no %zu bytes more", g->page_bytes);
    if (r != CUDA_SUCCESS)
        return kn_fail(err, KN_EDEVICE, "making memory: CUDA error %d", (int)r);
    r = lib.map(at, g->page_bytes, 0, handle, 0);
    lib.release(handle);
    if (r == CUDA_SUCCESS && (r = lib.set_access(at, g->page_bytes, &access, 1)) != CUDA_SUCCESS)
        lib.unmap(at, g->page_bytes);
    return r == CUDA_SUCCESS ? 0 : kn_fail(err, KN_EDEVICE, "mapping memory: CUDA error %d", (int)r);
}

void kn_gpu_unmap(kn_gpu *g, void *page)
{
    enter(g);
    lib.unmap((CUdeviceptr)(uintptr_t)page, g->page_bytes);
}

/* In the order of the copies, for which every weight waits; so they are over soon. */
int kn_gpu_alloc(kn_gpu *g, size_t bytes, void **ret, kn_err *err)
{
    void *p = NULL;
    enter(g);
    cudaStream_t copies = g->streams[KN_GPU_COPY];
    int rc = kn_cuda_check(cudaMallocAsync(&p, bytes, copies), "memory for a weight", err);
    if (!rc)
        rc = kn_cuda_check(cudaStreamSynchronize(copies), "memory for a weight", err);
    if (!rc)
        *ret = p;
    return rc;
}

void kn_gpu_free(kn_gpu *g, void *p)
{
    enter(g);
    if (p)
        cudaFreeAsync(p, g->streams[KN_GPU_COPY]);
}

void kn_gpu_trim(kn_gpu *g)
{
    cudaMemPool_t pool;
    enter(g);
    cudaStreamSynchronize(g->streams[KN_GPU_COPY]);
    if (cudaDeviceGetDefaultMemPool(&pool, g->index) == cudaSuccess)
        cudaMemPoolTrimTo(pool, 0);
}

void *kn_gpu_host_alloc(kn_gpu *g, size_t bytes)
{
    void *p = NULL;
    enter(g);
    return cudaHostAlloc(&p, bytes, cudaHostAllocDefault) == cudaSuccess ? p : NULL;
}

void kn_gpu_host_free(kn_gpu *g, void *p)
{
    enter(g);
    if (p)
        cudaFreeHost(p);
}

/* ---- copies ---- */

static int copy(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind,
                kn_err *err)
{
    enter(g);
    return kn_cuda_check(cudaMemcpyAsync(dst, src, bytes, kind, g->streams[q]), "a copy", err);
}

int kn_gpu_upload(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err)
{
    return copy(g, q, dst, src, bytes, cudaMemcpyHostToDevice, err);
}

int kn_gpu_download(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err)
{
    return copy(g, q, dst, src, bytes, cudaMemcpyDeviceToHost, err);
}

int kn_gpu_zero(kn_gpu *g, kn_gpu_queue q, void *dst, size_t bytes, kn_err *err)
{
    enter(g);
    return kn_cuda_check(cudaMemsetAsync(dst, 0, bytes, g->streams[q]), "zeroing memory", err);
}

/* CUDA takes pitches of at most 2^31 - 1 bytes; longer rows are worth a copy each. */
int kn_gpu_copy_rows(kn_gpu *g, kn_gpu_queue q, void *dst, size_t dst_pitch, const void *src,
                     size_t src_pitch, size_t width, size_t height, kn_err *err)
{
    enter(g);
    if (height > 1 && dst_pitch <= INT32_MAX && src_pitch <= INT32_MAX)
        return kn_cuda_check(cudaMemcpy2DAsync(dst, dst_pitch, src, src_pitch, width, height,
                                               cudaMemcpyDeviceToDevice, g->streams[q]),
                             "a copy of rows", err);
    int rc = 0;
    for (size_t i = 0; i < height && !rc; i++)
        rc = copy(g, q, (char *)dst + i * dst_pitch, (const char *)src + i * src_pitch, width,
                  cudaMemcpyDeviceToDevice, err);
    return rc;
}

/* ---- order ---- */

kn_gpu_event *kn_gpu_event_new(kn_gpu *g)
{
    cudaEvent_t e = NULL;
    enter(g);
    cudaError_t rc = cudaEventCreateWithFlags(&e, cudaEventDisableTiming | cudaEventBlockingSync);
    return rc == cudaSuccess ? (kn_gpu_event *)e : NULL;
}

void kn_gpu_event_free(kn_gpu *g, kn_gpu_event *e)
{
    enter(g);
    if (e)
        cudaEventDestroy((cudaEvent_t)e);
}

int kn_gpu_event_record(kn_gpu *g, kn_gpu_queue q, kn_gpu_event *e, kn_err *err)
{
    enter(g);
    return kn_cuda_check(cudaEventRecord((cudaEvent_t)e, g->streams[q]), "recording an event", err);
}

int kn_gpu_event_wait(kn_gpu *g, kn_gpu_event *e, kn_err *err)
{
    enter(g);
    return kn_cuda_check(cudaEventSynchronize((cudaEvent_t)e), "waiting for the card", err);
}

int kn_gpu_wait(kn_gpu *g, kn_gpu_queue q, kn_err *err)
{
    enter(g);
    return kn_cuda_check(cudaStreamSynchronize(g->streams[q]), "waiting for the card", err);
}

void *kn_gpu_stream(kn_gpu *g, kn_gpu_queue q)
{
    enter(g);
    return (void *)g->streams[q];
}

int kn_gpu_launched(kn_gpu *g, const char *what, kn_err *err)
{
    (void)g;
    return kn_cuda_check(cudaGetLastError(), what, err);
}
