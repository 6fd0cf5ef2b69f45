/* The text of the attention kernels; included once for each instruction set and type.  KN_PAIR is 1 (float words)
 * or 2 (bfloat16 pairs; AVX-512 BF16 only). */
#include "tensor/cpu/attention_kernels.h"
#include "tensor/cpu/simd_math.h"

#include <math.h>

/* Registers: M * P sums, M vectors of the tile, one broadcast. */
enum { M = 3, KEYS = KN_ATTENTION_KEYS };
#if KN_SIMD == KN_SIMD_AVX512
enum { P = 8 };
#else
enum { P = 4 };
#endif

#if KN_PAIR == 2
typedef __m512bh vword;

KN_INLINE vword word_load(const float *p)
{
    return (vword)_mm512_load_si512(p);
}

KN_INLINE vword word_spread(const float *p)
{
    return (vword)_mm512_castps_si512(_mm512_set1_ps(*p));
}

KN_INLINE vf word_dot(vword a, vword b, vf sum)
{
    return _mm512_dpbf16_ps(sum, a, b);
}
#else
typedef vf vword;

KN_INLINE vword word_load(const float *p)
{
    return v_load(p);
}

KN_INLINE vword word_spread(const float *p)
{
    return v_set1(*p);
}

KN_INLINE vf word_dot(vword a, vword b, vf sum)
{
    return v_fma(a, b, sum);
}
#endif

/* The product of both steps: sum[j][i] = sum over w of tile[w][i] . panel[w][j], for m vectors i and P rows j. */
KN_INLINE void multiply(const float *tile, const float *panel, int64_t n_words, int m, vf sum[P][M])
{
    for (int j = 0; j < P; j++)
        for (int i = 0; i < m; i++)
            sum[j][i] = v_set1(0);
    for (int64_t w = 0; w < n_words; w++) {
        vword a[M];
        for (int i = 0; i < m; i++)
            a[i] = word_load(tile + (w * m + i) * VL);
#pragma GCC unroll 8
        for (int j = 0; j < P; j++) {
            vword b = word_spread(panel + w * P + j);
            for (int i = 0; i < m; i++)
                sum[j][i] = word_dot(a[i], b, sum[j][i]);
        }
    }
}

/* scores [n_keys][m * VL] = K panel x Q tile */
KN_INLINE void score(const float *q, const float *k, int64_t head_words, int64_t n_keys, int m, float *scores)
{
    for (int64_t key = 0; key < n_keys; key += P) {
        vf sum[P][M];
        multiply(q, k + key * head_words, head_words, m, sum);
        for (int j = 0; j < P; j++)
            for (int i = 0; i < m; i++)
                v_store(scores + ((key + j) * m + i) * VL, sum[j][i]);
    }
}

/* out [channels][m * VL] = out * rescale + V panel x p; the first block's out is not read. */
KN_INLINE void gather(const float *p, const float *v, int64_t key_words, int64_t channels, int m,
                      const float *rescale, bool first, float *out)
{
    for (int64_t c = 0; c < channels; c += P) {
        vf sum[P][M];
        multiply(p, v + c * key_words, key_words, m, sum);
        for (int j = 0; j < P; j++) {
            for (int i = 0; i < m; i++) {
                float *o = out + ((c + j) * m + i) * VL;
                v_store(o, first ? sum[j][i] : v_fma(v_load(o), v_load(rescale + i * VL), sum[j][i]));
            }
        }
    }
}

/* Fixed sizes let the compiler keep the sums in registers. */
#define BY_VECTORS(call)                                                                                     \
    do {                                                                                                     \
        if (m == 3)                                                                                          \
            call(3);                                                                                         \
        else if (m == 2)                                                                                     \
            call(2);                                                                                         \
        else                                                                                                 \
            call(1);                                                                                         \
    } while (0)

static void score_block(const float *q, const float *k, int64_t head_words, int64_t n_keys, int m,
                        float *scores)
{
#define CALL(n) score(q, k, head_words, n_keys, n, scores)
    BY_VECTORS(CALL);
#undef CALL
}

static void gather_block(const float *p, const float *v, int64_t key_words, int64_t channels, int m,
                         const float *rescale, bool first, float *out)
{
#define CALL(n) gather(p, v, key_words, channels, n, rescale, first, out)
    BY_VECTORS(CALL);
#undef CALL
}

/* ---- packing ---- */

/* Element i of an f32 or bf16 tensor as a word's worth: its float, or its bits. */
KN_INLINE float as_float(kn_tensor t, int64_t i)
{
    return t.dtype == KN_BF16 ? kn_bf16_to_f32(((const uint16_t *)t.data)[i]) : ((const float *)t.data)[i];
}

/* The word of elements i and (in pairs) i + step; has_second: otherwise zero. */
KN_INLINE float as_word(kn_tensor t, int64_t i, int64_t step, bool has_second)
{
#if KN_PAIR == 2
    const uint16_t *h = t.data;
    union {
        uint32_t u;
        float f;
    } w = {h[i] | (has_second ? (uint32_t)h[i + step] << 16 : 0)};
    return w.f;
#else
    (void)step;
    (void)has_second;
    return as_float(t, i);
#endif
}

static void pack_q(const kn_attention_shape *s, int64_t batch, int64_t head, int64_t q0, int n, float *tile)
{
    kn_tensor q = s->args->q;
    int64_t row = q.dims[2], base = (batch * s->nq + q0) * row + head * s->head_size;
    int64_t have = s->nq - q0 < n ? s->nq - q0 : n;
    for (int64_t i = 0; i < n; i++) {
        /* the queries beyond the end repeat the last one; nobody reads their results */
        int64_t at = base + (i < have ? i : have - 1) * row;
        for (int64_t w = 0; w < s->head_words; w++)
            tile[w * n + i] = as_word(q, at + w * KN_PAIR, 1, w * KN_PAIR + 1 < s->head_size);
    }
}

static void pack_k(const kn_attention_shape *s, int64_t at, int64_t row, int64_t key0, int64_t n_keys,
                   float *k)
{
    for (int64_t i = 0; i < n_keys; i++) {
        float *to = k + (i / P * s->head_words) * P + i % P;
        bool real = key0 + i < s->nk;
        for (int64_t w = 0; w < s->head_words; w++)
            to[w * P] =
                real ? as_word(s->args->k, at + i * row + w * KN_PAIR, 1, w * KN_PAIR + 1 < s->head_size)
                     : 0.0f;
    }
}

static void pack_v(const kn_attention_shape *s, int64_t at, int64_t row, int64_t key0, int64_t n_keys,
                   float *v)
{
    int64_t key_words = n_keys / KN_PAIR;
    for (int64_t w = 0; w < key_words; w++) {
        int64_t key = w * KN_PAIR;
        bool real = key0 + key < s->nk, second = key0 + key + 1 < s->nk;
        for (int64_t c = 0; c < s->v_channels; c++)
            v[(c / P * key_words + w) * P + c % P] =
                real && c < s->head_size ? as_word(s->args->v, at + key * row + c, row, second) : 0.0f;
    }
}

/* Keys of a block, padding included. */
static int64_t block_keys(const kn_attention_shape *s, int64_t key0)
{
    return s->nk_padded - key0 < KEYS ? s->nk_padded - key0 : KEYS;
}

static void pack(const kn_attention_shape *s, int64_t batch, int64_t kv_head, int64_t block, float *k,
                 float *v)
{
    int64_t key0 = block * KEYS, n_keys = block_keys(s, key0), row = s->args->k.dims[2];
    int64_t at = (batch * s->nk + key0) * row + kv_head * s->head_size;
    pack_k(s, at, row, key0, n_keys, k + key0 * s->head_words);
    pack_v(s, at, row, key0, n_keys, v + key0 / KN_PAIR * s->v_channels);
}

/* ---- softmax ---- */

/* Scores are turned to base 2, so that e^x costs no multiplication. */
static const float LOG2E = 1.44269504f;

/* The running maximum starts here, not at -inf: the difference of two -inf is no number. */
static const float LOWEST = -1e30f;

/* scores = scores * scale + bias, in base 2. */
static void add_bias(const kn_attention_shape *s, int64_t head, int64_t q0, int n, int64_t key0,
                     int64_t n_keys, float *scores)
{
    const kn_attention_opts *o = &s->args->opts;
    int64_t bias_head = o->bias.data && o->bias.dims[0] > 1 ? head : 0;
    int64_t rel_len = o->rel_bias.data ? o->rel_bias.dims[1] : 0, reach = rel_len / 2;
    const float *rel = (const float *)o->rel_bias.data + head * rel_len;
    for (int64_t j = 0; j < n_keys; j++) {
        for (int64_t i = 0; i < n && q0 + i < s->nq && key0 + j < s->nk; i++) {
            float b = 0;
            if (o->bias.data)
                b = ((const float *)o->bias.data)[(bias_head * s->nq + q0 + i) * s->nk + key0 + j];
            if (rel_len) {
                int64_t d = key0 + j - (q0 + i);
                b += rel[(d < -reach ? -reach : d > reach ? reach : d) + reach];
            }
            scores[j * n + i] = (scores[j * n + i] * o->scale + b) * LOG2E;
        }
    }
}

/* Scores of keys that a query must not see, and of padding, become -inf. */
static void mask(const kn_attention_shape *s, int64_t q0, int n, int64_t key0, int64_t n_keys, float *scores)
{
    int64_t ahead = s->nk - s->nq; /* query i sees keys 0 .. i + ahead */
    for (int64_t j = 0; j < n_keys; j++) {
        int64_t hidden = s->args->opts.causal ? key0 + j - ahead - q0 : 0;
        if (key0 + j >= s->nk || hidden > n)
            hidden = n;
        for (int64_t i = 0; i < hidden; i++)
            scores[j * n + i] = -INFINITY;
    }
}

/* 2^x for x <= 0; 0 below -126. */
KN_INLINE vf exp2_negative(vf x)
{
#if KN_PAIR == 2
    /* 2^r on |r| <= 1/2 to 3.5e-6: the result is rounded to bfloat16 */
    static const float c[] = {1.0f, 0.6931210452f, 0.2402234904f, 0.05592197584f, 0.009666368515f};
#else
    /* to 2.5e-9 */
    static const float c[] = {1.0f,           0.6931472067f,   0.2402265092f,
                              0.05550327227f, 0.009618056679f, 0.001340042818f,
                              1.546144470e-4f};
#endif
    vf t = v_max(v_set1(-126.0f), x), n = v_round(t);
    vf p = v_ldexp(v_poly(t - n, c, sizeof c / sizeof *c), n);
    return v_select(v_lt(x, v_set1(-126.0f)), v_set1(0), p);
}

KN_INLINE void store_p(float *p, int64_t key, int n, int lane, vf first, vf second)
{
#if KN_PAIR == 2
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    _mm512_store_si512(p + key / 2 * n + lane, _mm512_permutexvar_epi16(order, both));
#else
    v_store(p + key * n + lane, first);
    v_store(p + (key + 1) * n + lane, second);
#endif
}

/* One vector of queries: p = 2^(scores * factor - max), and the running maximum and sum. */
static void softmax_lanes(const float *scores, int64_t n_keys, int n, int lane, float factor,
                          const kn_attention_scratch *t)
{
    const vf f = v_set1(factor);
    vf top[2] = {v_set1(-INFINITY), v_set1(-INFINITY)}, sum[2] = {v_set1(0), v_set1(0)};
    for (int64_t key = 0; key < n_keys; key += 2) {
        top[0] = v_max(top[0], v_load(scores + key * n + lane));
        top[1] = v_max(top[1], v_load(scores + (key + 1) * n + lane));
    }
    vf old = v_load(t->max + lane), max = v_max(old, v_max(top[0], top[1]) * f), minus = -max;
    for (int64_t key = 0; key < n_keys; key += 2) {
        vf a = exp2_negative(v_fma(v_load(scores + key * n + lane), f, minus));
        vf b = exp2_negative(v_fma(v_load(scores + (key + 1) * n + lane), f, minus));
        sum[0] = sum[0] + a;
        sum[1] = sum[1] + b;
        store_p(t->p, key, n, lane, a, b);
    }
    vf rescale = exp2_negative(old - max);
    v_store(t->rescale + lane, rescale);
    v_store(t->max + lane, max);
    v_store(t->sum + lane, v_fma(v_load(t->sum + lane), rescale, sum[0] + sum[1]));
}

/* ---- a block of queries ---- */

static void store_out(const kn_attention_shape *s, int64_t batch, int64_t head, int64_t q0, int n,
                      const kn_attention_scratch *t)
{
    kn_tensor out = s->args->out;
    int64_t have = s->nq - q0 < n ? s->nq - q0 : n;
    for (int64_t i = 0; i < have; i++) {
        int64_t at = (batch * s->nq + q0 + i) * out.dims[2] + head * s->head_size;
        float r = t->sum[i] > 0 ? 1.0f / t->sum[i] : 0.0f; /* a query that sees no key yields zero */
        if (out.dtype == KN_BF16)
            for (int64_t c = 0; c < s->head_size; c++)
                ((uint16_t *)out.data)[at + c] = kn_f32_to_bf16(t->out[c * n + i] * r);
        else
            for (int64_t c = 0; c < s->head_size; c++)
                ((float *)out.data)[at + c] = t->out[c * n + i] * r;
    }
}

static void run(const kn_attention_shape *s, int64_t batch, int64_t head, int64_t q0, int n_vectors,
                const float *k, const float *v, const kn_attention_scratch *t)
{
    const kn_attention_opts *o = &s->args->opts;
    int n = n_vectors * VL;
    bool biased = o->bias.data || o->rel_bias.data;
    float factor = biased ? 1.0f : o->scale * LOG2E;
    int64_t end = s->nk; /* the first key that no query of the block sees */
    if (o->causal && q0 + n + s->nk - s->nq < end)
        end = q0 + n + s->nk - s->nq;
    pack_q(s, batch, head, q0, n, t->q);
    for (int i = 0; i < n; i++) {
        t->max[i] = LOWEST;
        t->sum[i] = 0;
    }
    for (int64_t key0 = 0; key0 < end; key0 += KEYS) {
        int64_t n_keys = block_keys(s, key0);
        score_block(t->q, k + key0 * s->head_words, s->head_words, n_keys, n_vectors, t->scores);
        if (biased)
            add_bias(s, head, q0, n, key0, n_keys, t->scores);
        if (key0 + n_keys > s->nk || (o->causal && key0 + n_keys > q0 + s->nk - s->nq))
            mask(s, q0, n, key0, n_keys, t->scores);
        for (int i = 0; i < n_vectors; i++)
            softmax_lanes(t->scores, n_keys, n, i * VL, factor, t);
        gather_block(t->p, v + key0 / KN_PAIR * s->v_channels, n_keys / KN_PAIR, s->v_channels, n_vectors,
                     t->rescale, key0 == 0, t->out);
    }
    store_out(s, batch, head, q0, n, t);
}

const kn_attention_kernels KN_ATTENTION_TABLE = {
    .lanes = VL, .block_lanes = M, .panel = P, .pair = KN_PAIR, .pack = pack, .run = run};
