/* Copies between host and card in the order of the operations. */
#include <string.h>

#include "tensor/cuda/cuda_device.h"

/* All slips together hold the small parameters of two blocks of a 14B model. */
enum { SLIP_BYTES = 256 << 10 };

int kn_cuda_slips_init(kn_cuda *cuda, kn_err *err)
{
    for (int i = 0; i < KN_CUDA_SLIPS; i++) {
        kn_cuda_slip *s = &cuda->slips[i];
        s->host = kn_gpu_host_alloc(cuda->gpu, SLIP_BYTES);
        s->done = kn_gpu_event_new(cuda->gpu);
        if (!s->host || !s->done)
            return kn_fail(err, KN_ENOMEM, "no pinned memory of %d bytes for copies", SLIP_BYTES);
    }
    return 0;
}

void kn_cuda_slips_done(kn_cuda *cuda)
{
    for (int i = 0; i < KN_CUDA_SLIPS; i++) {
        kn_gpu_host_free(cuda->gpu, cuda->slips[i].host);
        kn_gpu_event_free(cuda->gpu, cuda->slips[i].done);
    }
}

static int send_slip(kn_cuda *cuda, void *dst, const void *src, size_t bytes, kn_err *err)
{
    kn_cuda_slip *s = &cuda->slips[cuda->next_slip];
    cuda->next_slip = (cuda->next_slip + 1) % KN_CUDA_SLIPS;
    int rc = kn_gpu_event_wait(cuda->gpu, s->done, err);
    if (rc)
        return rc;
    memcpy(s->host, src, bytes);
    rc = kn_gpu_upload(cuda->gpu, KN_GPU_COMPUTE, dst, s->host, bytes, err);
    return rc ? rc : kn_gpu_event_record(cuda->gpu, KN_GPU_COMPUTE, s->done, err);
}

int kn_cuda_upload(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    for (size_t i = 0; i < bytes; i += SLIP_BYTES) {
        size_t n = bytes - i < SLIP_BYTES ? bytes - i : SLIP_BYTES;
        int rc = send_slip(kn_cuda_of(dev), (char *)dst + i, (const char *)src + i, n, err);
        if (rc)
            return rc;
    }
    return 0;
}

int kn_cuda_download(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    kn_gpu *gpu = kn_cuda_of(dev)->gpu;
    int rc = kn_gpu_download(gpu, KN_GPU_COMPUTE, dst, src, bytes, err);
    return rc ? rc : kn_cuda_wait(dev, err);
}
