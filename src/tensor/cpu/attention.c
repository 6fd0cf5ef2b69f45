#include "tensor/cpu/kernels.h"

#include "base/parallel.h"
#include "tensor/cpu/attention_kernels.h"

/* Bytes of a cache line: what threads write lies apart. */
enum { LINE = 64 };
/* Blocks of queries a thread should find in a round, so that the last ones do not leave threads waiting. */
enum { BLOCKS_PER_THREAD = 8 };
/* A round may pack this much: rounds end with all threads waiting for the last, so there should be few. */
enum { ROUND_BYTES = 8 << 20 };
/* Products that are worth another thread. */
enum { GRAIN_PRODUCTS = 1 << 20 };

/* How the work is cut: a pure function of shapes, types, the device and the thread count. */
typedef struct plan {
    kn_attention_shape shape;
    const kn_attention_kernels *kernels;
    int n_threads;
    int64_t n_units;         /* (batch, kv head) pairs: each is packed once */
    int64_t units_per_round; /* packed at the same time */
    int64_t heads_per_unit;
    int64_t n_vectors, n_blocks; /* of the queries of a head */
    int64_t n_key_blocks;
    size_t k_bytes, v_bytes; /* of a packed unit */
    size_t scratch_bytes;    /* of a thread */
} plan;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static size_t lines(int64_t n_words)
{
    return ((size_t)n_words * sizeof(float) + LINE - 1) / LINE * LINE;
}

static const kn_attention_kernels *pick(const kn_device *dev, const kn_attention_args *a)
{
    kn_cpu_isa isa = kn_cpu_isa_of(dev);
#if defined __x86_64__
    if (isa == KN_ISA_AVX512_BF16 && a->q.dtype == KN_BF16)
        return &kn_attention_kernels_avx512bf16;
#else
    (void)a;
#endif
    return KN_PICK_KERNELS(kn_attention_kernels, isa);
}

static size_t scratch_sizes(const plan *p, size_t sizes[7])
{
    int64_t queries = (int64_t)p->kernels->lanes * p->kernels->block_lanes;
    sizes[0] = lines(p->shape.head_words * queries);
    sizes[1] = lines(KN_ATTENTION_KEYS * queries);
    sizes[2] = lines(KN_ATTENTION_KEYS / p->kernels->pair * queries);
    sizes[3] = lines(p->shape.v_channels * queries);
    sizes[4] = sizes[5] = sizes[6] = lines(queries);
    size_t total = 0;
    for (int i = 0; i < 7; i++)
        total += sizes[i];
    return total;
}

static plan make_plan(const kn_device *dev, const kn_attention_args *a)
{
    const kn_attention_kernels *k = pick(dev, a);
    plan p = {.kernels = k, .n_threads = kn_parallel_threads()};
    kn_attention_shape *s = &p.shape;
    s->args = a;
    s->nq = a->q.dims[1];
    s->nk = a->k.dims[1];
    s->head_size = a->q.dims[2] / a->n_heads;
    s->head_words = ceil_div(s->head_size, k->pair);
    s->v_channels = ceil_div(s->head_size, k->panel) * k->panel;
    s->nk_padded = ceil_div(s->nk, k->panel) * k->panel;
    p.n_units = a->q.dims[0] * a->n_kv_heads;
    p.heads_per_unit = a->n_heads / a->n_kv_heads;
    p.n_vectors = ceil_div(s->nq, k->lanes);
    p.n_blocks = ceil_div(p.n_vectors, k->block_lanes);
    p.n_key_blocks = ceil_div(s->nk, KN_ATTENTION_KEYS);
    p.k_bytes = lines(s->nk_padded * s->head_words);
    p.v_bytes = lines(s->nk_padded / k->pair * s->v_channels);
    int64_t want = ceil_div((int64_t)BLOCKS_PER_THREAD * p.n_threads, p.n_blocks * p.heads_per_unit);
    int64_t fit = (int64_t)(ROUND_BYTES / (p.k_bytes + p.v_bytes));
    want = want > fit ? want : fit;
    p.units_per_round = want < p.n_units ? want : p.n_units;
    size_t sizes[7];
    p.scratch_bytes = scratch_sizes(&p, sizes);
    return p;
}

size_t kn_cpu_attention_workspace(kn_device *dev, const kn_attention_args *a)
{
    plan p = make_plan(dev, a);
    return (size_t)p.units_per_round * (p.k_bytes + p.v_bytes) + (size_t)p.n_threads * p.scratch_bytes + LINE;
}

/* ---- rounds: pack some heads, then attend with them ---- */

typedef struct round {
    const plan *plan;
    char *packed, *scratch;
    int64_t first_unit, n_units;
    atomic_llong
        next; /* blocks are taken in order by whichever thread is free; one thread computes a block */
    atomic_bool cancelled;
} round;

static float *packed_k(const round *r, int64_t unit)
{
    return (float *)(r->packed + (size_t)unit * (r->plan->k_bytes + r->plan->v_bytes));
}

static float *packed_v(const round *r, int64_t unit)
{
    return packed_k(r, unit) + r->plan->k_bytes / sizeof(float);
}

static void pack_some(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)begin;
    (void)end;
    (void)thread;
    round *r = arg;
    const plan *p = r->plan;
    int n_kv = p->shape.args->n_kv_heads;
    int64_t n = r->n_units * p->n_key_blocks, i;
    while ((i = atomic_fetch_add(&r->next, 1)) < n) {
        int64_t local = i / p->n_key_blocks, unit = r->first_unit + local;
        p->kernels->pack(&p->shape, unit / n_kv, unit % n_kv, i % p->n_key_blocks, packed_k(r, local),
                         packed_v(r, local));
    }
}

static kn_attention_scratch thread_scratch(const round *r, int thread)
{
    size_t sizes[7];
    scratch_sizes(r->plan, sizes);
    float *at[7], *next = (float *)(r->scratch + (size_t)thread * r->plan->scratch_bytes);
    for (int i = 0; i < 7; i++) {
        at[i] = next;
        next += sizes[i] / sizeof(float);
    }
    return (kn_attention_scratch){at[0], at[1], at[2], at[3], at[4], at[5], at[6]};
}

/* Later blocks first: with a causal mask they are the longest. */
static void attend_block(const round *r, int64_t i, const kn_attention_scratch *scratch)
{
    const plan *p = r->plan;
    int n_kv = p->shape.args->n_kv_heads;
    int64_t block = p->n_blocks - 1 - i % p->n_blocks, which = i / p->n_blocks;
    int64_t local = which / p->heads_per_unit, unit = r->first_unit + local;
    int64_t head = unit % n_kv * p->heads_per_unit + which % p->heads_per_unit;
    int64_t first = p->n_vectors * block / p->n_blocks, end = p->n_vectors * (block + 1) / p->n_blocks;
    p->kernels->run(&p->shape, unit / n_kv, head, first * p->kernels->lanes, (int)(end - first),
                    packed_k(r, local), packed_v(r, local), scratch);
}

static int64_t round_blocks(const round *r)
{
    return r->n_units * r->plan->heads_per_unit * r->plan->n_blocks;
}

/* Threads worth starting for a round. */
static int64_t round_threads(const round *r)
{
    const kn_attention_shape *s = &r->plan->shape;
    int64_t products = round_blocks(r) * s->nk * s->head_size * r->plan->kernels->lanes;
    int64_t n = products / GRAIN_PRODUCTS + 1;
    return n < r->plan->n_threads ? n : r->plan->n_threads;
}

static void attend_some(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)begin;
    (void)end;
    round *r = arg;
    const atomic_bool *cancel = r->plan->shape.args->cancel;
    int64_t n = round_blocks(r), i;
    kn_attention_scratch scratch = thread_scratch(r, thread);
    while ((i = atomic_fetch_add(&r->next, 1)) < n) {
        if (cancel && atomic_load(cancel)) {
            atomic_store(&r->cancelled, true);
            return;
        }
        attend_block(r, i, &scratch);
    }
}

int kn_cpu_attention(kn_device *dev, const kn_attention_args *a, kn_err *err)
{
    plan p = make_plan(dev, a);
    char *base = (char *)(((uintptr_t)a->workspace + LINE - 1) / LINE * LINE);
    round r = {.plan = &p, .packed = base};
    r.scratch = base + (size_t)p.units_per_round * (p.k_bytes + p.v_bytes);
    for (; r.first_unit < p.n_units; r.first_unit += p.units_per_round) {
        int64_t left = p.n_units - r.first_unit;
        r.n_units = left < p.units_per_round ? left : p.units_per_round;
        int64_t n_threads = round_threads(&r);
        atomic_store(&r.next, 0);
        kn_parallel_for(n_threads, 1, pack_some, &r);
        atomic_store(&r.next, 0);
        kn_parallel_for(n_threads, 1, attend_some, &r);
        if (atomic_load(&r.cancelled))
            return kn_fail(err, KN_ECANCELLED, "cancelled");
    }
    return 0;
}
