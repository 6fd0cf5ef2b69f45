#include "tensor/cpu/kernels.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"

/* Keys scored before their weights are applied. */
enum { BLOCK = 64 };
/* Largest head size. */
enum { HEAD_MAX = 512 };

typedef struct task {
    const kn_attention_args *a;
    int64_t nq, nk, head_size;
    atomic_bool cancelled;
} task;

static float elem(kn_tensor t, int64_t i)
{
    return t.dtype == KN_BF16 ? kn_bf16_to_f32(((const uint16_t *)t.data)[i]) : ((const float *)t.data)[i];
}

static float bias_at(const task *t, int64_t head, int64_t q, int64_t k)
{
    const kn_attention_opts *o = &t->a->opts;
    float b = 0;
    if (o->bias.data) {
        int64_t h = kn_numel(o->bias) == t->nq * t->nk ? 0 : head;
        b += ((const float *)o->bias.data)[(h * t->nq + q) * t->nk + k];
    }
    if (o->rel_bias.data) {
        int64_t n = o->rel_bias.dims[o->rel_bias.n_dims - 1], r = n / 2, d = k - q;
        d = d < -r ? -r : d > r ? r : d;
        b += ((const float *)o->rel_bias.data)[head * n + d + r];
    }
    return b;
}

static void one_query(const task *t, int64_t batch, int64_t head, int64_t qi)
{
    const kn_attention_args *a = t->a;
    int64_t d = t->head_size, kv_head = head / (a->n_heads / a->n_kv_heads);
    int64_t q_at = ((batch * t->nq + qi) * a->n_heads + head) * d;
    int64_t n = a->opts.causal ? qi + 1 + t->nk - t->nq : t->nk;
    float acc[HEAD_MAX] = {0}, q[HEAD_MAX], s[BLOCK], max = -INFINITY, sum = 0;
    for (int64_t c = 0; c < d; c++)
        q[c] = elem(a->q, q_at + c) * a->opts.scale;
    for (int64_t k0 = 0; k0 < n; k0 += BLOCK) {
        int64_t m = n - k0 < BLOCK ? n - k0 : BLOCK;
        float block_max = max;
        for (int64_t k = 0; k < m; k++) {
            int64_t at = ((batch * t->nk + k0 + k) * a->n_kv_heads + kv_head) * d;
            float dot = 0;
            for (int64_t c = 0; c < d; c++)
                dot += q[c] * elem(a->k, at + c);
            s[k] = dot + bias_at(t, head, qi, k0 + k);
            block_max = s[k] > block_max ? s[k] : block_max;
        }
        if (block_max == -INFINITY)
            continue;
        float rescale = expf(max - block_max);
        max = block_max;
        sum *= rescale;
        for (int64_t c = 0; c < d; c++)
            acc[c] *= rescale;
        for (int64_t k = 0; k < m; k++) {
            int64_t at = ((batch * t->nk + k0 + k) * a->n_kv_heads + kv_head) * d;
            float p = expf(s[k] - max);
            sum += p;
            for (int64_t c = 0; c < d; c++)
                acc[c] += p * elem(a->v, at + c);
        }
    }
    for (int64_t c = 0; c < d; c++) {
        float y = sum > 0 ? acc[c] / sum : 0.0f;
        if (a->out.dtype == KN_BF16)
            ((uint16_t *)a->out.data)[q_at + c] = kn_f32_to_bf16(y);
        else
            ((float *)a->out.data)[q_at + c] = y;
    }
}

static void run(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    task *t = arg;
    for (int64_t i = begin; i < end; i++) {
        if (i % BLOCK == 0 && t->a->cancel && atomic_load(t->a->cancel))
            atomic_store(&t->cancelled, true);
        if (atomic_load(&t->cancelled))
            return;
        int64_t head = i / t->nq % t->a->n_heads, batch = i / t->nq / t->a->n_heads;
        one_query(t, batch, head, i % t->nq);
    }
}

size_t kn_cpu_attention_workspace(kn_device *dev, const kn_attention_args *a)
{
    (void)dev;
    (void)a;
    return 0;
}

int kn_cpu_attention(kn_device *dev, const kn_attention_args *a, kn_err *err)
{
    (void)dev;
    int n_dims = a->q.n_dims;
    task t = {.a = a, .nq = a->q.dims[n_dims - 2], .nk = a->k.dims[n_dims - 2]};
    t.head_size = a->q.dims[n_dims - 1] / a->n_heads;
    int64_t batch = n_dims == 3 ? a->q.dims[0] : 1;
    if (t.head_size > HEAD_MAX)
        return kn_fail(err, KN_EUNSUPPORTED, "attention head size %lld: at most %d", (long long)t.head_size,
                       (int)HEAD_MAX);
    kn_parallel_for(batch * a->n_heads * t.nq, 1, run, &t);
    if (atomic_load(&t.cancelled))
        return kn_fail(err, KN_ECANCELLED, "cancelled");
    return 0;
}
