/* Weights: from host memory, piece by piece, through pinned memory onto the card, and there into type and layout. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/cuda/cuda_device.h"

/* A piece: long enough for full speed on the bus, short enough to keep two on both sides. */
enum { STAGE_BYTES = 16 << 20 };

int kn_cuda_stages_init(kn_cuda *cuda, kn_err *err)
{
    pthread_mutex_init(&cuda->stage_lock, NULL);
    for (int i = 0; i < KN_CUDA_STAGES; i++) {
        kn_cuda_stage *s = &cuda->stages[i];
        s->host = kn_gpu_host_alloc(cuda->gpu, STAGE_BYTES);
        s->done = kn_gpu_event_new(cuda->gpu);
        if (!s->host || !s->done)
            return kn_fail(err, KN_ENOMEM, "no pinned memory of %d bytes for copies", STAGE_BYTES);
        int rc = kn_gpu_alloc(cuda->gpu, STAGE_BYTES, &s->raw, err);
        if (rc)
            return rc;
    }
    return 0;
}

void kn_cuda_stages_done(kn_cuda *cuda)
{
    kn_gpu_wait(cuda->gpu, KN_GPU_COPY, NULL);
    for (int i = 0; i < KN_CUDA_STAGES; i++) {
        kn_gpu_free(cuda->gpu, cuda->stages[i].raw);
        kn_gpu_host_free(cuda->gpu, cuda->stages[i].host);
        kn_gpu_event_free(cuda->gpu, cuda->stages[i].done);
    }
    pthread_mutex_destroy(&cuda->stage_lock);
}

typedef struct layout {
    int64_t n_out, n_in, taps;
    int64_t stride;                           /* elements of a row on the card */
    size_t data, bias, bias_bf16, col_scales; /* bytes of the parts */
} layout;

static layout lay_out(const kn_weight_spec *spec)
{
    layout l = {.n_out = spec->dims[0], .n_in = spec->dims[1], .taps = 1};
    if (spec->kind == KN_WEIGHT_CONV)
        l.taps = spec->dims[2] * spec->dims[3] * spec->dims[4];
    l.stride = kn_cuda_row_stride(spec->dtype, l.n_in * l.taps);
    l.data = kn_cuda_align(kn_dtype_bytes(spec->dtype, l.n_out * l.stride));
    l.bias = spec->bias ? kn_cuda_align((size_t)l.n_out * sizeof(float)) : 0;
    l.bias_bf16 = spec->bias ? kn_cuda_align((size_t)l.n_out * 2) : 0;
    l.col_scales = spec->dtype == KN_I8 ? kn_cuda_align((size_t)l.n_out * sizeof(float)) : 0;
    return l;
}

static size_t block_bytes(const layout *l)
{
    return l->data + l->bias + l->bias_bf16 + l->col_scales;
}

size_t kn_cuda_weight_bytes(kn_device *dev, const kn_weight_spec *spec)
{
    (void)dev;
    layout l = lay_out(spec);
    return block_bytes(&l);
}

/* Rows [first, first + n) of the source, which lie in `raw` on the card, into the weight. */
static void place_rows(kn_cuda *cuda, const kn_weight_spec *spec, const layout *l, kn_cuda_weight *w,
                       const void *raw, kn_dtype type, int64_t first, int64_t n)
{
    void *stream = kn_gpu_stream(cuda->gpu, KN_GPU_COPY);
    char *to = (char *)w->data + kn_dtype_bytes(spec->dtype, first * l->stride);
    if (spec->dtype == KN_I8)
        kn_k_quantize(raw, kn_cuda_type(type), n, (int)l->n_in, (int8_t *)to, l->stride,
                      w->col_scales + first, stream);
    else
        kn_k_relayout(to, spec->dtype == KN_BF16, raw, kn_cuda_type(type), n, l->n_in, (int)l->taps, stream);
}

static int send_piece(kn_cuda *cuda, const void *data, size_t bytes, kn_cuda_stage **ret, kn_err *err)
{
    kn_cuda_stage *s = &cuda->stages[cuda->next_stage];
    cuda->next_stage = (cuda->next_stage + 1) % KN_CUDA_STAGES;
    int rc = kn_gpu_event_wait(cuda->gpu, s->done, err);
    if (rc)
        return rc;
    memcpy(s->host, data, bytes);
    *ret = s;
    return kn_gpu_upload(cuda->gpu, KN_GPU_COPY, s->raw, s->host, bytes, err);
}

static int send_rows(kn_cuda *cuda, const kn_weight_spec *spec, const layout *l, kn_cuda_weight *w,
                     const kn_weight_src *src, kn_err *err)
{
    size_t row_bytes = kn_dtype_bytes(src->dtype, l->n_in * l->taps);
    if (row_bytes > STAGE_BYTES)
        return kn_fail(err, KN_EUNSUPPORTED, "a weight's row of %zu bytes, expected at most %d", row_bytes,
                       STAGE_BYTES);
    int64_t at_once = (int64_t)(STAGE_BYTES / row_bytes);
    int rc = 0;
    for (int64_t i = 0; !rc && i < l->n_out; i += at_once) {
        int64_t n = l->n_out - i < at_once ? l->n_out - i : at_once;
        kn_cuda_stage *s = NULL;
        rc =
            send_piece(cuda, (const char *)src->data + (size_t)i * row_bytes, (size_t)n * row_bytes, &s, err);
        if (rc)
            return rc;
        place_rows(cuda, spec, l, w, s->raw, src->dtype, i, n);
        rc = kn_gpu_launched(cuda->gpu, "weight", err);
        if (!rc)
            rc = kn_gpu_event_record(cuda->gpu, KN_GPU_COPY, s->done, err);
    }
    return rc;
}

static int send_bias(kn_cuda *cuda, const layout *l, kn_cuda_weight *w, const float *bias, kn_err *err)
{
    kn_cuda_stage *s = NULL;
    size_t bytes = (size_t)l->n_out * sizeof *bias;
    if (!w->bias)
        return 0;
    if (bytes > STAGE_BYTES)
        return kn_fail(err, KN_EUNSUPPORTED, "a bias of %zu bytes, expected at most %d", bytes, STAGE_BYTES);
    int rc = send_piece(cuda, bias, bytes, &s, err);
    if (rc)
        return rc;
    void *stream = kn_gpu_stream(cuda->gpu, KN_GPU_COPY);
    kn_k_convert(w->bias, 0, s->raw, KN_K_F32, l->n_out, stream);
    kn_k_convert(w->bias_bf16, 1, s->raw, KN_K_F32, l->n_out, stream);
    rc = kn_gpu_launched(cuda->gpu, "bias", err);
    return rc ? rc : kn_gpu_event_record(cuda->gpu, KN_GPU_COPY, s->done, err);
}

static void weight_done(kn_cuda *cuda, kn_cuda_weight *w)
{
    if (!w)
        return;
    if (w->used)
        kn_gpu_event_wait(cuda->gpu, w->used, NULL);
    kn_gpu_event_free(cuda->gpu, w->used);
    kn_gpu_free(cuda->gpu, w->block);
    free(w);
}

static int make_block(kn_cuda *cuda, const layout *l, kn_cuda_weight *w, kn_err *err)
{
    void *block = NULL;
    int rc = kn_gpu_alloc(cuda->gpu, block_bytes(l), &block, err);
    if (rc)
        return rc;
    w->block = w->data = block;
    w->stride = l->stride;
    w->bias = l->bias ? (float *)(void *)(w->block + l->data) : NULL;
    w->bias_bf16 = l->bias ? w->block + l->data + l->bias : NULL;
    w->col_scales = l->col_scales ? (float *)(void *)(w->block + l->data + l->bias + l->bias_bf16) : NULL;
    return 0;
}

int kn_cuda_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight *ret,
                       kn_err *err)
{
    kn_cuda *cuda = kn_cuda_of(dev);
    layout l = lay_out(spec);
    kn_cuda_weight *w = kn_calloc(1, sizeof *w);
    if (!w)
        return kn_fail(err, KN_ENOMEM, "no memory for a weight");
    int rc = make_block(cuda, &l, w, err);
    if (!rc && !(w->used = kn_gpu_event_new(cuda->gpu)))
        rc = kn_fail(err, KN_ENOMEM, "no memory for an event");
    pthread_mutex_lock(&cuda->stage_lock);
    if (!rc)
        rc = send_rows(cuda, spec, &l, w, src, err);
    if (!rc)
        rc = send_bias(cuda, &l, w, src->bias, err);
    if (!rc)
        rc = kn_gpu_wait(cuda->gpu, KN_GPU_COPY, err);
    pthread_mutex_unlock(&cuda->stage_lock);
    if (rc) {
        kn_gpu_wait(cuda->gpu, KN_GPU_COPY, NULL);
        weight_done(cuda, w);
        return rc;
    }
    ret->priv = w;
    return 0;
}

void kn_cuda_weight_free(kn_device *dev, kn_weight *w)
{
    weight_done(kn_cuda_of(dev), w->priv);
    w->priv = NULL;
}

int kn_cuda_weight_used(kn_device *dev, const kn_weight *w, kn_err *err)
{
    kn_cuda_weight *cw = w->priv;
    return kn_gpu_event_record(kn_cuda_of(dev)->gpu, KN_GPU_COMPUTE, cw->used, err);
}
