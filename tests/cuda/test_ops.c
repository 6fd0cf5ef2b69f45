#include "cuda/both.h"

/* Fixture: both devices; tests are skipped where there is no CUDA one. */
static both devices;
static bool is_there;

static int open_both(void **state)
{
    (void)state;
    is_there = both_open(&devices);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    both_close(&devices);
    return 0;
}

static void check(const char *what, both_fn fn, const void *arg)
{
    if (!is_there)
        skip();
    both_check(&devices, what, fn, arg, KN_F32, KN_F32, 3e-6);
    both_check(&devices, what, fn, arg, KN_BF16, KN_BF16, 1e-2);
}

/* ---- products ---- */

typedef struct linear_case {
    int64_t rows, n, k;
    kn_act act;
    bool bias, accumulate;
    int groups; /* rows of the gate's table; 0: no gate */
} linear_case;

static kn_mod gate_of(both_case *k, int64_t rows, int64_t n, int groups)
{
    kn_mod m = {0};
    if (groups)
        m.table = both_tensor(k, KN_F32, KN_DIMS(groups, n));
    if (groups > 1)
        m.row_group = both_groups(k, rows, groups);
    return m;
}

static kn_tensor run_linear(both_case *k, const void *arg)
{
    const linear_case *l = arg;
    const kn_weight *w = both_weight(
        k, (kn_weight_spec){.kind = KN_WEIGHT_LINEAR, .dims = {l->n, l->k, 1, 1, 1}, .bias = l->bias});
    kn_tensor x = both_tensor(k, k->act, KN_DIMS(l->rows, l->k));
    if (!l->accumulate)
        return kn_linear(k->c, x, w, l->act, k->act);
    kn_tensor sum = both_tensor(k, KN_F32, KN_DIMS(l->rows, l->n));
    kn_linear_residual(k->c, sum, x, w, gate_of(k, l->rows, l->n, l->groups));
    return sum;
}

static const linear_case linears[] = {
    {5, 24, 48, KN_ACT_NONE, true, false, 0},   {300, 64, 40, KN_ACT_GELU_TANH, true, false, 0},
    {7, 33, 20, KN_ACT_SILU, false, false, 0},  {1, 64, 64, KN_ACT_QUICK_GELU, true, false, 0},
    {9, 32, 32, KN_ACT_NONE, true, true, 0},    {600, 48, 32, KN_ACT_NONE, true, true, 1},
    {600, 48, 32, KN_ACT_NONE, false, true, 3}, {11, 35, 19, KN_ACT_NONE, true, true, 2},
};

static void products(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
        check("linear", run_linear, &linears[i]);
        both_check(&devices, "linear", run_linear, &linears[i], KN_BF16, KN_I8, 2e-2);
        both_check(&devices, "linear", run_linear, &linears[i], KN_F32, KN_BF16, 1e-2);
    }
}

/* ---- convolution ---- */

typedef struct conv_case {
    int64_t in[4], kernel[3], n_out;
    kn_conv_opts opts;
    bool add;
} conv_case;

static kn_tensor run_conv(both_case *k, const void *arg)
{
    const conv_case *v = arg;
    kn_weight_spec spec = {.kind = KN_WEIGHT_CONV,
                           .dims = {v->n_out, v->in[3], v->kernel[0], v->kernel[1], v->kernel[2]},
                           .bias = true,
                           .upsample2 = v->opts.upsample2 && v->kernel[0] == 1};
    const kn_weight *w = both_weight(k, spec);
    kn_conv_opts opts = v->opts;
    kn_tensor x = both_tensor(k, k->act, 4, v->in);
    if (v->add) {
        kn_tensor like = kn_conv(k->c, x, w, &opts, k->act);
        opts.add = both_tensor(k, k->act, 4, like.dims);
    }
    return kn_conv(k->c, x, w, &opts, k->act);
}

static const conv_case convs[] = {
    {.in = {3, 9, 11, 32},
     .kernel = {3, 3, 3},
     .n_out = 40,
     .opts = {.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}},
     .add = true},
    {.in = {1, 12, 13, 24},
     .kernel = {1, 3, 3},
     .n_out = 130,
     .opts = {.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = true}},
    {.in = {2, 12, 10, 8},
     .kernel = {1, 3, 3},
     .n_out = 16,
     .opts = {.stride = {1, 2, 2}, .pad_hi = {0, 1, 1}}},
    {.in = {5, 6, 7, 3},
     .kernel = {3, 3, 3},
     .n_out = 20,
     .opts = {.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}}},
    {.in = {5, 4, 4, 16}, .kernel = {3, 1, 1}, .n_out = 16, .opts = {.stride = {2, 1, 1}}},
    {.in = {2, 5, 5, 40}, .kernel = {1, 1, 1}, .n_out = 12},
};

static void convolutions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        check("conv", run_conv, &convs[i]);
        both_check(&devices, "conv", run_conv, &convs[i], KN_F32, KN_BF16, 1e-2);
    }
}

/* ---- attention ---- */

typedef struct attention_case {
    int64_t batch, nq, nk, d;
    int n_heads, n_kv_heads;
    bool causal, bias, key_bias, rel_bias;
    float scale;
} attention_case;

static kn_tensor run_attention(both_case *k, const void *arg)
{
    const attention_case *a = arg;
    kn_tensor q = both_tensor(k, k->act, KN_DIMS(a->batch, a->nq, a->n_heads * a->d));
    kn_tensor key = both_tensor(k, k->act, KN_DIMS(a->batch, a->nk, a->n_kv_heads * a->d));
    kn_tensor v = both_tensor(k, k->act, KN_DIMS(a->batch, a->nk, a->n_kv_heads * a->d));
    kn_attention_opts opts = {.causal = a->causal, .scale = a->scale};
    if (a->bias)
        opts.bias = both_tensor(k, KN_F32, KN_DIMS(a->n_heads, a->nq, a->nk));
    if (a->key_bias)
        opts.bias = both_tensor(k, KN_F32, KN_DIMS(1, 1, a->nk));
    if (a->rel_bias)
        opts.rel_bias = both_tensor(k, KN_F32, KN_DIMS(a->n_heads, 2 * 9 + 1));
    return kn_attention(k->c, q, key, v, a->n_heads, a->n_kv_heads, &opts, k->act);
}

static const attention_case attentions[] = {
    {1, 130, 150, 128, 2, 2, .causal = false}, {2, 70, 70, 32, 2, 1, .causal = true},
    {1, 20, 133, 64, 2, 2, .causal = true},    {1, 140, 77, 40, 3, 3, .scale = 0.3f},
    {1, 17, 40, 80, 1, 1, .causal = false},    {1, 33, 33, 24, 2, 2, .bias = true},
    {1, 21, 45, 16, 2, 2, .key_bias = true},   {1, 40, 40, 12, 2, 2, .rel_bias = true},
    {1, 30, 30, 384, 1, 1, .causal = false},   {1, 18, 18, 1000, 1, 1, .causal = false},
    {1, 19, 35, 20, 2, 2, .causal = true},
};

static void attention(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attentions / sizeof *attentions; i++)
        check("attention", run_attention, &attentions[i]);
}

/* ---- norms ---- */

typedef struct norm_case {
    int kind; /* 0 RMS, 1 layer, 2 group, 3 rotation alone */
    int64_t rows, n;
    kn_act act;
    bool gamma, beta;
    int groups; /* of the modulation, or of channels */
    int n_heads;
    bool halves;
} norm_case;

static kn_rope rope_of(both_case *k, const norm_case *n)
{
    int64_t half = n->n / n->n_heads / 2;
    kn_rope r = {.halves = n->halves};
    r.cos = both_tensor(k, KN_F32, KN_DIMS(n->rows, half));
    r.sin = both_tensor(k, KN_F32, KN_DIMS(n->rows, half));
    return r;
}

static kn_tensor run_norm(both_case *k, const void *arg)
{
    const norm_case *n = arg;
    kn_tensor x = both_tensor(k, k->act, KN_DIMS(n->rows, n->n)), none = {0};
    kn_tensor gamma = n->gamma ? both_tensor(k, KN_F32, KN_DIMS(n->n)) : none;
    kn_tensor beta = n->beta ? both_tensor(k, KN_F32, KN_DIMS(n->n)) : none;
    kn_affine(k->c, x, 1.0f, 0.5f); /* a mean that is not zero */
    if (n->kind == 1) {
        kn_mod shift = gate_of(k, n->rows, n->n, n->groups), scale = gate_of(k, n->rows, n->n, n->groups);
        return kn_layer_norm(k->c, x, gamma, beta, 1e-6f, shift, scale, k->act);
    }
    if (n->kind == 2)
        return kn_group_norm(k->c, x, n->groups, gamma, beta, 1e-6f, n->act, k->act);
    if (!n->n_heads)
        return kn_rms_norm(k->c, x, gamma, 1e-6f, n->act, NULL, 0, k->act);
    kn_rope rope = rope_of(k, n);
    if (n->kind == 0)
        return kn_rms_norm(k->c, x, gamma, 1e-6f, n->act, &rope, n->n_heads, k->act);
    kn_rope_apply(k->c, x, &rope, n->n_heads);
    return x;
}

static const norm_case norm_cases[] = {
    {.kind = 0, .rows = 9, .n = 96, .gamma = true, .act = KN_ACT_SILU},
    {.kind = 0, .rows = 3, .n = 1536, .gamma = true},
    {.kind = 0, .rows = 13, .n = 35},
    {.kind = 0, .rows = 2, .n = 1027, .gamma = true},
    {.kind = 0, .rows = 10, .n = 64, .gamma = true, .n_heads = 4},
    {.kind = 0, .rows = 3, .n = 2048, .gamma = true, .n_heads = 16, .halves = true},
    {.kind = 3, .rows = 10, .n = 64, .n_heads = 2},
    {.kind = 3, .rows = 10, .n = 96, .n_heads = 2, .halves = true},
    {.kind = 1, .rows = 9, .n = 96, .gamma = true, .beta = true},
    {.kind = 1, .rows = 20, .n = 1536, .groups = 1},
    {.kind = 1, .rows = 20, .n = 100, .groups = 3, .gamma = true},
    {.kind = 1, .rows = 5, .n = 37, .beta = true, .groups = 2},
    {.kind = 2, .rows = 300, .n = 64, .groups = 8, .gamma = true, .beta = true, .act = KN_ACT_SILU},
    {.kind = 2, .rows = 129, .n = 320, .groups = 32},
};

static void norms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof norm_cases / sizeof *norm_cases; i++)
        check("norm", run_norm, &norm_cases[i]);
}

/* ---- element by element ---- */

typedef struct ewise_case {
    int op;
    int64_t rows, n;
    bool y_is_row;
    int groups;
    kn_act act;
} ewise_case;

static kn_tensor run_ewise(both_case *k, const void *arg)
{
    const ewise_case *e = arg;
    kn_tensor x = both_tensor(k, e->op == KN_EWISE_GATE_ADD ? KN_F32 : k->act, KN_DIMS(e->rows, e->n));
    kn_tensor y =
        e->y_is_row ? both_tensor(k, k->act, KN_DIMS(e->n)) : both_tensor(k, k->act, KN_DIMS(e->rows, e->n));
    switch (e->op) {
    case KN_EWISE_ADD:
        kn_add(k->c, x, y, 0.75f);
        break;
    case KN_EWISE_MUL:
        kn_mul(k->c, x, y);
        break;
    case KN_EWISE_AFFINE:
        kn_affine(k->c, x, 1.5f, -2.0f);
        break;
    case KN_EWISE_CLAMP:
        kn_clamp(k->c, x, -0.5f, 0.25f);
        break;
    case KN_EWISE_ACT:
        kn_activate(k->c, x, e->act);
        break;
    default:
        kn_gate_add(k->c, x, y, gate_of(k, e->rows, e->n, e->groups));
    }
    return x;
}

static const ewise_case ewise_cases[] = {
    {.op = KN_EWISE_ADD, .rows = 7, .n = 40},
    {.op = KN_EWISE_ADD, .rows = 7, .n = 41, .y_is_row = true},
    {.op = KN_EWISE_MUL, .rows = 3, .n = 36, .y_is_row = true},
    {.op = KN_EWISE_MUL, .rows = 3, .n = 1000},
    {.op = KN_EWISE_AFFINE, .rows = 3, .n = 7},
    {.op = KN_EWISE_CLAMP, .rows = 30, .n = 8},
    {.op = KN_EWISE_ACT, .rows = 9, .n = 32, .act = KN_ACT_SILU},
    {.op = KN_EWISE_ACT, .rows = 9, .n = 32, .act = KN_ACT_GELU_TANH},
    {.op = KN_EWISE_ACT, .rows = 9, .n = 31, .act = KN_ACT_GELU_ERF},
    {.op = KN_EWISE_ACT, .rows = 9, .n = 32, .act = KN_ACT_QUICK_GELU},
    {.op = KN_EWISE_ACT, .rows = 9, .n = 32, .act = KN_ACT_RELU},
    {.op = KN_EWISE_GATE_ADD, .rows = 20, .n = 64, .groups = 3},
    {.op = KN_EWISE_GATE_ADD, .rows = 20, .n = 33, .groups = 1},
    {.op = KN_EWISE_GATE_ADD, .rows = 20, .n = 33},
};

static void elements(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ewise_cases / sizeof *ewise_cases; i++)
        check("ewise", run_ewise, &ewise_cases[i]);
}

/* ---- movement ---- */

static kn_tensor run_move(both_case *k, const void *arg)
{
    int which = *(const int *)arg;
    kn_tensor x = both_tensor(k, k->act, KN_DIMS(3, 4, 5, 6)),
              y = both_tensor(k, k->act, KN_DIMS(3, 2, 5, 6));
    switch (which) {
    case 0:
        return kn_permute(k->c, x, (const int[]){2, 0, 3, 1});
    case 1:
        return kn_concat(k->c, 1, 2, (const kn_tensor[]){x, y});
    case 2:
        return kn_slice(k->c, x, 2, 1, 3);
    case 3:
        return kn_repeat_channels(k->c, x, 3);
    case 4:
        return kn_mean_channels(k->c, x, 2);
    case 5:
        return kn_cast(k->c, x, KN_F32);
    case 6:
        return kn_cast(k->c, kn_cast(k->c, x, KN_BF16), k->act);
    case 7:
        kn_copy(k->c, kn_rows(k->c, x, 1, 1), kn_rows(k->c, x, 0, 1));
        return x;
    default:
        return kn_zeros(k->c, k->act, KN_DIMS(5));
    }
}

static void movement(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++)
        check("movement", run_move, &i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products), cmocka_unit_test(convolutions), cmocka_unit_test(attention),
        cmocka_unit_test(norms),    cmocka_unit_test(elements),     cmocka_unit_test(movement),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
