/* Adding what LoRAs change to a weight. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/lora_priv.h"

static float *decode(const kn_entry *e, kn_err *err)
{
    int64_t n = kn_entry_numel(e);
    float *x = kn_calloc((size_t)n, sizeof *x);
    if (!x) {
        kn_fail(err, KN_ENOMEM, "no memory for the %lld elements of %.200s", (long long)n, e->name);
        return NULL;
    }
    if (kn_entry_to_f32(e, x, err)) {
        free(x);
        return NULL;
    }
    return x;
}

/* ---- w += scale * a x b, in tiles of ROWS x COLS whose sums stay in registers ---- */

enum { ROWS = 4, LANES = 4, COLS = 2 * LANES, PANELS = 16 };

/* As wide as every x86-64 and AArch64 register: wider ones are taken apart through memory by gcc 12. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

typedef union columns {
    lanes v[2];
    float f[COLS];
} columns;

typedef struct product {
    const float *a;   /* [n_out, rank] */
    const columns *b; /* panels of COLS columns: [n_in / COLS rounded up, rank] */
    int64_t rank, n_out, n_in;
    float scale;
    float *w;
} product;

static columns *pack_columns(const float *b, int64_t rank, int64_t n_in)
{
    int64_t n_panels = (n_in + COLS - 1) / COLS;
    columns *panels = aligned_alloc(sizeof *panels, (size_t)(n_panels * rank) * sizeof *panels);
    for (int64_t p = 0; panels && p < n_panels; p++) {
        int64_t n = n_in - p * COLS < COLS ? n_in - p * COLS : COLS;
        for (int64_t k = 0; k < rank; k++) {
            columns c = {0};
            memcpy(c.f, b + k * n_in + p * COLS, (size_t)n * sizeof *b);
            panels[p * rank + k] = c;
        }
    }
    return panels;
}

static void add_tile(const product *t, int64_t row, int64_t n_rows, int64_t panel)
{
    lanes sum[ROWS][2] = {{{0}}};
    const columns *b = t->b + panel * t->rank;
    const float *a[ROWS];
    for (int r = 0; r < ROWS; r++)
        a[r] = t->a + (row + (r < n_rows ? r : 0)) * t->rank;
    for (int64_t k = 0; k < t->rank; k++) {
        lanes b0 = b[k].v[0], b1 = b[k].v[1];
        for (int r = 0; r < ROWS; r++) {
            sum[r][0] += a[r][k] * b0;
            sum[r][1] += a[r][k] * b1;
        }
    }
    int64_t at = panel * COLS, n = t->n_in - at < COLS ? t->n_in - at : COLS;
    for (int r = 0; r < n_rows; r++) {
        columns delta = {{sum[r][0] * t->scale, sum[r][1] * t->scale}};
        for (int c = 0; c < n; c++)
            t->w[(row + r) * t->n_in + at + c] += delta.f[c];
    }
}

static void add_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const product *t = arg;
    int64_t n_panels = (t->n_in + COLS - 1) / COLS;
    for (int64_t block = 0; block < n_panels; block += PANELS) {
        int64_t last = block + PANELS < n_panels ? block + PANELS : n_panels;
        for (int64_t row = begin; row < end; row += ROWS)
            for (int64_t p = block; p < last; p++)
                add_tile(t, row, end - row < ROWS ? end - row : ROWS, p);
    }
}

static int add_product(const float *a, const float *b, int64_t rank, float scale, float *w, int64_t n_out,
                       int64_t n_in, kn_err *err)
{
    columns *panels = pack_columns(b, rank, n_in);
    if (!panels)
        return kn_fail(err, KN_ENOMEM, "no memory to merge a LoRA of rank %lld", (long long)rank);
    product t = {a, panels, rank, n_out, n_in, scale, w};
    kn_parallel_for(n_out, ROWS, add_rows, &t);
    free(panels);
    return 0;
}

/* ---- the kinds ---- */

/* out = a x b, or a alone if b is NULL; freed by the caller. */
static float *factor(const kn_entry *a, const kn_entry *b, int64_t *ret_rows, int64_t *ret_cols, kn_err *err)
{
    int64_t rows = a->dims[0], inner = kn_entry_numel(a) / rows,
            cols = b ? kn_entry_numel(b) / b->dims[0] : inner;
    float *x = decode(a, err), *y = x && b ? decode(b, err) : NULL, *out = x;
    if (y) {
        out = kn_calloc((size_t)(rows * cols), sizeof *out);
        int rc = out ? add_product(x, y, inner, 1, out, rows, cols, err)
                     : kn_fail(err, KN_ENOMEM, "no memory for the %lld x %lld product of %.200s",
                               (long long)rows, (long long)cols, a->name);
        free(x);
        free(y);
        if (rc) {
            free(out);
            return NULL;
        }
    } else if (b) {
        free(x);
        return NULL;
    }
    *ret_rows = rows;
    *ret_cols = cols;
    return out;
}

static int apply_low_rank(const kn_delta *d, float *w, kn_err *err)
{
    kn_err e = {0};
    float *up = decode(d->a1, &e), *down = up ? decode(d->b1, &e) : NULL;
    if (down)
        add_product(up, down, d->b1->dims[0], d->scale, w, d->n_out, d->n_in, &e);
    free(up);
    free(down);
    return e.code ? kn_fail(err, e.code, "%s", e.msg) : 0;
}

static int apply_diff(const kn_delta *d, float *w, kn_err *err)
{
    float *x = decode(d->a1, err);
    if (!x)
        return KN_ENOMEM;
    for (int64_t i = 0; i < d->n_out * d->n_in; i++)
        w[i] += d->scale * x[i];
    free(x);
    return 0;
}

static void add_hadamard(const kn_delta *d, const float *x, const float *y, float *w)
{
    for (int64_t i = 0; i < d->n_out * d->n_in; i++)
        w[i] += d->scale * (x[i] * y[i]);
}

/* Element (i * rows2 + k, j * cols2 + l) of the product is x[i, j] * y[k, l]. */
static void add_kronecker(const kn_delta *d, const float *x, int64_t cols1, const float *y, int64_t rows2,
                          int64_t cols2, float *w)
{
    for (int64_t o = 0; o < d->n_out; o++) {
        const float *row = y + o % rows2 * cols2;
        for (int64_t j = 0; j < cols1; j++) {
            float s = d->scale * x[o / rows2 * cols1 + j];
            for (int64_t l = 0; l < cols2; l++)
                *w++ += s * row[l];
        }
    }
}

static int apply_two_factors(const kn_delta *d, float *w, kn_err *err)
{
    int64_t rows1, cols1, rows2, cols2;
    float *x = factor(d->a1, d->b1, &rows1, &cols1, err), *y = NULL;
    if (x)
        y = factor(d->a2, d->b2, &rows2, &cols2, err);
    if (y && d->kind == KN_DELTA_LOHA)
        add_hadamard(d, x, y, w);
    else if (y)
        add_kronecker(d, x, cols1, y, rows2, cols2, w);
    int rc = y ? 0 : KN_ENOMEM;
    free(x);
    free(y);
    return rc;
}

int kn_lora_set_apply(const kn_lora_set *s, const char *tensor, float *w, int64_t n_out, int64_t n_in,
                      kn_err *err)
{
    int rc = 0;
    for (const kn_delta *d = kn_lora_first(s, tensor); d && !rc; d = kn_lora_next(d)) {
        if (d->n_out * d->n_in != n_out * n_in)
            return kn_fail(err, KN_EINTERNAL, "a LoRA of %.200s is for %lld x %lld elements, not %lld x %lld",
                           tensor, (long long)d->n_out, (long long)d->n_in, (long long)n_out,
                           (long long)n_in);
        switch (d->kind) {
        case KN_DELTA_LOW_RANK:
            rc = apply_low_rank(d, w, err);
            break;
        case KN_DELTA_DIFF:
            rc = apply_diff(d, w, err);
            break;
        default:
            rc = apply_two_factors(d, w, err);
        }
    }
    return rc;
}
