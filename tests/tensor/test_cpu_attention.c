#include "tensor/cpu_check.h"

/* One comparison with attention written down in double precision. */
typedef struct setup {
    int64_t batch, nq, nk, d;
    int heads, kv_heads;
    bool causal, rel;
    int bias_heads;   /* 0: none */
    bool bias_by_key; /* one row of biases for all queries */
    float scale;      /* 0: 1/sqrt(d) */
    double reach;     /* deviation of q; large values make sharp rows */
} setup;

typedef struct problem {
    setup s;
    kn_attention_args args;
    double *want; /* [batch, nq, heads * d] */
} problem;

static double logit(const problem *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const setup *s = &p->s;
    const kn_attention_args *a = &p->args;
    if (s->causal && j > i + s->nk - s->nq)
        return -INFINITY;
    int64_t kv = h / (s->heads / s->kv_heads);
    double dot = 0;
    for (int64_t c = 0; c < s->d; c++)
        dot += check_get(a->q, ((b * s->nq + i) * s->heads + h) * s->d + c) *
               check_get(a->k, ((b * s->nk + j) * s->kv_heads + kv) * s->d + c);
    dot *= (double)a->opts.scale;
    int64_t bias_head = s->bias_heads > 1 ? h : 0;
    if (s->bias_heads)
        dot += check_get(a->opts.bias, (s->bias_by_key ? bias_head : bias_head * s->nq + i) * s->nk + j);
    if (s->rel) {
        int64_t n = a->opts.rel_bias.dims[1], r = n / 2, o = j - i;
        dot += check_get(a->opts.rel_bias, h * n + (o < -r ? -r : o > r ? r : o) + r);
    }
    return dot;
}

static void reference(problem *p)
{
    const setup *s = &p->s;
    double *w = malloc((size_t)s->nk * sizeof *w);
    p->want = calloc((size_t)kn_numel(p->args.q), sizeof *p->want);
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t h = 0; h < s->heads; h++) {
            int64_t kv = h / (s->heads / s->kv_heads);
            for (int64_t i = 0; i < s->nq; i++) {
                double max = -INFINITY, sum = 0, *y = p->want + ((b * s->nq + i) * s->heads + h) * s->d;
                for (int64_t j = 0; j < s->nk; j++) {
                    w[j] = logit(p, b, h, i, j);
                    max = fmax(max, w[j]);
                }
                for (int64_t j = 0; j < s->nk; j++)
                    sum += w[j] = exp(w[j] - max);
                for (int64_t j = 0; j < s->nk; j++)
                    for (int64_t c = 0; c < s->d; c++)
                        y[c] += w[j] / sum *
                                check_get(p->args.v, ((b * s->nk + j) * s->kv_heads + kv) * s->d + c);
            }
        }
    }
    free(w);
}

static problem make(setup s, kn_dtype in, kn_dtype out)
{
    const int64_t dq[] = {s.batch, s.nq, s.heads * s.d}, dk[] = {s.batch, s.nk, s.kv_heads * s.d};
    problem p = {.s = s};
    kn_attention_args *a = &p.args;
    a->q = check_random_tensor(in, 3, dq, 3, 0, s.reach > 0 ? s.reach : 1);
    a->k = check_random_tensor(in, 3, dk, 4, 0.1, 1);
    a->v = check_random_tensor(in, 3, dk, 5, 0.3, 1);
    a->out = check_tensor(out, 3, dq);
    a->n_heads = s.heads;
    a->n_kv_heads = s.kv_heads;
    a->opts.scale = s.scale != 0 ? s.scale : 1 / sqrtf((float)s.d);
    a->opts.causal = s.causal;
    if (s.bias_heads)
        a->opts.bias = check_random_tensor(
            KN_F32, 3, (int64_t[]){s.bias_heads, s.bias_by_key ? 1 : s.nq, s.nk}, 6, 0, 1);
    if (s.rel)
        a->opts.rel_bias = check_random_tensor(KN_F32, 2, (int64_t[]){s.heads, 2 * 20 + 1}, 7, 0, 1);
    return p;
}

static void done(problem *p)
{
    check_free(&p->args.q);
    check_free(&p->args.k);
    check_free(&p->args.v);
    check_free(&p->args.out);
    check_free(&p->args.opts.bias);
    check_free(&p->args.opts.rel_bias);
    free(p->want);
}

static int attend(kn_device *dev, problem *p)
{
    p->args.workspace = malloc(kn_cpu_attention_workspace(dev, &p->args));
    assert_non_null(p->args.workspace);
    int rc = kn_cpu_attention(dev, &p->args, NULL);
    free(p->args.workspace);
    return rc;
}

static void compare(setup s, kn_dtype in, kn_dtype out)
{
    problem p = make(s, in, out);
    reference(&p);
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        memset(p.args.out.data, 0xff, kn_bytes(p.args.out));
        assert_int_equal(attend(dev, &p), 0);
        double limit = in == KN_BF16 || out == KN_BF16 ? 1e-2 : 2e-6;
        check_close(p.args.out, p.want, limit, limit,
                    "isa %s %s->%s b %d nq %d nk %d d %d heads %d/%d causal %d",
                    kn_cpu_isa_name((kn_cpu_isa)isa), kn_dtype_name(in), kn_dtype_name(out), (int)s.batch,
                    (int)s.nq, (int)s.nk, (int)s.d, s.heads, s.kv_heads, s.causal);
    }
    done(&p);
}

static void compare_types(setup s)
{
    compare(s, KN_F32, KN_F32);
    compare(s, KN_BF16, KN_BF16);
}

static void test_head_sizes(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 3, 8, 15, 16, 20, 33, 64, 80, 96, 128, 160, 384};
    for (int i = 0; i < 14; i++)
        compare_types((setup){.batch = 1, .nq = 50, .nk = 139, .d = sizes[i], .heads = 2, .kv_heads = 2});
}

static void test_lengths(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 7, 8, 9, 16, 17, 47, 48, 49, 77, 97, 127, 128, 129, 257, 300};
    for (int i = 0; i < 17; i++) {
        compare_types((setup){.batch = 1, .nq = sizes[i], .nk = 65, .d = 16, .heads = 3, .kv_heads = 3});
        compare_types((setup){.batch = 1, .nq = 33, .nk = sizes[i], .d = 16, .heads = 3, .kv_heads = 3});
    }
    compare((setup){.batch = 1, .nq = 50, .nk = 77, .d = 33, .heads = 2, .kv_heads = 2}, KN_BF16, KN_F32);
    compare((setup){.batch = 1, .nq = 50, .nk = 77, .d = 33, .heads = 2, .kv_heads = 2}, KN_F32, KN_BF16);
    compare_types((setup){.batch = 1, .nq = 1, .nk = 1, .d = 5, .heads = 1, .kv_heads = 1});
    compare_types((setup){.batch = 1, .nq = 40, .nk = 2100, .d = 32, .heads = 1, .kv_heads = 1});
}

static void test_heads_and_batches(void **state)
{
    (void)state;
    for (int heads = 1; heads <= 12; heads++)
        compare_types(
            (setup){.batch = 1 + heads % 3, .nq = 35, .nk = 41, .d = 20, .heads = heads, .kv_heads = heads});
    compare_types((setup){.batch = 2, .nq = 35, .nk = 41, .d = 20, .heads = 12, .kv_heads = 4});
    compare_types((setup){.batch = 1, .nq = 35, .nk = 141, .d = 64, .heads = 8, .kv_heads = 1});
}

static void test_masks_and_biases(void **state)
{
    (void)state;
    for (int i = 1; i < 12; i++) {
        setup s = {.batch = 1 + i % 2, .nq = 137, .nk = 137, .d = 10, .heads = 3, .kv_heads = 3};
        s.causal = i % 2;
        s.bias_heads = i / 2 % 3 == 0 ? 0 : i / 2 % 3 == 1 ? 1 : 3;
        s.rel = i >= 6;
        compare_types(s);
        s.bias_by_key = s.bias_heads > 0;
        compare_types(s);
        s.nq = 19;
        compare_types(s);
        s.nk = 300;
        compare_types(s);
    }
    compare_types(
        (setup){.batch = 1, .nq = 64, .nk = 64, .d = 24, .heads = 2, .kv_heads = 2, .rel = true, .scale = 1});
}

/* Rows decided by one key; the running maximum rises in late blocks. */
static void test_sharp(void **state)
{
    (void)state;
    compare((setup){.batch = 1, .nq = 60, .nk = 700, .d = 64, .heads = 2, .kv_heads = 2, .reach = 12}, KN_F32,
            KN_F32);
    compare((setup){.batch = 1, .nq = 60, .nk = 700, .d = 64, .heads = 2, .kv_heads = 2, .reach = 12},
            KN_BF16, KN_BF16);
}

/* Keys hidden by a bias of -inf do not count; a query that sees none yields zeros, not NaN. */
static void test_hidden_keys(void **state)
{
    (void)state;
    problem p =
        make((setup){.batch = 1, .nq = 20, .nk = 200, .d = 16, .heads = 2, .kv_heads = 2, .bias_heads = 1},
             KN_F32, KN_F32);
    for (int64_t i = 0; i < 20; i++)
        for (int64_t j = 0; j < 200; j++)
            if (i == 7 || (j < 150) == (i % 2 == 0))
                check_set(p.args.opts.bias, i * 200 + j, -INFINITY);
    reference(&p);
    for (int64_t c = 0; c < 32; c++)
        p.want[7 * 32 + c] = 0;
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        assert_int_equal(attend(check_device_init(&d, (kn_cpu_isa)isa), &p), 0);
        check_close(p.args.out, p.want, 2e-6, 2e-6, "isa %d", isa);
    }
    done(&p);
}

/* The same bits whatever the thread count. */
static void test_threads(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        problem p = make((setup){.batch = 2, .nq = 333, .nk = 257, .d = 40, .heads = 3, .kv_heads = 3},
                         isa % 2 ? KN_BF16 : KN_F32, KN_F32);
        kn_parallel_set_threads(1);
        assert_int_equal(attend(dev, &p), 0);
        kn_tensor first = check_clone(p.args.out);
        for (int threads = 2; threads <= 5; threads++) {
            kn_parallel_set_threads(threads);
            assert_int_equal(attend(dev, &p), 0);
            assert_memory_equal(p.args.out.data, first.data, kn_bytes(first));
        }
        kn_parallel_set_threads(0);
        check_free(&first);
        done(&p);
    }
}

static void test_cancel(void **state)
{
    (void)state;
    check_device d;
    kn_device *dev = check_device_init(&d, kn_cpu_isa_best());
    problem p =
        make((setup){.batch = 1, .nq = 64, .nk = 64, .d = 16, .heads = 1, .kv_heads = 1}, KN_F32, KN_F32);
    atomic_bool cancel = true;
    p.args.cancel = &cancel;
    assert_int_equal(attend(dev, &p), KN_ECANCELLED);
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_head_sizes),
                                       cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_heads_and_batches),
                                       cmocka_unit_test(test_masks_and_biases),
                                       cmocka_unit_test(test_sharp),
                                       cmocka_unit_test(test_hidden_keys),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
