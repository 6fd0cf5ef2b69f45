/* driver.h on the host: memory is malloc's, queues run at once, products are loops.
 *
 * What a card would punish is checked: pages that are used without memory fault, and what is freed is overwritten. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "tensor/cuda/driver.h"

enum { PAGE = 2 << 20 };

struct kn_gpu {
    size_t n_bytes; /* mapped and allocated */
    int queues[KN_GPU_QUEUES];
};

struct kn_gpu_event {
    int recorded;
};

/* Memory of the card. */
static size_t most_bytes(void)
{
    const char *given = getenv("KINORA_TEST_CARD_BYTES");
    return given ? (size_t)strtoull(given, NULL, 10) : (size_t)1 << 34;
}

int kn_gpu_open(int index, kn_gpu **ret, kn_gpu_info *info, kn_err *err)
{
    if (index != 0)
        return kn_fail(err, KN_EDEVICE, "card %d, but there is 1", index);
    *ret = kn_calloc(1, sizeof **ret);
    if (!*ret)
        return kn_fail(err, KN_ENOMEM, "no memory for a card");
    *info = (kn_gpu_info){.major = 8, .mem_total_bytes = most_bytes()};
    snprintf(info->name, sizeof info->name, "a card that is none");
    return 0;
}

void kn_gpu_close(kn_gpu *g)
{
    KN_ASSERT(!g->n_bytes); /* everything was given back */
    free(g);
}

size_t kn_gpu_available(kn_gpu *g)
{
    return most_bytes() - g->n_bytes;
}

size_t kn_gpu_page_bytes(const kn_gpu *g)
{
    (void)g;
    return PAGE;
}

void *kn_gpu_reserve(kn_gpu *g, size_t bytes)
{
    (void)g;
    KN_ASSERT(bytes % PAGE == 0);
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void kn_gpu_unreserve(kn_gpu *g, void *p, size_t bytes)
{
    (void)g;
    munmap(p, bytes);
}

static int take(kn_gpu *g, size_t bytes, kn_err *err)
{
    if (bytes > most_bytes() - g->n_bytes)
        return kn_fail(err, KN_ENOMEM, "%zu bytes, but the card has %zu", bytes, most_bytes() - g->n_bytes);
    g->n_bytes += bytes;
    return 0;
}

int kn_gpu_map(kn_gpu *g, void *page, kn_err *err)
{
    int rc = take(g, PAGE, err);
    if (!rc)
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    return rc;
}

void kn_gpu_unmap(kn_gpu *g, void *page)
{
    madvise(page, PAGE, MADV_DONTNEED);
    mprotect(page, PAGE, PROT_NONE);
    g->n_bytes -= PAGE;
}

/* The size lies before the block. */
int kn_gpu_alloc(kn_gpu *g, size_t bytes, void **ret, kn_err *err)
{
    int rc = take(g, bytes, err);
    if (rc)
        return rc;
    char *p = aligned_alloc(256, 256 + (bytes + 255) / 256 * 256);
    KN_ASSERT(p);
    memcpy(p, &bytes, sizeof bytes);
    memset(p + 256, 0xff, bytes);
    *ret = p + 256;
    return 0;
}

void kn_gpu_free(kn_gpu *g, void *p)
{
    if (!p)
        return;
    size_t bytes;
    memcpy(&bytes, (char *)p - 256, sizeof bytes);
    memset(p, 0xff, bytes);
    g->n_bytes -= bytes;
    free((char *)p - 256);
}

void kn_gpu_trim(kn_gpu *g)
{
    (void)g;
}

void *kn_gpu_host_alloc(kn_gpu *g, size_t bytes)
{
    (void)g;
    return malloc(bytes);
}

void kn_gpu_host_free(kn_gpu *g, void *p)
{
    (void)g;
    free(p);
}

/* ---- copies ---- */

int kn_gpu_upload(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err)
{
    (void)g, (void)q, (void)err;
    memcpy(dst, src, bytes);
    return 0;
}

int kn_gpu_download(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err)
{
    return kn_gpu_upload(g, q, dst, src, bytes, err);
}

int kn_gpu_zero(kn_gpu *g, kn_gpu_queue q, void *dst, size_t bytes, kn_err *err)
{
    (void)g, (void)q, (void)err;
    memset(dst, 0, bytes);
    return 0;
}

int kn_gpu_copy_rows(kn_gpu *g, kn_gpu_queue q, void *dst, size_t dst_pitch, const void *src,
                     size_t src_pitch, size_t width, size_t height, kn_err *err)
{
    (void)g, (void)q, (void)err;
    KN_ASSERT(width <= dst_pitch && width <= src_pitch);
    for (size_t i = 0; i < height; i++)
        memcpy((char *)dst + i * dst_pitch, (const char *)src + i * src_pitch, width);
    return 0;
}

/* ---- order ---- */

kn_gpu_event *kn_gpu_event_new(kn_gpu *g)
{
    (void)g;
    return kn_calloc(1, sizeof(kn_gpu_event));
}

void kn_gpu_event_free(kn_gpu *g, kn_gpu_event *e)
{
    (void)g;
    free(e);
}

int kn_gpu_event_record(kn_gpu *g, kn_gpu_queue q, kn_gpu_event *e, kn_err *err)
{
    (void)g, (void)q, (void)err;
    e->recorded++;
    return 0;
}

int kn_gpu_event_wait(kn_gpu *g, kn_gpu_event *e, kn_err *err)
{
    (void)g, (void)e, (void)err;
    return 0;
}

int kn_gpu_wait(kn_gpu *g, kn_gpu_queue q, kn_err *err)
{
    (void)g, (void)q, (void)err;
    return 0;
}

void *kn_gpu_stream(kn_gpu *g, kn_gpu_queue q)
{
    return &g->queues[q];
}

int kn_gpu_launched(kn_gpu *g, const char *what, kn_err *err)
{
    (void)g, (void)what, (void)err;
    return 0;
}

/* ---- matrix products ---- */

static double value(const void *p, kn_dtype type, int64_t i)
{
    switch (type) {
    case KN_BF16:
        return (double)kn_bf16_to_f32(((const uint16_t *)p)[i]);
    case KN_I8:
        return ((const int8_t *)p)[i];
    default:
        return (double)((const float *)p)[i];
    }
}

static void write(void *p, kn_dtype type, int64_t i, double v)
{
    if (type == KN_BF16)
        ((uint16_t *)p)[i] = kn_f32_to_bf16((float)v);
    else if (type == KN_I32)
        ((int32_t *)p)[i] = (int32_t)v;
    else
        ((float *)p)[i] = (float)v;
}

static double finish(const kn_gpu_gemm *a, double v, int64_t row, int64_t column)
{
    if (a->bias)
        v += value(a->bias, a->out_type, column);
    if (a->gelu_tanh)
        v = 0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    return a->accumulate ? v + value(a->out, a->out_type, row * a->n + column) : v;
}

static void check_gemm(const kn_gpu_gemm *a)
{
    bool is_int8 = a->type == KN_I8;
    KN_ASSERT(is_int8 ? a->out_type == KN_I32 && a->stride % 16 == 0 && !a->bias : a->out_type != KN_I32);
    KN_ASSERT(!a->gelu_tanh || a->out_type == KN_BF16);
    KN_ASSERT(!a->accumulate || a->out_type == KN_F32);
    KN_ASSERT(a->stride >= a->k);
}

int kn_gpu_gemm_run(kn_gpu *g, const kn_gpu_gemm *a, kn_err *err)
{
    (void)g, (void)err;
    check_gemm(a);
#pragma omp parallel for
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < a->n; j++) {
            double s = 0;
            for (int64_t k = 0; k < a->k; k++)
                s += value(a->x, a->type, i * a->stride + k) * value(a->w, a->type, j * a->stride + k);
            write(a->out, a->out_type, i * a->n + j, finish(a, s, i, j));
        }
    return 0;
}
