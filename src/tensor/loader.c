#include "tensor/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tensor/checkpoint_priv.h"
#include "tensor/checkpoint_random.h"
#include "tensor/loader_set.h"
#include "tensor/loader_source.h"

enum { MAX_STACK = 8 }; /* q, k, v and the like; three is the most in use */

void kn_loader_init(kn_loader *l, kn_weight_set *set, kn_checkpoint *ck, const kn_lora_set *lora,
                    kn_dtype dtype)
{
    KN_ASSERT(dtype == KN_F32 || dtype == KN_BF16 || dtype == KN_I8);
    *l = (kn_loader){.set = set, .ck = ck, .lora = lora, .dtype = dtype};
}

void kn_loader_prefix(kn_loader *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->prefix, sizeof l->prefix, fmt, ap);
    va_end(ap);
    if ((n < 0 || (size_t)n >= sizeof l->prefix) && !l->err.code)
        kn_fail(&l->err, KN_EINTERNAL, "the prefix %.80s... has %d bytes, expected at most %zu", l->prefix, n,
                sizeof l->prefix - 1);
}

/* ---- weights: one or several modules, stacked by rows ---- */

typedef struct weight_parts {
    int n;
    kn_source weight[MAX_STACK], bias[MAX_STACK];
    int64_t rows, n_in;  /* of one part; n_in with the kernel's taps */
    kn_weight_spec spec; /* of the whole */
    unsigned flags;
} weight_parts;

/* Finds every part and checks its shape. False: an error, or the first part is absent and that is allowed. */
static bool find_parts(kn_loader *l, const char *const *names, weight_parts *p)
{
    int64_t dims[5];
    memcpy(dims, p->spec.dims, sizeof dims);
    dims[0] = p->rows;
    bool is_conv = p->spec.kind == KN_WEIGHT_CONV;
    for (int i = 0; i < p->n; i++) {
        bool optional = (p->flags & KN_LOAD_OPTIONAL) && i == 0;
        if (!kn_source_find(l, names[i], ".weight", optional, &p->weight[i]) ||
            !kn_source_expect(l, &p->weight[i], is_conv ? 5 : 2, dims, !is_conv))
            return false;
        if (p->spec.bias && (!kn_source_find(l, names[i], ".bias", false, &p->bias[i]) ||
                             !kn_source_expect(l, &p->bias[i], 1, &p->rows, false)))
            return false;
    }
    return true;
}

static void *alloc_host(kn_loader *l, const char *name, int64_t n, size_t size)
{
    size_t bytes;
    void *p = kn_mul_overflows((size_t)n, size, &bytes) ? NULL : malloc(bytes ? bytes : 1);
    if (!p)
        kn_fail(&l->err, KN_ENOMEM, "no memory to convert the %lld elements of %.200s", (long long)n, name);
    return p;
}

/* Random weights are drawn in the type they are packed from, as there may be many gigabytes of them. */
static int draw_parts(kn_loader *l, const weight_parts *p, void *data, kn_dtype dtype)
{
    size_t part_bytes = kn_dtype_bytes(dtype, p->rows * p->n_in);
    int rc = 0;
    for (int i = 0; i < p->n && !rc; i++) {
        kn_random_kind kind = kn_random_kind_of(p->weight[i].name, p->n_in);
        rc = kn_checkpoint_random_fill(l->ck, p->weight[i].name, kind.mean, kind.std, dtype,
                                       (char *)data + (size_t)i * part_bytes, p->rows * p->n_in, &l->err);
    }
    return rc;
}

static int decode_parts(kn_loader *l, const weight_parts *p, float *data)
{
    int rc = 0;
    for (int i = 0; i < p->n && !rc; i++)
        rc = kn_source_decode(l, &p->weight[i], p->rows, p->n_in, (kn_random_kind){0},
                              data + i * p->rows * p->n_in);
    return rc;
}

static float *decode_bias(kn_loader *l, const weight_parts *p)
{
    float *bias = alloc_host(l, p->bias[0].name, p->n * p->rows, sizeof *bias);
    for (int i = 0; bias && i < p->n && !l->err.code; i++)
        kn_source_decode(l, &p->bias[i], p->rows, 1, kn_random_kind_of("bias", 0), bias + i * p->rows);
    return bias;
}

/* Fills src; *ret_data and *ret_bias are what the caller frees afterwards. */
static void make_src(kn_loader *l, const weight_parts *p, kn_weight_src *src, void **ret_data,
                     float **ret_bias)
{
    bool random = kn_checkpoint_is_random(l->ck);
    for (int i = 0; i < p->n; i++)
        kn_source_prefetch(l, &p->weight[i]);
    src->data = p->n == 1 ? kn_source_as_is(l, &p->weight[0]) : NULL;
    if (src->data) {
        src->dtype = p->weight[0].entry->dtype;
    } else {
        src->dtype = random && p->spec.dtype != KN_F32 ? KN_BF16 : KN_F32;
        src->data = *ret_data =
            alloc_host(l, p->weight[0].name, p->n * p->rows * p->n_in, kn_dtype_bytes(src->dtype, 1));
        if (src->data && random)
            draw_parts(l, p, *ret_data, src->dtype);
        else if (src->data)
            decode_parts(l, p, *ret_data);
    }
    if (p->spec.bias && !l->err.code)
        src->bias = *ret_bias = decode_bias(l, p);
}

/* Host memory that making a weight takes beside it: the source, as it lies or converted, and what packing needs. */
static int64_t making_bytes(const kn_loader *l, const weight_parts *p)
{
    kn_device *dev = l->set->dev;
    int64_t n = p->n * p->rows * p->n_in;
    bool random = kn_checkpoint_is_random(l->ck), as_is = p->n == 1 && kn_source_as_is(l, &p->weight[0]);
    kn_dtype type = as_is ? p->weight[0].entry->dtype : random && p->spec.dtype != KN_F32 ? KN_BF16 : KN_F32;
    size_t bytes = as_is ? 0 : kn_dtype_bytes(type, n);
    for (int i = 0; i < p->n && !random; i++)
        bytes += p->weight[i].entry->bytes;
    if (dev->ops->weight_packing)
        bytes += dev->ops->weight_packing(dev, &p->spec, type);
    return (int64_t)bytes;
}

/* ---- from and to a packed file ---- */

static kn_packed_item item_of(kn_loader *l, const char *const *names, const weight_parts *p, char *what,
                              size_t size)
{
    uint64_t others = KN_FNV1A_BEGIN;
    const int64_t *d = p->spec.dims;
    for (int i = 1; i < p->n; i++)
        others = kn_fnv1a(others, names[i], strlen(names[i]) + 1);
    snprintf(what, size, "%s %lldx%lldx%lldx%lldx%lld %s%s%s, %d tensors %016llx",
             p->spec.kind == KN_WEIGHT_CONV ? "conv" : "linear", (long long)d[0], (long long)d[1],
             (long long)d[2], (long long)d[3], (long long)d[4], kn_dtype_name(p->spec.dtype),
             p->spec.bias ? " bias" : "", p->spec.upsample2 ? " doubled" : "", p->n,
             (unsigned long long)others);
    kn_packed_item item = {.name = p->weight[0].name, .what = what};
    if (l->packed && !l->set->dev->is_meta)
        item.format = kn_weight_format(l->set->dev, &p->spec);
    return item;
}

static void note_parts(kn_loader *l, const weight_parts *p, const kn_packed_item *item)
{
    size_t bytes = 0;
    const void *data = kn_packed_find(l->packed, item->name, item->what, &bytes);
    if (data)
        kn_loader_note(l, data, bytes);
    for (int i = 0; i < p->n && !data; i++) {
        kn_source_note(l, &p->weight[i]);
        kn_source_note(l, &p->bias[i]);
    }
}

static const kn_weight *recall(kn_loader *l, const weight_parts *p, kn_packed_item *item)
{
    kn_device *dev = l->set->dev;
    if (dev->is_meta || !item->format || !kn_packed_is_ready(l->packed))
        return NULL;
    item->bytes = dev->ops->weight_bytes(dev, &p->spec);
    const void *data = kn_packed_get(l->packed, item);
    return data ? kn_weight_set_map(l->set, &p->spec, data, item->bytes) : NULL;
}

static void record(kn_loader *l, const kn_weight *w, kn_packed_item *item)
{
    if (!item->format || !kn_packed_is_recording(l->packed))
        return;
    item->bytes = w->bytes;
    kn_packed_begin(l->packed, item);
    (void)kn_weight_save(l->set->dev, w, kn_packed_put, l->packed);
    kn_packed_end(l->packed);
}

static const kn_weight *make_weight(kn_loader *l, const weight_parts *p)
{
    kn_weight_src src = {0};
    const kn_weight *w = NULL;
    void *data = NULL;
    float *bias = NULL;
    bool is_meta = l->set->dev->is_meta;
    if (!is_meta)
        make_src(l, p, &src, &data, &bias);
    if (!l->err.code && kn_weight_set_add(l->set, &p->spec, &src, &w, &l->err))
        kn_err_prefix(&l->err, "%.200s", p->weight[0].name);
    free(data);
    free(bias);
    for (int i = 0; i < p->n && !is_meta; i++) {
        kn_source_release(l, &p->weight[i]);
        kn_source_release(l, &p->bias[i]);
    }
    return w;
}

/* What making takes counts also where nothing has to be made: a plan is then the same, whatever lies on the disk. */
static const kn_weight *load_weight(kn_loader *l, const char *const *names, weight_parts *p)
{
    char what[160];
    if (!find_parts(l, names, p))
        return NULL;
    kn_packed_item item = item_of(l, names, p, what, sizeof what);
    int64_t making = making_bytes(l, p);
    kn_device_account_host(l->set->dev, making);
    note_parts(l, p, &item);
    const kn_weight *w = recall(l, p, &item);
    if (!w) {
        w = make_weight(l, p);
        if (w)
            record(l, w, &item);
    }
    kn_device_account_host(l->set->dev, -making);
    return w;
}

static kn_dtype weight_dtype(const kn_loader *l, unsigned flags, bool is_conv)
{
    if (flags & KN_LOAD_F32)
        return KN_F32;
    if (l->dtype == KN_I8 && (is_conv || flags & KN_LOAD_KEEP_FLOAT))
        return KN_BF16;
    return l->dtype;
}

static const kn_weight *load_twin(const kn_loader *l, const char *const *names, const weight_parts *p,
                                  kn_dtype dtype, kn_err *err)
{
    kn_loader plain = *l;
    weight_parts twin = *p;
    plain.packed = NULL;
    twin.spec.dtype = dtype;
    const kn_weight *w = load_weight(&plain, names, &twin);
    if (plain.err.code)
        *err = plain.err;
    return w;
}

static void add_twins(kn_loader *l, const char *const *names, const weight_parts *p)
{
    kn_weight *w = l->set->weights->w; /* which was added last */
    w->name = kn_strdup(p->weight[0].name);
    if (!w->name)
        kn_fail(&l->err, KN_ENOMEM, "no memory for a name");
    if (!l->err.code)
        w->exact = load_twin(l, names, p, KN_F32, &l->err);
    if (!l->err.code && l->dtype == KN_I8 && p->spec.dtype != KN_I8)
        w->as_int8 = load_twin(l, names, p, KN_I8, &l->err);
}

const kn_weight *kn_load_linear_stack(kn_loader *l, const char *const *names, int64_t n_in,
                                      int64_t n_out_each, unsigned flags)
{
    weight_parts p = {.rows = n_out_each, .n_in = n_in, .flags = flags};
    while (names[p.n])
        p.n++;
    KN_ASSERT(p.n >= 1 && p.n <= MAX_STACK);
    p.spec = (kn_weight_spec){.kind = KN_WEIGHT_LINEAR,
                              .dims = {n_out_each * p.n, n_in, 1, 1, 1},
                              .dtype = weight_dtype(l, flags, false),
                              .bias = !(flags & KN_LOAD_NO_BIAS)};
    const kn_weight *w = load_weight(l, names, &p);
    if (w && l->with_exact)
        add_twins(l, names, &p);
    return l->err.code ? NULL : w;
}

const kn_weight *kn_load_linear(kn_loader *l, const char *name, int64_t n_in, int64_t n_out, unsigned flags)
{
    const char *const names[] = {name, NULL};
    return kn_load_linear_stack(l, names, n_in, n_out, flags);
}

const kn_weight *kn_load_conv(kn_loader *l, const char *name, int64_t n_in, int64_t n_out, int kt, int kh,
                              int kw, unsigned flags)
{
    const char *const names[] = {name, NULL};
    weight_parts p = {.n = 1, .rows = n_out, .n_in = n_in * kt * kh * kw, .flags = flags};
    p.spec = (kn_weight_spec){.kind = KN_WEIGHT_CONV,
                              .dims = {n_out, n_in, kt, kh, kw},
                              .dtype = weight_dtype(l, flags, true),
                              .bias = !(flags & KN_LOAD_NO_BIAS),
                              .upsample2 = flags & KN_LOAD_UPSAMPLE2};
    return load_weight(l, names, &p);
}

/* ---- vectors, tables ---- */

static kn_packed_item vector_item(const kn_source *s, kn_tensor t, char *what, size_t size)
{
    snprintf(what, size, "vector of %lld", (long long)kn_numel(t));
    return (kn_packed_item){.name = s->name, .what = what, .bytes = kn_bytes(t)};
}

static void make_vector(kn_loader *l, const kn_source *s, kn_tensor t, const kn_packed_item *item)
{
    int64_t n = kn_numel(t);
    float *host = alloc_host(l, s->name, n, sizeof *host);
    if (host && !kn_source_decode(l, s, n, 1, kn_random_kind_of(s->name, 0), host)) {
        l->set->dev->ops->upload(l->set->dev, t.data, host, item->bytes, &l->err);
        kn_packed_begin(l->packed, item);
        (void)kn_packed_put(l->packed, host, item->bytes);
        kn_packed_end(l->packed);
    }
    free(host);
    kn_source_release(l, s);
}

static void fill_vector(kn_loader *l, const kn_source *s, kn_tensor t)
{
    char what[48];
    kn_packed_item item = vector_item(s, t, what, sizeof what);
    size_t bytes = 0;
    const void *data = kn_packed_find(l->packed, item.name, item.what, &bytes);
    if (data)
        kn_loader_note(l, data, bytes);
    else
        kn_source_note(l, s);
    if (l->set->dev->is_meta)
        return;
    data = kn_packed_get(l->packed, &item);
    if (data)
        l->set->dev->ops->upload(l->set->dev, t.data, data, item.bytes, &l->err);
    else
        make_vector(l, s, t, &item);
}

kn_tensor kn_load_vector(kn_loader *l, const char *name, int n_dims, const int64_t *dims, unsigned flags)
{
    KN_ASSERT(n_dims >= 1 && n_dims <= KN_MAX_DIMS);
    kn_source s;
    kn_tensor t = {.dtype = KN_F32, .n_dims = n_dims};
    for (int i = 0; i < KN_MAX_DIMS; i++)
        t.dims[i] = i < n_dims ? dims[i] : 1;
    if (!kn_source_find(l, name, "", flags & KN_LOAD_OPTIONAL, &s) ||
        !kn_source_expect(l, &s, n_dims, dims, false) ||
        kn_weight_set_alloc(l->set, kn_bytes(t), &t.data, &l->err))
        return (kn_tensor){0};
    fill_vector(l, &s, t);
    return l->err.code ? (kn_tensor){0} : t;
}

int kn_loader_shape(kn_loader *l, const char *name, int64_t dims[KN_ENTRY_MAX_DIMS])
{
    kn_source s;
    if (!kn_source_find(l, name, "", true, &s) || !s.entry)
        return 0;
    memcpy(dims, s.entry->dims, sizeof s.entry->dims);
    return s.entry->n_dims;
}

static int gather_row(kn_loader *l, const kn_source *s, int64_t n_cols, int64_t row, float *out)
{
    char name[sizeof s->name + 24];
    if (s->entry) {
        kn_ck_decode(s->entry, row * n_cols, n_cols, out);
        return 0;
    }
    snprintf(name, sizeof name, "%s#%lld", s->name, (long long)row);
    return kn_checkpoint_random_fill(l->ck, name, 0, 1, KN_F32, out, n_cols, &l->err);
}

int kn_loader_gather(kn_loader *l, const char *name, int64_t n_cols, int n, const int32_t *ids, float *out)
{
    kn_source s;
    if (!kn_source_find(l, name, "", false, &s))
        return l->err.code;
    int64_t n_rows = INT32_MAX;
    if (s.entry) {
        n_rows = s.entry->n_dims ? s.entry->dims[0] : 0;
        if (!kn_source_expect(l, &s, 2, (int64_t[]){n_rows, n_cols}, false))
            return l->err.code;
        if (n_cols % kn_dtype_block(s.entry->dtype) || (l->lora && kn_lora_set_touches(l->lora, s.name)))
            return kn_fail(&l->err, KN_EUNSUPPORTED, "%.150s: rows of %lld %s elements%s cannot be gathered",
                           s.name, (long long)n_cols, kn_dtype_name(s.entry->dtype),
                           l->lora ? ", with a LoRA," : "");
    }
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= n_rows)
            return kn_fail(&l->err, KN_EINVAL, "row %d of %.150s is asked for, which has %lld", ids[i],
                           s.name, (long long)n_rows);
    if (l->set->dev->is_meta) {
        memset(out, 0, (size_t)n * (size_t)n_cols * sizeof *out);
        return 0;
    }
    for (int i = 0; i < n && !l->err.code; i++)
        gather_row(l, &s, n_cols, ids[i], out + i * n_cols);
    kn_source_release(l, &s);
    return l->err.code;
}

/* ---- the end ---- */

static bool is_ignored(const char *name, const char *const *ignore)
{
    size_t n = strlen(name);
    for (; ignore && *ignore; ignore++) {
        const char *p = *ignore;
        size_t m = strlen(p);
        if (*p == '*' ? n >= m - 1 && !strcmp(name + n - (m - 1), p + 1) : !strncmp(name, p, m))
            return true;
    }
    return false;
}

int kn_loader_finish(kn_loader *l, const char *const *ignore, kn_err *err)
{
    char buf[KN_DIMS_STR];
    for (int i = 0; i < kn_checkpoint_count(l->ck) && !l->err.code; i++) {
        const kn_entry *e = kn_checkpoint_at(l->ck, i);
        if (!e->used && !is_ignored(e->name, ignore))
            kn_fail(&l->err, KN_EFORMAT, "tensor %.150s %s in %.150s is not part of this model", e->name,
                    kn_dims_str(e->n_dims, e->dims, buf, sizeof buf), e->file);
    }
    return l->err.code ? kn_fail(err, l->err.code, "%s", l->err.msg) : 0;
}
