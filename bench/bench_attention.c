/* Attention's rate as a share of the machine's matrix rate: both are measured in turn, in one run, because the
 * rate of a machine changes with its clock and its neighbours.
 *
 *   bench-attention [REPEATS]     medians over REPEATS (default 7) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parallel.h"
#include "tensor/device.h"
#include "tensor/ops.h"

enum { MAX_REPEATS = 101 };
/* Work of one measurement, so that a timer's and a scheduler's noise is small. */
static const double MIN_FLOPS = 100e9;

typedef struct shape {
    const char *what;
    kn_dtype dtype;
    int heads;
    int64_t nq, nk, d;
    bool causal;
} shape;

static const shape shapes[] = {
    {"Wan 1.3B self attention", KN_BF16, 12, 4096, 4096, 128, false},
    {"Wan 1.3B cross attention, text", KN_BF16, 12, 4096, 512, 128, false},
    {"Wan 14B cross attention, picture", KN_BF16, 40, 4096, 257, 128, false},
    {"UMT5-XXL", KN_BF16, 64, 512, 512, 64, false},
    {"CLIP-H", KN_BF16, 16, 257, 257, 80, false},
    {"Wan VAE, one head", KN_BF16, 1, 4096, 4096, 384, false},
    {"causal", KN_BF16, 12, 4096, 4096, 128, true},
    {"Wan 1.3B self attention", KN_F32, 12, 4096, 4096, 128, false},
};

typedef struct bench {
    kn_ctx ctx;
    kn_weight *w[2]; /* f32, bf16: the raw matrix product 4096 x 1536 x 8960 */
} bench;

enum { RAW_ROWS = 4096, RAW_IN = 1536, RAW_OUT = 8960 };

static kn_tensor filled(kn_ctx *c, kn_dtype dtype, int64_t rows, int64_t cols)
{
    kn_tensor t = kn_empty(c, dtype, KN_DIMS(rows, cols));
    uint32_t state = 1;
    for (int64_t i = 0; kn_ok(c) && i < rows * cols; i++) {
        state = state * 1664525u + 1013904223u;
        float v = (float)(state >> 8) / 8388608.0f - 1.0f;
        if (dtype == KN_BF16)
            ((uint16_t *)t.data)[i] = kn_f32_to_bf16(v);
        else
            ((float *)t.data)[i] = v;
    }
    return t;
}

/* FLOP/s of the raw product, 0 after an error. */
static double raw_rate(bench *b, kn_dtype dtype, kn_tensor x)
{
    kn_scope scope = kn_scope_open(&b->ctx);
    double start = kn_clock_s();
    kn_linear(&b->ctx, x, b->w[dtype == KN_BF16], KN_ACT_NONE, dtype);
    double seconds = kn_clock_s() - start;
    kn_scope_close(&b->ctx, scope, (kn_tensor){0});
    return 2.0 * RAW_ROWS * RAW_IN * RAW_OUT / seconds;
}

static double attention_rate(bench *b, const shape *s, kn_tensor q, kn_tensor k, kn_tensor v)
{
    double flops = 4.0 * (double)s->nq * (double)s->nk * (double)s->d * s->heads / (s->causal ? 2 : 1);
    int n = (int)ceil(MIN_FLOPS / flops);
    kn_attention_opts opts = {.causal = s->causal};
    double start = kn_clock_s();
    for (int i = 0; i < n; i++) {
        kn_scope scope = kn_scope_open(&b->ctx);
        kn_attention(&b->ctx, q, k, v, s->heads, s->heads, &opts, s->dtype);
        kn_scope_close(&b->ctx, scope, (kn_tensor){0});
    }
    return flops * n / (kn_clock_s() - start);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void measure(bench *b, const shape *s, int repeats)
{
    double raw[MAX_REPEATS], rate[MAX_REPEATS], ratio[MAX_REPEATS];
    kn_scope scope = kn_scope_open(&b->ctx);
    kn_tensor x = filled(&b->ctx, s->dtype, RAW_ROWS, RAW_IN);
    kn_tensor q = filled(&b->ctx, s->dtype, s->nq, s->heads * s->d);
    kn_tensor k = filled(&b->ctx, s->dtype, s->nk, s->heads * s->d);
    kn_tensor v = filled(&b->ctx, s->dtype, s->nk, s->heads * s->d);
    raw_rate(b, s->dtype, x); /* makes the primitive */
    for (int i = 0; i < repeats; i++) {
        raw[i] = raw_rate(b, s->dtype, x);
        rate[i] = attention_rate(b, s, q, k, v);
        ratio[i] = rate[i] / ((raw[i] + raw_rate(b, s->dtype, x)) / 2);
    }
    kn_scope_close(&b->ctx, scope, (kn_tensor){0});
    printf("%-33s %-4s %2d x %4lld x %4lld x %3lld  %6.0f  %6.0f  %5.1f %%\n", s->what,
           kn_dtype_name(s->dtype), s->heads, (long long)s->nq, (long long)s->nk, (long long)s->d,
           median(raw, repeats) / 1e9, median(rate, repeats) / 1e9, 100 * median(ratio, repeats));
    fflush(stdout);
}

static int make_weights(bench *b, kn_err *err)
{
    const kn_dtype types[] = {KN_F32, KN_BF16};
    float *data = malloc((size_t)RAW_IN * RAW_OUT * sizeof *data);
    if (!data)
        return kn_fail(err, KN_ENOMEM, "no memory for the matrix");
    for (int i = 0; i < RAW_IN * RAW_OUT; i++)
        data[i] = (float)(i % 251) / 251.0f - 0.5f;
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {RAW_OUT, RAW_IN}, .dtype = types[i]};
        rc = kn_weight_new(b->ctx.dev, &spec, &(kn_weight_src){.data = data, .dtype = KN_F32}, &b->w[i], err);
    }
    free(data);
    return rc;
}

int main(int argc, char **argv)
{
    int repeats = argc > 1 ? atoi(argv[1]) : 7;
    if (repeats < 1 || repeats > MAX_REPEATS) {
        fprintf(stderr, "bench-attention: repeats %s, expected 1 to %d\n", argv[1], MAX_REPEATS);
        return 2;
    }
    bench b = {0};
    kn_device *dev = NULL;
    kn_err err = {0};
    if (kn_cpu_device_open(&(kn_cpu_options){0}, &dev, &err) || kn_ctx_init(&b.ctx, dev, KN_BF16, 0, &err) ||
        make_weights(&b, &err))
        goto out;
    printf("%s, %d threads; GFLOP/s, median of %d\n", dev->description, kn_parallel_threads(), repeats);
    printf("%-33s %-4s %-24s  matrix  attent.  ratio\n", "", "type", "heads x nq x nk x size");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && kn_ok(&b.ctx); i++)
        measure(&b, &shapes[i], repeats);
    kn_ctx_error(&b.ctx, &err);
out:
    if (err.code)
        fprintf(stderr, "bench-attention: %s\n", err.msg);
    if (dev) {
        kn_weight_free(dev, b.w[0]);
        kn_weight_free(dev, b.w[1]);
        kn_ctx_done(&b.ctx);
    }
    kn_device_close(dev);
    return kn_err_exit(err.code);
}
