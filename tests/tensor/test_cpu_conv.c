/* Convolutions against double precision: kernels, strides, padding on every side, doubling, addition, types. */
#include "tensor/cpu_check.h"

typedef struct conv_case {
    const char *isa;
    int64_t t, h, w, c, o; /* picture, channels in and out */
    int kernel[3];
    kn_conv_opts opts; /* add is made if `add` */
    bool add, bias, packed_doubled;
    kn_dtype x, wt, out;
} conv_case;

typedef struct conv_rig {
    kn_device *dev;
    kn_weight *w;
    kn_conv_args args;
    kn_tensor weights, bias;
} conv_rig;

static void rig_round(kn_tensor t)
{
    for (int64_t i = 0; i < kn_numel(t); i++)
        check_set(t, i, round(check_get(t, i) * 64) / 64);
}

static kn_device *open_device(const char *isa, int threads)
{
    kn_device *dev = NULL;
    kn_err err = {0};
    if (kn_cpu_device_open(&(kn_cpu_options){.n_threads = threads, .isa = isa}, &dev, &err))
        fail_msg("%s", err.msg);
    return dev;
}

static void rig_weight(conv_rig *r, const conv_case *c)
{
    kn_weight_spec spec = {.kind = KN_WEIGHT_CONV,
                           .dims = {c->o, c->c, c->kernel[0], c->kernel[1], c->kernel[2]},
                           .dtype = c->wt,
                           .bias = c->bias,
                           .upsample2 = c->packed_doubled};
    r->weights = check_random_tensor(KN_F32, 5, spec.dims, 5, 0, 1);
    rig_round(r->weights);
    r->bias = check_random_tensor(KN_F32, 1, &c->o, 6, 0, 2);
    kn_weight_src src = {.data = r->weights.data, .dtype = KN_F32, .bias = c->bias ? r->bias.data : NULL};
    kn_err err = {0};
    if (kn_weight_new(r->dev, &spec, &src, &r->w, &err))
        fail_msg("%s", err.msg);
}

/* Another picture for the weight of `r`. */
static void rig_picture(conv_rig *r, const conv_case *c)
{
    kn_conv_args *a = &r->args;
    *a = (kn_conv_args){.w = r->w, .opts = c->opts};
    const int64_t in[4] = {c->t, c->h, c->w, c->c};
    int64_t out[4] = {0, 0, 0, c->o};
    for (int i = 0; i < 3; i++) {
        a->opts.stride[i] = a->opts.stride[i] ? a->opts.stride[i] : 1;
        int64_t n = in[i] * (i && c->opts.upsample2 ? 2 : 1) + a->opts.pad_lo[i] + a->opts.pad_hi[i];
        out[i] = (n - c->kernel[i]) / a->opts.stride[i] + 1;
    }
    a->x = check_random_tensor(c->x, 4, in, 7, 0, 1);
    a->out = check_tensor(c->out, 4, out);
    if (c->add)
        a->opts.add = check_random_tensor(c->out, 4, out, 8, 0, 4);
    a->workspace = aligned_alloc(64, (r->dev->ops->conv_workspace(r->dev, a) + 127) & ~(size_t)63);
    assert_non_null(a->workspace);
}

static void rig_run(conv_rig *r)
{
    kn_err err = {0};
    if (r->dev->ops->conv(r->dev, &r->args, &err))
        fail_msg("%s", err.msg);
}

static void rig_picture_done(conv_rig *r)
{
    check_free(&r->args.x);
    check_free(&r->args.out);
    free(r->args.opts.add.data);
    free(r->args.workspace);
}

static void rig_done(conv_rig *r)
{
    kn_weight_free(r->dev, r->w);
    check_free(&r->weights);
    check_free(&r->bias);
    kn_device_close(r->dev);
}

/* Value of the (doubled) picture, 0 outside. */
static double pixel(const conv_rig *r, bool up, int64_t t, int64_t y, int64_t x, int64_t ch)
{
    const int64_t *d = r->args.x.dims;
    int f = up ? 2 : 1;
    if (t < 0 || y < 0 || x < 0 || t >= d[0] || y >= d[1] * f || x >= d[2] * f)
        return 0;
    return check_get(r->args.x, ((t * d[1] + y / f) * d[2] + x / f) * d[3] + ch);
}

static double want_at(const conv_rig *r, const conv_case *c, int64_t t, int64_t y, int64_t x, int64_t o)
{
    const kn_conv_opts *op = &r->args.opts;
    const float *w = r->weights.data;
    double s = c->bias ? check_get(r->bias, o) : 0;
    for (int64_t i = 0; i < c->c; i++)
        for (int a = 0; a < c->kernel[0]; a++)
            for (int b = 0; b < c->kernel[1]; b++)
                for (int d = 0; d < c->kernel[2]; d++)
                    s += (double)
                             w[(((o * c->c + i) * c->kernel[0] + a) * c->kernel[1] + b) * c->kernel[2] + d] *
                         pixel(r, op->upsample2, t * op->stride[0] + a - op->pad_lo[0],
                               y * op->stride[1] + b - op->pad_lo[1], x * op->stride[2] + d - op->pad_lo[2],
                               i);
    return s;
}

static double *rig_want(const conv_rig *r, const conv_case *c)
{
    const int64_t *d = r->args.out.dims;
    double *want = malloc((size_t)kn_numel(r->args.out) * sizeof *want);
    assert_non_null(want);
    int64_t i = 0;
    for (int64_t t = 0; t < d[0]; t++)
        for (int64_t y = 0; y < d[1]; y++)
            for (int64_t x = 0; x < d[2]; x++)
                for (int64_t o = 0; o < d[3]; o++, i++)
                    want[i] = want_at(r, c, t, y, x, o) + (c->add ? check_get(r->args.opts.add, i) : 0);
    return want;
}

static void check_picture(conv_rig *r, const conv_case *c)
{
    rig_picture(r, c);
    rig_run(r);
    double *want = rig_want(r, c), d = check_distance(r->args.out, want);
    double limit = c->wt == KN_BF16 || c->out == KN_BF16 ? 6e-3 : 2e-6;
    if (!(d <= limit))
        fail_msg("%lldx%lldx%lld, %lld to %lld, kernel %dx%dx%d, stride %d %d %d, up %d, add %d, x %s, w %s, "
                 "out %s: "
                 "%.3g, limit %.3g",
                 (long long)c->t, (long long)c->h, (long long)c->w, (long long)c->c, (long long)c->o,
                 c->kernel[0], c->kernel[1], c->kernel[2], c->opts.stride[0], c->opts.stride[1],
                 c->opts.stride[2], c->opts.upsample2, c->add, kn_dtype_name(c->x), kn_dtype_name(c->wt),
                 kn_dtype_name(c->out), d, limit);
    free(want);
    rig_picture_done(r);
}

static void check_conv_case(const conv_case *c)
{
    conv_rig r = {.dev = open_device(c->isa, 0)};
    rig_weight(&r, c);
    check_picture(&r, c);
    rig_done(&r);
}

static void check_types(conv_case c)
{
    for (int types = 0; types < 8; types++) {
        c.x = types & 1 ? KN_BF16 : KN_F32;
        c.wt = types & 2 ? KN_BF16 : KN_F32;
        c.out = types & 4 ? KN_BF16 : KN_F32;
        check_conv_case(&c);
    }
}

static void test_kernels(void **state)
{
    (void)state;
    const int kernels[][3] = {{3, 3, 3}, {3, 1, 1}, {1, 3, 3}, {1, 1, 1}, {1, 2, 2}};
    const int64_t channels[][2] = {{16, 16}, {3, 24}, {24, 3}, {5, 7}, {48, 96}};
    for (int k = 0; k < 5; k++)
        for (int ch = 0; ch < 5; ch++) {
            conv_case c = {
                .t = 3, .h = 6, .w = 7, .c = channels[ch][0], .o = channels[ch][1], .bias = ch % 2 == 0};
            c.x = c.wt = c.out = (k + ch) % 2 ? KN_BF16 : KN_F32;
            for (int i = 0; i < 3; i++) {
                c.kernel[i] = kernels[k][i];
                c.opts.pad_lo[i] = c.opts.pad_hi[i] = kernels[k][i] / 2;
            }
            check_conv_case(&c);
        }
}

static void test_types(void **state)
{
    (void)state;
    conv_case c = {.t = 2, .h = 5, .w = 6, .c = 16, .o = 32, .kernel = {1, 3, 3}, .bias = true};
    c.opts = (kn_conv_opts){.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}};
    check_types(c);
    c.add = true;
    check_types(c);
    c.opts.upsample2 = true;
    check_types(c);
    c.packed_doubled = true;
    check_types(c);
    c.add = false;
    check_types(c);
}

/* Doubled pictures that pass in several strips, the last one moved back over rows of the one before. */
static void test_doubled_strips(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        conv_case c = {
            .t = 2, .h = 67, .w = 300, .c = 3, .o = 64, .kernel = {1, 3, 3}, .bias = true, .add = i & 1};
        c.x = c.wt = c.out = i & 2 ? KN_BF16 : KN_F32;
        c.opts = (kn_conv_opts){.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = true};
        c.packed_doubled = true;
        check_conv_case(&c);
    }
}

/* Pictures whose type changes on the way in and that pass in several strips and groups of frames. */
static void test_gathered_strips(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i += 2) {
        conv_case c = {
            .t = 5, .h = 150, .w = 300, .c = 64, .o = 1, .kernel = {3, 3, 3}, .bias = true, .add = i == 0};
        c.x = KN_BF16;
        c.wt = KN_F32;
        c.out = i & 2 ? KN_BF16 : KN_F32;
        c.opts = (kn_conv_opts){.stride = {1, i ? 1 : 2, 2}, .pad_lo = {2, 1, 0}, .pad_hi = {0, 1, 1}};
        check_conv_case(&c);
    }
}

static void test_padding_and_stride(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        conv_case c = {.t = 4, .h = 8, .w = 9, .c = 8, .o = 16, .kernel = {3, 3, 3}, .bias = true};
        c.x = c.wt = c.out = i & 8 ? KN_BF16 : KN_F32;
        c.add = i & 1;
        c.opts = (kn_conv_opts){.stride = {1 + (i & 1), 1 + (i >> 1 & 1), 1 + (i >> 2 & 1)},
                                .pad_lo = {2, i & 1, i >> 1 & 1},
                                .pad_hi = {0, i >> 2 & 1, 1}};
        check_conv_case(&c);
    }
    conv_case down = {.t = 2, .h = 8, .w = 10, .c = 16, .o = 16, .kernel = {1, 3, 3}};
    down.opts = (kn_conv_opts){.stride = {1, 2, 2}, .pad_hi = {0, 1, 1}};
    check_conv_case(&down);
    conv_case all_padding = {.t = 1, .h = 3, .w = 3, .c = 4, .o = 4, .kernel = {3, 1, 1}};
    all_padding.opts = (kn_conv_opts){.pad_lo = {3, 0, 0}, .pad_hi = {3, 1, 0}};
    check_conv_case(&all_padding);
    conv_case frames = {
        .t = 5, .h = 3, .w = 3, .c = 4, .o = 4, .kernel = {1, 1, 1}, .opts = {.stride = {2, 2, 2}}};
    check_conv_case(&frames);
}

/* One weight for pictures that like different layouts, and back. */
static void test_layouts(void **state)
{
    (void)state;
    conv_case c = {
        .t = 1, .c = 192, .o = 192, .kernel = {1, 3, 3}, .x = KN_BF16, .wt = KN_BF16, .out = KN_BF16};
    c.opts = (kn_conv_opts){.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}};
    conv_rig r = {.dev = open_device(NULL, 0)};
    rig_weight(&r, &c);
    const int64_t sides[] = {4, 24, 16, 5, 24};
    for (int i = 0; i < 5; i++) {
        c.h = c.w = sides[i];
        check_picture(&r, &c);
    }
    rig_done(&r);
}

/* Enough work that it is done in steps of frames: equal to the steps done one by one. */
static void test_steps(void **state)
{
    (void)state;
    conv_case c = {.t = 5, .h = 64, .w = 64, .c = 512, .o = 512, .kernel = {3, 3, 3}};
    c.x = c.wt = c.out = KN_BF16;
    c.opts = (kn_conv_opts){.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}};
    conv_rig r = {.dev = open_device(NULL, 0)};
    rig_weight(&r, &c);
    rig_picture(&r, &c);
    rig_run(&r);
    const int64_t *d = r.args.out.dims;
    double e = 0, n = 0;
    for (int64_t i = 0; i < 300; i++) {
        int64_t t = i % d[0], y = i * 37 % d[1], x = i * 53 % d[2], o = i * 91 % d[3];
        double want = want_at(&r, &c, t, y, x, o);
        double diff = check_get(r.args.out, ((t * d[1] + y) * d[2] + x) * d[3] + o) - want;
        e += diff * diff;
        n += want * want;
    }
    assert_true(sqrt(e / n) < 6e-3);
    atomic_bool cancel = true;
    r.args.cancel = &cancel;
    kn_err err = {0};
    assert_int_equal(r.dev->ops->conv(r.dev, &r.args, &err), KN_ECANCELLED);
    rig_picture_done(&r);
    rig_done(&r);
}

static void test_without_bf16(void **state)
{
    (void)state;
    conv_case c = {
        .isa = "avx2", .t = 2, .h = 5, .w = 6, .c = 16, .o = 32, .kernel = {3, 3, 3}, .bias = true};
    c.opts = (kn_conv_opts){.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}};
    c.add = true;
    check_types(c);
}

static void test_repeatable(void **state)
{
    (void)state;
    conv_case c = {.t = 3, .h = 20, .w = 20, .c = 96, .o = 96, .kernel = {3, 3, 3}, .bias = true};
    c.opts = (kn_conv_opts){.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}};
    kn_tensor outs[3];
    for (int i = 0; i < 3; i++) {
        conv_rig r = {.dev = open_device(NULL, i == 2 ? 1 : 2)};
        rig_weight(&r, &c);
        rig_picture(&r, &c);
        rig_run(&r);
        outs[i] = check_clone(r.args.out);
        rig_picture_done(&r);
        rig_done(&r);
    }
    assert_memory_equal(outs[0].data, outs[1].data, kn_bytes(outs[0]));
    /* with another thread count oneDNN divides the sums over channels differently */
    double e = 0, n = 0;
    for (int64_t i = 0; i < kn_numel(outs[0]); i++) {
        double a = check_get(outs[0], i), b = check_get(outs[2], i);
        e += (a - b) * (a - b);
        n += a * a;
    }
    assert_true(sqrt(e / n) < 1e-6);
    for (int i = 0; i < 3; i++)
        check_free(&outs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_padding_and_stride),
        cmocka_unit_test(test_doubled_strips),
        cmocka_unit_test(test_gathered_strips),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_without_bf16),
        cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
