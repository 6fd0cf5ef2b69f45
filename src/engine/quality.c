#include "engine/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "engine/plan.h"
#include "tensor/ops.h"

/* ---- sums of squares, by layer ---- */

typedef struct sums {
    const char *name;
    kn_weight_spec spec;
    int64_t n_calls;
    double exact, error, int8_error;
    bool has_int8;
} sums;

typedef struct meter {
    kn_arena arena;
    sums *layers;
    int n, max;
} meter;

enum { MAX_LAYERS = KN_LIMIT_TENSORS };

static sums *layer_of(meter *m, const kn_weight *w)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->layers[i].name, w->name))
            return &m->layers[i];
    if (m->n == m->max) {
        int max = m->max ? 2 * m->max : 256;
        sums *layers = max > 2 * MAX_LAYERS ? NULL : kn_realloc_array(m->layers, (size_t)max, sizeof *layers);
        if (!layers)
            return NULL;
        m->layers = layers;
        m->max = max;
    }
    const char *name = kn_arena_strdup(&m->arena, w->name);
    if (!name)
        return NULL;
    m->layers[m->n] = (sums){.name = name, .spec = w->spec};
    return &m->layers[m->n++];
}

static double distance2(const float *a, const float *b, int64_t n)
{
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = (double)a[i] - (b ? (double)b[i] : 0);
        d += e * e;
    }
    return d;
}

/* x through w, float32 on the host (heap); NULL after an error, which c keeps. */
static float *product(kn_ctx *c, kn_tensor x, const kn_weight *w)
{
    kn_tensor y = kn_linear(c, x, w, KN_ACT_NONE, KN_F32);
    float *host = kn_is_null(y) ? NULL : kn_calloc((size_t)kn_numel(y), sizeof *host);
    if (host)
        kn_to_f32(c, y, host);
    else
        kn_ctx_fail(c, KN_ENOMEM, "no memory to compare the outputs of %.200s",
                    w->name ? w->name : "a layer");
    kn_free(c, &y);
    return host;
}

static void measure(meter *m, kn_ctx *c, const kn_weight *w, kn_tensor x)
{
    sums *s = layer_of(m, w);
    if (!s) {
        kn_ctx_fail(c, KN_ENOMEM, "no memory to measure a layer");
        return;
    }
    int64_t n = kn_numel(x) / w->spec.dims[1] * w->spec.dims[0];
    kn_tensor whole = kn_cast(c, x, KN_F32);
    float *exact = product(c, whole, w->exact), *y = product(c, x, w);
    float *quantised = w->as_int8 ? product(c, x, w->as_int8) : NULL;
    if (exact && y) {
        s->n_calls++;
        s->exact += distance2(exact, NULL, n);
        s->error += distance2(y, exact, n);
    }
    if (exact && quantised) {
        s->has_int8 = true;
        s->int8_error += distance2(quantised, exact, n);
    }
    free(exact);
    free(y);
    free(quantised);
}

static void on_linear(void *ud, kn_ctx *c, const kn_weight *w, kn_tensor x)
{
    const kn_linear_hook *hook = c->on_linear;
    if (!w->exact)
        return;
    c->on_linear = NULL; /* of the products below */
    kn_scope scope = kn_scope_open(c);
    measure(ud, c, w, x);
    kn_scope_close(c, scope, (kn_tensor){0});
    c->on_linear = hook;
}

/* ---- runs ---- */

typedef struct outputs {
    float *step, *latents; /* heap: the first step's prediction, the final latents */
    int64_t n_step, n_latents;
} outputs;

static void on_trace(void *ud, const char *name, const float *data, int n_dims, const int64_t *dims)
{
    outputs *o = ud;
    if (o->step || strcmp(name, "step0.cond") != 0)
        return;
    o->n_step = 1;
    for (int i = 0; i < n_dims; i++)
        o->n_step *= dims[i];
    o->step = kn_calloc((size_t)o->n_step, sizeof *o->step);
    if (o->step)
        memcpy(o->step, data, (size_t)o->n_step * sizeof *data);
}

/* The latents are there when pictures come, and pictures are not asked for. */
static int stop(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb, kn_err *err)
{
    (void)ud, (void)first, (void)n, (void)width, (void)height, (void)rgb;
    return kn_fail(err, KN_ECANCELLED, "enough");
}

static int take_latents(kn_run *r, outputs *o)
{
    o->n_latents = 1;
    for (int i = 0; i < 5; i++)
        o->n_latents *= r->latents_dims[i];
    o->latents = r->latents;
    r->latents = NULL;
    return o->step && o->latents ? 0 : -1;
}

static int run(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev, meter *m,
               outputs *ret, kn_err *err)
{
    kn_ctx ctx = {0};
    kn_run r;
    kn_linear_hook hook = {on_linear, m};
    int rc = kn_ctx_init(&ctx, dev, kn_activation_dtype(kn_request_dtype(rq, dev)), 0, err);
    if (rc)
        return rc;
    kn_run_init(&r, &ctx, rq);
    ctx.on_linear = m ? &hook : NULL;
    r.with_exact = m != NULL;
    r.trace = on_trace;
    r.trace_ud = ret;
    r.pictures = stop;
    kn_err why = {0};
    rc = desc->generate(model, &r, &why);
    if (rc && !(rc == KN_ECANCELLED && r.latents))
        rc = kn_fail(err, rc, "%s", why.msg);
    else
        rc = take_latents(&r, ret) ? kn_fail(err, KN_ENOMEM, "no memory for what a run gave") : 0;
    kn_run_done(&r);
    kn_ctx_done(&ctx);
    return rc;
}

static double relative(const float *a, const float *exact, int64_t n)
{
    double all = distance2(exact, NULL, n);
    return all > 0 ? sqrt(distance2(a, exact, n) / all) : 0;
}

/* ---- the result ---- */

static int worst_first(const void *a, const void *b)
{
    const kn_layer_quality *x = a, *y = b;
    if (x->error != y->error)
        return x->error < y->error ? 1 : -1;
    return strcmp(x->name, y->name);
}

static int gather(const meter *m, kn_quality *q, kn_err *err)
{
    q->layers = kn_calloc((size_t)m->n + 1, sizeof *q->layers);
    if (!q->layers)
        return kn_fail(err, KN_ENOMEM, "no memory for the errors of %d layers", m->n);
    for (int i = 0; i < m->n; i++) {
        const sums *s = &m->layers[i];
        double all = s->exact > 0 ? s->exact : 1;
        kn_layer_quality *l = &q->layers[q->n++];
        *l = (kn_layer_quality){.name = kn_strdup(s->name),
                                .n_in = s->spec.dims[1],
                                .n_out = s->spec.dims[0],
                                .n_calls = s->n_calls,
                                .dtype = s->spec.dtype,
                                .error = sqrt(s->error / all),
                                .int8_error = s->has_int8 ? sqrt(s->int8_error / all) : -1};
        if (!l->name)
            return kn_fail(err, KN_ENOMEM, "no memory for the errors of %d layers", m->n);
    }
    qsort(q->layers, (size_t)q->n, sizeof *q->layers, worst_first);
    return 0;
}

int kn_quality_measure(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                       kn_quality *ret, kn_err *err)
{
    kn_request exact;
    outputs a = {0}, b = {0};
    meter m = {0};
    kn_quality q = {.dtype = kn_request_dtype(rq, dev)};
    kn_arena_init(&m.arena, (size_t)64 << 20);
    kn_request_init(&exact);
    int rc = kn_request_copy(rq, &exact, err);
    if (!rc)
        rc = kn_request_set(&exact, "dtype", "f32", err);
    if (!rc)
        rc = run(desc, model, &exact, dev, NULL, &a, err);
    if (!rc)
        rc = run(desc, model, rq, dev, &m, &b, err);
    if (!rc)
        rc = gather(&m, &q, err);
    if (!rc) {
        KN_ASSERT(a.n_step == b.n_step && a.n_latents == b.n_latents);
        q.step_error = relative(b.step, a.step, a.n_step);
        q.latents_error = relative(b.latents, a.latents, a.n_latents);
        *ret = q;
    } else {
        kn_quality_done(&q);
    }
    free(a.step);
    free(a.latents);
    free(b.step);
    free(b.latents);
    free(m.layers);
    kn_arena_done(&m.arena);
    kn_request_done(&exact);
    return rc;
}

void kn_quality_done(kn_quality *q)
{
    for (int i = 0; i < q->n; i++)
        free(q->layers[i].name);
    free(q->layers);
    *q = (kn_quality){0};
}

json_t *kn_quality_to_json(const kn_quality *q)
{
    json_t *layers = json_array();
    for (int i = 0; i < q->n; i++) {
        const kn_layer_quality *l = &q->layers[i];
        json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:s, s:f}", "name", l->name, "n_in", (json_int_t)l->n_in,
                              "n_out", (json_int_t)l->n_out, "calls", (json_int_t)l->n_calls, "dtype",
                              kn_dtype_name(l->dtype), "error", l->error);
        if (l->int8_error >= 0)
            json_object_set_new(o, "int8_error", json_real(l->int8_error));
        json_array_append_new(layers, o);
    }
    return json_pack("{s:s, s:f, s:f, s:o}", "dtype", kn_dtype_name(q->dtype), "step_error", q->step_error,
                     "latents_error", q->latents_error, "layers", layers);
}
