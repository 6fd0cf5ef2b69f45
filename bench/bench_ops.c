/* Products and convolutions as a share of what oneDNN alone does at the same shape, measured in turn in one run.
 *
 *   bench-ops [REPEATS [THREADS]]     medians over REPEATS (default 5); THREADS 0 (default): all cores
 *
 * With one thread the processor time is taken, which other programs on the machine disturb little. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor/cpu/cpu_device.h"

enum { MAX_REPEATS = 101 };

typedef struct bench {
    kn_device *dev;
    int n_repeats;
    clockid_t clock;
    double raw_bf16, raw_int8; /* FLOP/s of oneDNN alone at the present shape */
} bench;

static double now(const bench *b)
{
    struct timespec t;
    clock_gettime(b->clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const kn_err *err)
{
    fprintf(stderr, "bench-ops: %s\n", err->msg);
    exit(1);
}

static void *room(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
    if (!p) {
        fprintf(stderr, "bench-ops: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(p, 0, bytes);
    return p;
}

static kn_tensor filled(kn_dtype dtype, int n_dims, const int64_t *dims)
{
    kn_tensor t = {.dtype = dtype, .n_dims = n_dims, .dims = {1, 1, 1, 1, 1, 1, 1, 1}};
    memcpy(t.dims, dims, (size_t)n_dims * sizeof *dims);
    t.data = room(kn_bytes(t));
    uint32_t state = 1;
    for (int64_t i = 0; i < kn_numel(t); i++) {
        state = state * 1664525u + 1013904223u;
        float v = (float)(state >> 8) / 8388608.0f - 1.0f;
        if (dtype == KN_BF16)
            ((uint16_t *)t.data)[i] = kn_f32_to_bf16(v);
        else
            ((float *)t.data)[i] = v;
    }
    return t;
}

static kn_weight *weight(const bench *b, const kn_weight_spec *spec)
{
    bool conv = spec->kind == KN_WEIGHT_CONV;
    kn_tensor t = filled(KN_F32, conv ? 5 : 2, spec->dims), bias = filled(KN_F32, 1, spec->dims);
    kn_weight_src src = {.data = t.data, .dtype = KN_F32, .bias = spec->bias ? bias.data : NULL};
    kn_weight *w = NULL;
    kn_err err = {0};
    if (kn_weight_new(b->dev, spec, &src, &w, &err))
        die(&err);
    free(t.data);
    free(bias.data);
    return w;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

/* ---- one case: ours and oneDNN alone, in turn ---- */

typedef struct work {
    kn_linear_args linear;
    kn_conv_args conv;
    kn_prim_key key; /* oneDNN alone */
    kn_prim_data data;
    double flops;
} work;

static void run_ours(const bench *b, const work *w)
{
    kn_err err = {0};
    if (w->conv.w ? b->dev->ops->conv(b->dev, &w->conv, &err) : b->dev->ops->linear(b->dev, &w->linear, &err))
        die(&err);
}

static void run_raw(const bench *b, const work *w)
{
    kn_prims *prims = kn_cpu_of(b->dev)->prims;
    kn_prim *prim = NULL;
    kn_err err = {0};
    if (kn_prim_get(prims, &w->key, &prim, &err) || kn_prim_run(prims, prim, &w->data, &err))
        die(&err);
    kn_prim_put(prims, prim);
}

static size_t raw_scratch(const bench *b, const kn_prim_key *key)
{
    kn_prims *prims = kn_cpu_of(b->dev)->prims;
    kn_prim *prim = NULL;
    kn_err err = {0};
    if (kn_prim_get(prims, key, &prim, &err))
        die(&err);
    size_t bytes = kn_prim_scratch_bytes(prim);
    kn_prim_put(prims, prim);
    return bytes;
}

/* Prints a line. */
static void measure(const bench *b, const work *w, const char *what)
{
    double ours[MAX_REPEATS], raw[MAX_REPEATS];
    run_ours(b, w);
    run_raw(b, w);
    for (int i = 0; i < b->n_repeats; i++) {
        double t0 = now(b);
        run_ours(b, w);
        double t1 = now(b);
        run_raw(b, w);
        ours[i] = t1 - t0;
        raw[i] = now(b) - t1;
    }
    double rate = w->flops / median(ours, b->n_repeats), raw_rate = w->flops / median(raw, b->n_repeats);
    printf("  %-44s %7.0f GFLOP/s   oneDNN alone %7.0f   ratio %.2f\n", what, rate * 1e-9, raw_rate * 1e-9,
           rate / raw_rate);
    fflush(stdout);
}

/* ---- linear ---- */

typedef struct linear_kind {
    const char *what;
    kn_dtype x, w;
    kn_act act;
    bool accumulate, gated;
} linear_kind;

static kn_linear_args linear_args(const bench *b, const linear_kind *k, int64_t rows, int64_t n_in,
                                  int64_t n_out)
{
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {n_out, n_in}, .dtype = k->w, .bias = true};
    kn_dtype out = k->accumulate || k->w == KN_F32 ? KN_F32 : KN_BF16;
    kn_linear_args a = {.x = filled(k->x, 2, (const int64_t[]){rows, n_in}),
                        .out = filled(out, 2, (const int64_t[]){rows, n_out}),
                        .w = weight(b, &spec),
                        .act = k->act,
                        .accumulate = k->accumulate};
    if (k->gated)
        a.gate.table = filled(KN_F32, 2, (const int64_t[]){1, n_out});
    a.workspace = room(b->dev->ops->linear_workspace(b->dev, &a));
    return a;
}

static void linear_args_free(const bench *b, kn_linear_args *a)
{
    kn_weight_free(b->dev, (kn_weight *)a->w);
    free(a->x.data);
    free(a->out.data);
    free(a->gate.table.data);
    free(a->workspace);
}

static void bench_linear(const bench *b, const linear_kind *k, int64_t rows, int64_t n_in, int64_t n_out)
{
    work job = {.linear = linear_args(b, k, rows, n_in, n_out),
                .flops = 2.0 * (double)rows * (double)n_in * (double)n_out};
    kn_linear_args *a = &job.linear;
    const kn_weight *w = a->w;

    kn_dtype type = kn_cpu_weight_type(b->dev, &w->spec), dst = type == KN_I8 ? KN_I32 : type;
    job.key = (kn_prim_key){.kind = KN_PRIM_MATMUL, .src_type = type, .weights_type = type, .dst_type = dst};
    job.key.src[0] = rows;
    job.key.src[1] = job.key.weights[1] = n_in;
    job.key.weights[0] = n_out;
    kn_tensor x = filled(KN_F32, 2, (const int64_t[]){rows, n_in});
    if (type == k->x)
        memcpy(x.data, a->x.data, kn_bytes(a->x));
    job.data = (kn_prim_data){.src = x.data,
                              .weights = ((kn_cpu_weight *)w->priv)->packed[0].data,
                              .dst = room((size_t)(rows * n_out) * 4),
                              .scratch = room(raw_scratch(b, &job.key))};
    measure(b, &job, k->what);
    linear_args_free(b, a);
    free(x.data);
    free(job.data.dst);
    free(job.data.scratch);
}

static void bench_linears(const bench *b)
{
    static const linear_kind kinds[] = {
        {"bf16, bias, gelu -> bf16", KN_BF16, KN_BF16, KN_ACT_GELU_TANH, false, false},
        {"bf16, bias, f32 += gate x", KN_BF16, KN_BF16, KN_ACT_NONE, true, true},
        {"f32 x bf16, bias, f32 += gate x", KN_F32, KN_BF16, KN_ACT_NONE, true, true},
        {"int8, bias, gelu -> bf16", KN_BF16, KN_I8, KN_ACT_GELU_TANH, false, false},
        {"int8, bias, f32 += gate x", KN_BF16, KN_I8, KN_ACT_NONE, true, true},
        {"f32, bias, gelu -> f32", KN_F32, KN_F32, KN_ACT_GELU_TANH, false, false},
    };
    static const int64_t shapes[][3] = {{4096, 1536, 1536}, {4096, 1536, 8960}, {4096, 8960, 1536}};
    for (int i = 0; i < 3; i++) {
        const int64_t *s = shapes[i];
        printf("linear %lld x %lld -> %lld\n", (long long)s[0], (long long)s[1], (long long)s[2]);
        for (int k = 0; k < 6; k++)
            bench_linear(b, &kinds[k], s[0], s[1], s[2]);
    }
}

/* ---- the linear layers of a block of Wan 2.1 1.3B, as the model calls them: bf16 and int8 in turn ---- */

typedef struct layer_kind {
    const char *what;
    int n_of_block;
    int64_t n_in, n_out;
    kn_act act;
    bool accumulate, gated;
} layer_kind;

static double seconds_of(const bench *b, const kn_linear_args *a)
{
    double begin = now(b);
    run_ours(b, &(work){.linear = *a});
    return now(b) - begin;
}

/* Adds the layer's seconds to the block's, [0] in bf16 and [1] in int8. */
static void bench_layer(const bench *b, const layer_kind *k, double block[2])
{
    static const kn_dtype types[2] = {KN_BF16, KN_I8};
    enum { ROWS = 4096 };
    kn_linear_args a[2];
    double seconds[2][MAX_REPEATS], ratios[MAX_REPEATS];
    for (int t = 0; t < 2; t++) {
        linear_kind kind = {k->what, KN_BF16, types[t], k->act, k->accumulate, k->gated};
        a[t] = linear_args(b, &kind, ROWS, k->n_in, k->n_out);
        seconds_of(b, &a[t]);
    }
    for (int i = 0; i < b->n_repeats; i++) {
        for (int t = 0; t < 2; t++)
            seconds[t][i] = seconds_of(b, &a[t]);
        ratios[i] = seconds[0][i] / seconds[1][i];
    }
    double rate[2], flops = 2.0 * ROWS * (double)k->n_in * (double)k->n_out;
    for (int t = 0; t < 2; t++) {
        double middle = median(seconds[t], b->n_repeats);
        rate[t] = flops / middle;
        block[t] += k->n_of_block * middle;
        linear_args_free(b, &a[t]);
    }
    printf("  %d x %-40s bf16 %4.0f GFLOP/s   int8 %4.0f GFLOP/s   %.2f x\n", k->n_of_block, k->what,
           rate[0] * 1e-9, rate[1] * 1e-9, median(ratios, b->n_repeats));
    fflush(stdout);
}

static void bench_block(const bench *b)
{
    static const layer_kind layers[] = {
        {"1536 -> 1536 (q, k, v, cross q)", 4, 1536, 1536, KN_ACT_NONE, false, false},
        {"1536 -> 1536, f32 += gate x (o)", 1, 1536, 1536, KN_ACT_NONE, true, true},
        {"1536 -> 1536, f32 += (cross o)", 1, 1536, 1536, KN_ACT_NONE, true, false},
        {"1536 -> 8960, gelu (ffn)", 1, 1536, 8960, KN_ACT_GELU_TANH, false, false},
        {"8960 -> 1536, f32 += gate x (ffn)", 1, 8960, 1536, KN_ACT_NONE, true, true},
    };
    puts("linear layers of a block of Wan 2.1 1.3B, 4096 tokens, int8 against bf16");
    double block[2] = {0, 0};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        bench_layer(b, &layers[i], block);
    printf("  together: bf16 %.0f ms, int8 %.0f ms, %.2f x\n", 1e3 * block[0], 1e3 * block[1],
           block[0] / block[1]);
}

/* ---- convolutions ---- */

typedef struct conv_kind {
    const char *what;
    int64_t frames, height, width, n_in, n_out;
    int kernel[3];
    kn_dtype dtype;
    bool add, upsample;
} conv_kind;

static void conv_key(work *job, const kn_conv_args *a, kn_dtype type)
{
    int up = a->opts.upsample2 ? 2 : 1;
    job->key = (kn_prim_key){.kind = KN_PRIM_CONV, .src_type = type, .weights_type = type, .dst_type = type};
    const int64_t src[4] = {a->x.dims[0], a->x.dims[1] * up, a->x.dims[2] * up, a->x.dims[3]};
    memcpy(job->key.src, src, sizeof src);
    memcpy(job->key.weights, a->w->spec.dims, sizeof job->key.weights);
    for (int i = 0; i < 3; i++) {
        job->key.stride[i] = a->opts.stride[i];
        job->key.pad_lo[i] = a->opts.pad_lo[i];
        job->key.pad_hi[i] = a->opts.pad_hi[i];
    }
}

static void bench_conv(const bench *b, const conv_kind *k)
{
    kn_weight_spec spec = {.kind = KN_WEIGHT_CONV,
                           .dims = {k->n_out, k->n_in, k->kernel[0], k->kernel[1], k->kernel[2]},
                           .dtype = k->dtype,
                           .bias = true,
                           .upsample2 = k->upsample};
    work job = {0};
    kn_conv_args *a = &job.conv;
    int64_t up = k->upsample ? 2 : 1, frames = k->frames - k->kernel[0] + 1;
    const int64_t out[4] = {frames, k->height * up, k->width * up, k->n_out};
    a->w = weight(b, &spec);
    a->opts = (kn_conv_opts){.stride = {1, 1, 1}, .upsample2 = k->upsample};
    for (int i = 1; i < 3; i++)
        a->opts.pad_lo[i] = a->opts.pad_hi[i] = k->kernel[i] / 2;
    a->x = filled(k->dtype, 4, (const int64_t[]){k->frames, k->height, k->width, k->n_in});
    a->out = filled(k->dtype, 4, out);
    if (k->add)
        a->opts.add = filled(k->dtype, 4, out);
    a->workspace = room(b->dev->ops->conv_workspace(b->dev, a));
    conv_key(&job, a, k->dtype);
    job.flops =
        2.0 * (double)kn_numel(a->out) * (double)(k->n_in * k->kernel[0] * k->kernel[1] * k->kernel[2]);
    run_ours(b, &job); /* brings the weights into the layout of this picture */
    kn_tensor big = filled(k->dtype, 4, (const int64_t[]){k->frames, k->height * up, k->width * up, k->n_in});
    job.data = (kn_prim_data){.src = big.data,
                              .weights = room(((kn_cpu_weight *)a->w->priv)->packed[0].bytes * 4),
                              .dst = room(kn_bytes(a->out)),
                              .scratch = room(raw_scratch(b, &job.key))};
    measure(b, &job, k->what);
    kn_weight_free(b->dev, (kn_weight *)a->w);
    free(a->x.data);
    free(a->out.data);
    free(a->opts.add.data);
    free(a->workspace);
    free(big.data);
    free(job.data.dst);
    free(job.data.scratch);
}

static void bench_convs(const bench *b)
{
    static const conv_kind kinds[] = {
        {"bf16 3x3x3 384, 60 x 104", 6, 60, 104, 384, 384, {3, 3, 3}, KN_BF16, false, false},
        {"bf16 3x3x3 384, 60 x 104, add", 6, 60, 104, 384, 384, {3, 3, 3}, KN_BF16, true, false},
        {"bf16 3x3x3 192, 120 x 208", 6, 120, 208, 192, 192, {3, 3, 3}, KN_BF16, false, false},
        {"bf16 3x3x3 192, 120 x 208, add", 6, 120, 208, 192, 192, {3, 3, 3}, KN_BF16, true, false},
        {"bf16 3x3x3 96, 240 x 416", 4, 240, 416, 96, 96, {3, 3, 3}, KN_BF16, false, false},
        {"bf16 3x3x3 96, 240 x 416, add", 4, 240, 416, 96, 96, {3, 3, 3}, KN_BF16, true, false},
        {"bf16 3x1x1 384, 60 x 104", 4, 60, 104, 384, 768, {3, 1, 1}, KN_BF16, false, false},
        {"bf16 1x1x1 192 -> 384, 60 x 104", 4, 60, 104, 192, 384, {1, 1, 1}, KN_BF16, false, false},
        {"bf16 doubled 1x3x3 384 -> 192, 60 x 104", 4, 60, 104, 384, 192, {1, 3, 3}, KN_BF16, false, true},
        {"bf16 doubled 1x3x3 192 -> 96, 120 x 208", 4, 120, 208, 192, 96, {1, 3, 3}, KN_BF16, false, true},
        {"f32 doubled 1x3x3 192 -> 96, 120 x 208", 4, 120, 208, 192, 96, {1, 3, 3}, KN_F32, false, true},
        {"bf16 3x3x3 96 -> 3, 240 x 416", 3, 240, 416, 96, 3, {3, 3, 3}, KN_BF16, false, false},
        {"f32 3x3x3 96 -> 3, 240 x 416", 3, 240, 416, 96, 3, {3, 3, 3}, KN_F32, false, false},
        {"f32 3x3x3 96, 240 x 416", 3, 240, 416, 96, 96, {3, 3, 3}, KN_F32, false, false},
    };
    puts("conv (doubled: the ratio is to the convolution alone, of the picture already doubled)");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        bench_conv(b, &kinds[i]);
}

int main(int argc, char **argv)
{
    int n_threads = argc > 2 ? atoi(argv[2]) : 0;
    bench b = {.n_repeats = argc > 1 ? atoi(argv[1]) : 5};
    if (b.n_repeats < 1 || b.n_repeats > MAX_REPEATS || n_threads < 0) {
        fprintf(stderr, "usage: bench-ops [REPEATS (1..%d) [THREADS]]\n", MAX_REPEATS);
        return 2;
    }
    b.clock = n_threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    kn_err err = {0};
    if (kn_cpu_device_open(&(kn_cpu_options){.n_threads = n_threads}, &b.dev, &err))
        die(&err);
    printf("%s, medians of %d\n", b.dev->description, b.n_repeats);
    bench_block(&b);
    bench_linears(&b);
    bench_convs(&b);
    kn_device_close(b.dev);
    return 0;
}
