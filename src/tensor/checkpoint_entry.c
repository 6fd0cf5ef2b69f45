/* One entry: its size, its place in the file, and its values. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/checkpoint_priv.h"
#include "tensor/dequant.h"

int64_t kn_ck_numel(int n_dims, const int64_t *dims)
{
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n))
            return -1;
    return n;
}

int64_t kn_entry_numel(const kn_entry *e)
{
    return kn_ck_numel(e->n_dims, e->dims);
}

static int compare_place(const void *a, const void *b)
{
    const kn_entry *x = *(const kn_entry *const *)a, *y = *(const kn_entry *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

int kn_ck_check_overlaps(const kn_checkpoint *ck, int first, kn_err *err)
{
    int n = 0, rc = 0;
    const kn_entry **sorted = kn_calloc((size_t)(ck->n_entries - first), sizeof *sorted);
    if (!sorted)
        return kn_fail(err, KN_ENOMEM, "no memory to check %s", ck->path);
    for (int i = first; i < ck->n_entries; i++)
        if (ck->entries[i]->bytes)
            sorted[n++] = ck->entries[i];
    qsort(sorted, (size_t)n, sizeof *sorted, compare_place);
    for (int i = 1; i < n && !rc; i++) {
        const kn_entry *a = sorted[i - 1], *b = sorted[i];
        if ((size_t)((const char *)b->data - (const char *)a->data) < a->bytes)
            rc = kn_fail(err, KN_EFORMAT, "%s: the data of tensors %.120s and %.120s overlap", a->file,
                         a->name, b->name);
    }
    free(sorted);
    return rc;
}

void kn_ck_prefetch(const kn_checkpoint *ck, const kn_entry *e)
{
    if (ck->maps && e->data)
        kn_map_prefetch(e->data, e->bytes);
}

void kn_ck_release(const kn_checkpoint *ck, const kn_entry *e)
{
    if (ck->maps && e->data) /* giving back pages that are not a file's would lose their content */
        kn_map_release(e->data, e->bytes);
}

/* ---- values ---- */

static void decode(kn_dtype t, const void *src, float *dst, int64_t n)
{
    if (kn_dtype_block(t) > 1)
        kn_dequant_block_row(t, src, dst, n);
    else
        kn_dtype_to_f32(t, src, dst, n);
}

/* Multiplies elements [begin, begin + n) of a tensor by its scale: one number, or one an outermost index. */
static void apply_scale(const kn_entry *e, int64_t begin, int64_t n, float *dst)
{
    int64_t n_scales = kn_entry_numel(e->scale), row = kn_entry_numel(e) / n_scales;
    size_t size = kn_dtype_bytes(e->scale->dtype, 1);
    for (int64_t i = begin; i < begin + n;) {
        int64_t r = i / row, end = (r + 1) * row < begin + n ? (r + 1) * row : begin + n;
        float s;
        decode(e->scale->dtype, (const char *)e->scale->data + (size_t)r * size, &s, 1);
        for (; i < end; i++)
            dst[i - begin] *= s;
    }
}

void kn_ck_decode(const kn_entry *e, int64_t begin, int64_t n, float *dst)
{
    if (n <= 0)
        return;
    decode(e->dtype, (const char *)e->data + kn_dtype_bytes(e->dtype, begin), dst, n);
    if (e->scale)
        apply_scale(e, begin, n, dst);
}

typedef struct decode_job {
    const kn_entry *e;
    float *dst;
} decode_job;

static void decode_range(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const decode_job *job = arg;
    kn_ck_decode(job->e, begin, end - begin, job->dst + begin);
}

int kn_entry_to_f32(const kn_entry *e, float *dst, kn_err *err)
{
    if (!e->data)
        return kn_fail(err, KN_EINVAL, "tensor %.200s has no data", e->name);
    decode_job job = {e, dst};
    enum { GRAIN = 16384 }; /* a multiple of every block; 64 KiB of floats are worth a thread's start */
    kn_parallel_for(kn_entry_numel(e), GRAIN, decode_range, &job);
    return 0;
}
