/* What a device reaches, from operations small enough to measure in a fraction of a second. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/plan.h"

/* Holds everything below. */
#define POOL_BYTES ((size_t)96 << 20)

enum { ROWS = 1024, DIM = 1024, HEADS = 4, HEAD = 128, SIDE = 64, CHANNELS = 96, COPY = 4 << 20, MANY = 32 };

/* Seconds of the fastest of a few repetitions: noise only ever adds. */
typedef void (*probe_fn)(kn_ctx *c, const void *arg);

static double fastest(kn_ctx *c, probe_fn fn, const void *arg)
{
    double best = 0;
    int n = c->dev->ops->wait ? MANY : 1; /* a card's time is less than that of asking for it */
    for (int i = 0; i < 4 && kn_ok(c); i++) {
        double begin = kn_clock_s();
        for (int k = 0; k < n; k++) {
            kn_scope s = kn_scope_open(c);
            fn(c, arg);
            kn_scope_close(c, s, (kn_tensor){0});
        }
        if (c->dev->ops->wait && kn_ok(c))
            c->dev->ops->wait(c->dev, &c->err);
        double t = (kn_clock_s() - begin) / n;
        if (i == 1 || (i > 1 && t < best)) /* the first call builds kernels */
            best = t;
    }
    return best > 1e-9 ? best : 1e-9;
}

typedef struct probes {
    const kn_weight *linear, *conv;
    kn_tensor x, picture, big;
    kn_dtype act;
} probes;

static void run_linear(kn_ctx *c, const void *arg)
{
    const probes *p = arg;
    kn_linear(c, p->x, p->linear, KN_ACT_NONE, p->act);
}

static void run_conv(kn_ctx *c, const void *arg)
{
    const probes *p = arg;
    kn_conv_opts opts = {.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}};
    kn_conv(c, p->picture, p->conv, &opts, p->act);
}

static void run_attention(kn_ctx *c, const void *arg)
{
    const probes *p = arg;
    kn_tensor q = kn_reshape(c, p->x, KN_DIMS(ROWS * DIM / (HEADS * HEAD), HEADS * HEAD));
    kn_attention(c, q, q, q, HEADS, HEADS, &(kn_attention_opts){0}, p->act);
}

static void run_memory(kn_ctx *c, const void *arg)
{
    const probes *p = arg;
    kn_affine(c, p->big, 1.0f, 0.0f);
}

/* Bytes a second at which weights are made ready for the device. */
static int measure_loading(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, double *ret,
                           kn_err *err)
{
    double best = 0;
    for (int i = 0; i < 4; i++) {
        kn_weight *w = NULL;
        double begin = kn_clock_s();
        int rc = kn_weight_new(dev, spec, src, &w, err);
        if (rc)
            return rc;
        double rate = (double)w->bytes / (kn_clock_s() - begin + 1e-9);
        kn_weight_free(dev, w);
        best = rate > best ? rate : best;
    }
    *ret = best;
    return 0;
}

int kn_rates_measure(kn_device *dev, kn_dtype dtype, kn_rates *ret, kn_err *err)
{
    kn_ctx c = {0};
    kn_weight *linear = NULL, *plain = NULL, *conv = NULL;
    float *zeros = NULL;
    kn_rates rates = {0};
    kn_dtype act = kn_activation_dtype(dtype);
    int rc = kn_ctx_init(&c, dev, act, POOL_BYTES, err);
    if (rc)
        return rc;
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {DIM, DIM, 1, 1, 1}, .dtype = dtype};
    kn_weight_spec plain_spec = {.kind = KN_WEIGHT_LINEAR, .dims = {DIM, DIM, 1, 1, 1}, .dtype = act};
    kn_weight_spec conv_spec = {.kind = KN_WEIGHT_CONV, .dims = {CHANNELS, CHANNELS, 3, 3, 3}, .dtype = act};
    zeros = kn_calloc(DIM * DIM, sizeof *zeros);
    if (!zeros) {
        rc = kn_fail(err, KN_ENOMEM, "no memory to measure the device");
        goto out;
    }
    kn_weight_src src = {.data = zeros, .dtype = KN_F32};
    if ((rc = kn_weight_new(dev, &spec, &src, &linear, err)) ||
        (rc = kn_weight_new(dev, &plain_spec, &src, &plain, err)) ||
        (rc = kn_weight_new(dev, &conv_spec, &src, &conv, err)))
        goto out;
    kn_weight_src as_stored = {.data = zeros, .dtype = KN_BF16};
    if ((rc = measure_loading(dev, &spec, &as_stored, &rates.loading, err)))
        goto out;
    probes p = {.linear = linear, .conv = conv, .act = act};
    p.x = kn_zeros(&c, act, KN_DIMS(ROWS, DIM));
    p.picture = kn_zeros(&c, act, KN_DIMS(3, SIDE, SIDE, CHANNELS));
    p.big = kn_zeros(&c, KN_F32, KN_DIMS(COPY));
    rates.flops[KN_WORK_LINEAR] = 2.0 * ROWS * DIM * DIM / fastest(&c, run_linear, &p);
    p.linear = plain;
    rates.raw_matmul = 2.0 * ROWS * DIM * DIM / fastest(&c, run_linear, &p);
    rates.flops[KN_WORK_CONV] = 2.0 * SIDE * SIDE * 27 * CHANNELS * CHANNELS / fastest(&c, run_conv, &p);
    int64_t n = ROWS * DIM / (HEADS * HEAD);
    rates.flops[KN_WORK_ATTENTION] = 4.0 * (double)(n * n) * HEADS * HEAD / fastest(&c, run_attention, &p);
    rates.bytes = 8.0 * COPY / fastest(&c, run_memory, &p);
    rc = kn_ctx_error(&c, err);
    if (!rc)
        *ret = rates;
out:
    kn_weight_free(dev, linear);
    kn_weight_free(dev, plain);
    kn_weight_free(dev, conv);
    free(zeros);
    kn_ctx_done(&c);
    return rc;
}
