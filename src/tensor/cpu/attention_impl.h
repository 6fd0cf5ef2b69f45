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

/* Up to VL words of a row from element i on, of which n elements exist; zeros beyond. */
KN_INLINE vf row_words(kn_tensor t, int64_t i, int64_t n)
{
#if KN_PAIR == 2
    const uint16_t *p = (const uint16_t *)t.data + i;
    return (vf)_mm512_maskz_loadu_epi16(n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1, p);
#else
    return v_get_n(t.data, t.dtype == KN_BF16, i, n >= VL ? VL : (int)n);
#endif
}

/* The words of VL channels that pair this key with the next (row elements on; has_next: else with zero). */
KN_INLINE vf key_words_of(kn_tensor t, int64_t i, int64_t row, bool has_next, int n)
{
#if KN_PAIR == 2
    const uint16_t *p = (const uint16_t *)t.data + i;
    __m512i lo = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(v_first_n(n), p)),
            hi = _mm512_setzero_si512();
    if (has_next)
        hi = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(v_first_n(n), p + row)), 16);
    return (vf)_mm512_or_si512(lo, hi);
#else
    (void)row;
    (void)has_next;
    return v_get_n(t.data, t.dtype == KN_BF16, i, n);
#endif
}

/* Loads VL rows of words and turns them: r[w] holds word w of every row. */
KN_INLINE void turned_words(kn_tensor t, int64_t at, int64_t row, int64_t n_rows, int64_t n, vf r[VL])
{
    for (int i = 0; i < VL; i++)
        r[i] = i < n_rows ? row_words(t, at + i * row, n) : v_set1(0);
    v_transpose(r);
}

/* Queries beyond the end are zeros; nobody reads their results. */
static void pack_q(const kn_attention_shape *s, int64_t batch, int64_t head, int64_t q0, int n, float *tile)
{
    kn_tensor q = s->args->q;
    int64_t row = q.dims[2];
    for (int i = 0; i < n; i += VL) {
        int64_t at = (batch * s->nq + q0 + i) * row + head * s->head_size;
        for (int64_t w = 0; w < s->head_words; w += VL) {
            vf r[VL];
            turned_words(q, at + w * KN_PAIR, row, s->nq - q0 - i, s->head_size - w * KN_PAIR, r);
            for (int j = 0; j < VL && w + j < s->head_words; j++)
                v_store(tile + (w + j) * n + i, r[j]);
        }
    }
}

/* Stores the vector's parts of P words `stride` words apart, as far as they exist. */
KN_INLINE void store_parts(float *to, int64_t stride, vf v, int64_t n_parts)
{
    float parts[VL];
    v_store(parts, v);
    for (int i = 0; i < VL / P && i < n_parts; i++)
        memcpy(to + i * stride, parts + i * P, P * sizeof *parts);
}

static void pack_k(const kn_attention_shape *s, int64_t at, int64_t row, int64_t key0, int64_t n_keys,
                   float *k)
{
    for (int64_t i = 0; i < n_keys; i += VL) {
        for (int64_t w = 0; w < s->head_words; w += VL) {
            vf r[VL];
            turned_words(s->args->k, at + i * row + w * KN_PAIR, row, s->nk - key0 - i,
                         s->head_size - w * KN_PAIR, r);
            for (int j = 0; j < VL && w + j < s->head_words; j++)
                store_parts(k + i * s->head_words + (w + j) * P, s->head_words * P, r[j], (n_keys - i) / P);
        }
    }
}

static void pack_v(const kn_attention_shape *s, int64_t at, int64_t row, int64_t key0, int64_t n_keys,
                   float *v)
{
    int64_t key_words = n_keys / KN_PAIR;
    for (int64_t w = 0; w < key_words; w++) {
        int64_t key = w * KN_PAIR, left = s->nk - key0 - key;
        for (int64_t c = 0; c < s->v_channels; c += VL) {
            int n = s->head_size - c < VL ? (int)(s->head_size - c) : VL;
            vf words = left > 0 ? key_words_of(s->args->v, at + key * row + c, row, left > 1, n) : v_set1(0);
            store_parts(v + c * key_words + w * P, key_words * P, words, (s->v_channels - c) / P);
        }
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

/* ---- softmax, in base 2: e^x costs no multiplication ---- */

/* The running maximum starts here, not at -inf: the difference of two -inf is no number. */
static const float LOWEST = -1e30f;

/* scores = scores * factor + relative bias * log2(e) */
static void add_relative(const kn_attention_shape *s, int64_t head, int64_t q0, int n, int64_t key0,
                         int64_t n_keys, float factor, float *scores)
{
    kn_tensor bias = s->args->opts.rel_bias;
    int64_t len = bias.dims[1], reach = len / 2;
    const float *rel = (const float *)bias.data + head * len;
    float line[M * VL +
               KEYS]; /* [KEYS - 1 + query - key]: a key's biases for consecutive queries lie together */
    for (int64_t i = 0; i < n + KEYS - 1; i++) {
        int64_t d = key0 - q0 + KEYS - 1 - i;
        line[i] = rel[(d < -reach ? -reach : d > reach ? reach : d) + reach] * LOG2E;
    }
    for (int64_t j = 0; j < n_keys; j++) {
        for (int i = 0; i < n; i += VL) {
            float *at = scores + j * n + i;
            v_store(at, v_fma(v_load(at), v_set1(factor), v_load(line + KEYS - 1 + i - j)));
        }
    }
}

/* scores = scores * factor + bias * log2(e), the bias being the same for all queries. */
static void add_keys(const kn_attention_shape *s, int64_t head, int n, int64_t key0, int64_t n_keys,
                     float factor, float *scores)
{
    kn_tensor bias = s->args->opts.bias;
    const float *from = (const float *)bias.data + (bias.dims[0] > 1 ? head : 0) * s->nk + key0;
    for (int64_t j = 0; j < n_keys && key0 + j < s->nk; j++) {
        for (int i = 0; i < n; i += VL) {
            float *at = scores + j * n + i;
            v_store(at, v_fma(v_load(at), v_set1(factor), v_set1(from[j] * LOG2E)));
        }
    }
}

/* scores = scores * factor + bias * log2(e) */
static void add_table(const kn_attention_shape *s, int64_t head, int64_t q0, int n, int64_t key0,
                      int64_t n_keys, float factor, float *scores)
{
    kn_tensor bias = s->args->opts.bias;
    int64_t row = (bias.dims[0] > 1 ? head : 0) * s->nq + q0;
    for (int64_t j = 0; j < n_keys; j += VL) {
        int64_t left = s->nk - key0 - j;
        for (int i = 0; i < n; i += VL) {
            vf r[VL];
            for (int l = 0; l < VL; l++) {
                const float *from = (const float *)bias.data + (row + i + l) * s->nk + key0 + j;
                bool real = q0 + i + l < s->nq && left > 0;
                r[l] = real ? v_load_n(from, left < VL ? (int)left : VL) : v_set1(0);
            }
            v_transpose(r);
            for (int l = 0; l < VL && j + l < n_keys; l++) {
                float *at = scores + (j + l) * n + i;
                v_store(at, v_fma(v_load(at), v_set1(factor), r[l] * v_set1(LOG2E)));
            }
        }
    }
}

/* scores = (scores * scale + biases) * log2(e) */
static void add_biases(const kn_attention_shape *s, int64_t head, int64_t q0, int n, int64_t key0,
                       int64_t n_keys, float *scores)
{
    const kn_attention_opts *o = &s->args->opts;
    float factor = o->scale * LOG2E;
    if (o->rel_bias.data) {
        add_relative(s, head, q0, n, key0, n_keys, factor, scores);
        factor = 1.0f;
    }
    if (o->bias.data && o->bias.dims[1] == 1 && s->nq > 1)
        add_keys(s, head, n, key0, n_keys, factor, scores);
    else if (o->bias.data)
        add_table(s, head, q0, n, key0, n_keys, factor, scores);
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

/* 2^x for x <= 0; 0 where that would be denormal. */
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
    const vf lowest = v_set1(V_LDEXP_WIDE ? -200.0f : -126.0f);
    vf t = v_max(lowest, x), n = v_round(t);
    vf p = v_ldexp(v_poly(t - n, c, sizeof c / sizeof *c), n);
    return V_LDEXP_WIDE ? p : v_select(v_lt(x, lowest), v_set1(0), p);
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
    bool bf16 = out.dtype == KN_BF16;
    for (int i = 0; i < n; i += VL) {
        /* a query that sees no key yields zero */
        vf sum = v_load(t->sum + i), inverse = v_select(v_lt(v_set1(0), sum), v_set1(1) / sum, v_set1(0));
        int64_t at = (batch * s->nq + q0 + i) * out.dims[2] + head * s->head_size;
        for (int64_t c = 0; c < s->head_size; c += VL) {
            vf r[VL];
            int m = s->head_size - c < VL ? (int)(s->head_size - c) : VL;
            for (int j = 0; j < VL; j++)
                r[j] = j < m ? v_load(t->out + (c + j) * n + i) * inverse : v_set1(0);
            v_transpose(r);
            for (int j = 0; j < VL && q0 + i + j < s->nq; j++)
                v_put_n(out.data, bf16, at + j * out.dims[2] + c, r[j], m);
        }
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
            add_biases(s, head, q0, n, key0, n_keys, t->scores);
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
