/* The text of the element-wise kernels; included once for each instruction set. */
#include "tensor/cpu/ewise_kernels.h"
#include "tensor/cpu/simd_math.h"

KN_INLINE vf apply(const kn_ewise_span *s, kn_ewise op, vf x, vf y, vf gate, vf a, vf b)
{
    switch (op) {
    case KN_EWISE_ADD:
        return v_fma(a, y, x);
    case KN_EWISE_MUL:
        return x * y;
    case KN_EWISE_AFFINE:
        return v_fma(x, a, b);
    case KN_EWISE_CLAMP:
        return v_min(b, v_max(a, x));
    case KN_EWISE_ACT:
        return v_act(x, s->act);
    case KN_EWISE_GATE_ADD:
        return v_fma(y, gate, x);
    }
    return x;
}

KN_INLINE void span(const kn_ewise_span *s, kn_ewise op, bool x_bf16, bool y_bf16)
{
    const vf a = v_set1(s->a), b = v_set1(s->b), zero = v_set1(0);
    const bool has_y = op == KN_EWISE_ADD || op == KN_EWISE_MUL || op == KN_EWISE_GATE_ADD;
    const bool has_gate = op == KN_EWISE_GATE_ADD;
    int64_t i = 0;
    for (; i + VL <= s->n; i += VL) {
        vf y = has_y ? v_get(s->y, y_bf16, i) : zero;
        vf gate = has_gate ? v_load(s->gate + i) : zero;
        v_put(s->x, x_bf16, i, apply(s, op, v_get(s->x, x_bf16, i), y, gate, a, b));
    }
    if (i < s->n) {
        int m = (int)(s->n - i);
        vf y = has_y ? v_get_n(s->y, y_bf16, i, m) : zero;
        vf gate = has_gate ? v_load_n(s->gate + i, m) : zero;
        v_put_n(s->x, x_bf16, i, apply(s, op, v_get_n(s->x, x_bf16, i, m), y, gate, a, b), m);
    }
}

KN_INLINE void typed(const kn_ewise_span *s, kn_ewise op)
{
    if (s->x_bf16 && s->y_bf16)
        span(s, op, true, true);
    else if (s->x_bf16)
        span(s, op, true, false);
    else if (s->y_bf16)
        span(s, op, false, true);
    else
        span(s, op, false, false);
}

static void run(const kn_ewise_span *s)
{
    switch (s->op) {
    case KN_EWISE_ADD:
        typed(s, KN_EWISE_ADD);
        break;
    case KN_EWISE_MUL:
        typed(s, KN_EWISE_MUL);
        break;
    case KN_EWISE_AFFINE:
        typed(s, KN_EWISE_AFFINE);
        break;
    case KN_EWISE_CLAMP:
        typed(s, KN_EWISE_CLAMP);
        break;
    case KN_EWISE_ACT:
        typed(s, KN_EWISE_ACT);
        break;
    case KN_EWISE_GATE_ADD:
        typed(s, KN_EWISE_GATE_ADD);
        break;
    }
}

KN_INLINE void convert_typed(void *dst, bool dst_bf16, const void *src, bool src_bf16, int64_t n)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        v_put(dst, dst_bf16, i, v_get(src, src_bf16, i));
    if (i < n)
        v_put_n(dst, dst_bf16, i, v_get_n(src, src_bf16, i, (int)(n - i)), (int)(n - i));
}

static void convert(void *dst, bool dst_bf16, const void *src, bool src_bf16, int64_t n)
{
    if (dst_bf16 == src_bf16)
        memcpy(dst, src, (size_t)n * (dst_bf16 ? 2 : 4));
    else if (dst_bf16)
        convert_typed(dst, true, src, false, n);
    else
        convert_typed(dst, false, src, true, n);
}

static void mean(void *dst, const void *src, bool bf16, int64_t n, int g)
{
    for (int64_t i = 0; i < n; i++) {
        vf acc = v_set1(0);
        for (int j = 0; j < g; j += VL)
            acc = acc + v_get_n(src, bf16, i * g + j, g - j < VL ? g - j : VL);
        float m = v_sum(acc) / (float)g;
        if (bf16)
            ((uint16_t *)dst)[i] = kn_f32_to_bf16(m);
        else
            ((float *)dst)[i] = m;
    }
}

const kn_ewise_kernels KN_FN(kn_ewise_kernels) = {.run = run, .convert = convert, .mean = mean};
