#include "tensor/lora_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/checkpoint_priv.h"

typedef struct job {
    kn_lora_set *set;
    kn_checkpoint *file;
    float strength;
    const kn_lora_modules *modules;
    kn_lora_config config;
} job;

/* A key of the file, cut into module and suffix, and the target's tensor it is about. */
typedef struct site {
    char module[KN_LORA_NAME], tensor[KN_LORA_NAME];
    const kn_entry *key, *target;
    int64_t n_out, n_in;
} site;

static bool split(const kn_entry *key, const char *suffix, site *s)
{
    size_t n = strlen(key->name), m = strlen(suffix);
    if (n <= m || strcmp(key->name + n - m, suffix) != 0)
        return false;
    s->key = key;
    memcpy(s->module, key->name, n - m);
    s->module[n - m] = '\0';
    return true;
}

static int locate(const job *j, site *s, const char *module, const char *suffix, bool bare, kn_err *err)
{
    s->target = kn_lora_resolve(j->modules, module, suffix, bare, s->tensor);
    if (!s->target)
        return kn_fail(err, KN_EFORMAT, "%.120s: key %.150s names no module of %.150s", s->key->file,
                       s->key->name, kn_checkpoint_path(j->modules->target));
    int64_t n = kn_entry_numel(s->target);
    s->n_out = s->target->n_dims ? s->target->dims[0] : 1;
    s->n_in = s->n_out ? n / s->n_out : 0;
    return 0;
}

static int fail_shape(const site *s, const kn_entry *e, kn_err *err)
{
    char found[KN_DIMS_STR], target[KN_DIMS_STR];
    return kn_fail(err, KN_EFORMAT, "%.100s: key %.120s is %s, which does not fit tensor %.120s %s", e->file,
                   e->name, kn_dims_str(e->n_dims, e->dims, found, sizeof found), s->tensor,
                   kn_dims_str(s->target->n_dims, s->target->dims, target, sizeof target));
}

/* The key `<module><suffix>`, marked as used; NULL if absent. */
static const kn_entry *sibling(const job *j, const site *s, const char *suffix)
{
    char name[KN_LORA_NAME + 32];
    snprintf(name, sizeof name, "%s%s", s->module, suffix);
    kn_entry *e = kn_checkpoint_find(j->file, name);
    if (e)
        e->used = true;
    return e;
}

static int need_sibling(const job *j, const site *s, const char *suffix, const kn_entry **ret, kn_err *err)
{
    *ret = sibling(j, s, suffix);
    if (!*ret)
        return kn_fail(err, KN_EFORMAT, "%.120s: key %.150s has no %.150s%s beside it", s->key->file,
                       s->key->name, s->module, suffix);
    return 0;
}

/* strength x alpha / rank */
static int scale_of(const job *j, const site *s, int64_t rank, float *ret, kn_err *err)
{
    double scale = kn_lora_config_scale(&j->config, s->module, rank);
    const kn_entry *e = sibling(j, s, ".alpha");
    if (e) {
        float alpha = NAN;
        int rc = kn_entry_numel(e) == 1 ? kn_entry_to_f32(e, &alpha, err) : 0;
        if (rc)
            return rc;
        if (!isfinite(alpha))
            return kn_fail(err, KN_EFORMAT, "%.200s: key %.200s is not one finite number", e->file, e->name);
        scale = (double)alpha / (double)rank;
    }
    *ret = (float)((double)j->strength * scale);
    return 0;
}

static int put(const job *j, const site *s, kn_delta d, kn_err *err)
{
    d.tensor = s->tensor;
    d.n_out = s->n_out;
    d.n_in = s->n_in;
    return j->strength == 0 ? 0 : kn_lora_put(j->set, &d, err);
}

/* A matrix whose first dimension counts rows; its columns are all the others together. */
static bool matrix(const kn_entry *e, int64_t *rows, int64_t *cols)
{
    if (e->n_dims < 2 || e->dims[0] < 1)
        return false;
    *rows = e->dims[0];
    *cols = kn_entry_numel(e) / *rows;
    return *cols > 0;
}

/* ---- low rank ---- */

static const struct {
    const char *down, *up, *bias;
} pairs[] = {
    {".lora_down.weight", ".lora_up.weight", ".lora_up.bias"},
    {".lora_A.weight", ".lora_B.weight", ".lora_B.bias"},
    {".lora_A.default.weight", ".lora_B.default.weight", ".lora_B.default.bias"},
    {".lora.down.weight", ".lora.up.weight", ".lora.up.bias"},
    {".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ".lora_linear_layer.up.bias"},
};

static int read_up_bias(const job *j, site *s, const kn_entry *bias, float scale, kn_err *err)
{
    s->key = bias;
    int rc = locate(j, s, s->module, ".bias", false, err);
    if (!rc && kn_entry_numel(bias) != kn_entry_numel(s->target))
        rc = fail_shape(s, bias, err);
    return rc ? rc : put(j, s, (kn_delta){.kind = KN_DELTA_DIFF, .scale = scale, .a1 = bias}, err);
}

static int read_pair(const job *j, site *s, size_t p, kn_err *err)
{
    const kn_entry *down = s->key, *up = NULL, *bias = sibling(j, s, pairs[p].bias);
    int64_t rank = 0, n_in = 0, n_out = 0, up_rank = 0;
    float scale = 0;
    int rc = need_sibling(j, s, pairs[p].up, &up, err);
    if (!rc)
        rc = locate(j, s, s->module, ".weight", false, err);
    if (!rc && (!matrix(down, &rank, &n_in) || n_in != s->n_in))
        rc = fail_shape(s, down, err);
    if (!rc && (!matrix(up, &n_out, &up_rank) || n_out != s->n_out || up_rank != rank))
        rc = fail_shape(s, up, err);
    if (!rc)
        rc = scale_of(j, s, rank, &scale, err);
    if (!rc)
        rc = put(j, s, (kn_delta){.kind = KN_DELTA_LOW_RANK, .scale = scale, .a1 = up, .b1 = down}, err);
    return rc || !bias ? rc : read_up_bias(j, s, bias, scale, err);
}

/* ---- whole differences ---- */

static const struct {
    const char *suffix, *inner, *target;
    bool bare; /* may also be about a tensor that is not called .weight */
} diffs[] =
    {
        {".diff", "", ".weight", true},        {".diff_b", "", ".bias", false},
        {".w_norm", "", ".weight", false},     {".b_norm", "", ".bias", false},
        {".diff_m", ".modulation", "", false}, /* Wan: of a block's modulation table */
};

static int read_diff(const job *j, site *s, size_t d, kn_err *err)
{
    char module[KN_LORA_NAME + 32];
    snprintf(module, sizeof module, "%s%s", s->module, diffs[d].inner);
    int rc = locate(j, s, module, diffs[d].target, diffs[d].bare, err);
    if (!rc && kn_entry_numel(s->key) != kn_entry_numel(s->target))
        rc = fail_shape(s, s->key, err);
    return rc ? rc : put(j, s, (kn_delta){.kind = KN_DELTA_DIFF, .scale = j->strength, .a1 = s->key}, err);
}

/* ---- LyCORIS: LoHa and LoKr ---- */

static int read_loha(const job *j, site *s, kn_err *err)
{
    static const char *const b_names[2] = {".hada_w1_b", ".hada_w2_b"};
    kn_delta d = {.kind = KN_DELTA_LOHA, .a1 = s->key};
    const kn_entry **b[2] = {&d.b1, &d.b2}, *const * a[2] = {&d.a1, &d.a2};
    int64_t rank = 0, n_in = 0, n_out = 0, a_rank = 0;
    int rc = need_sibling(j, s, ".hada_w2_a", &d.a2, err);
    for (int i = 0; i < 2 && !rc; i++)
        rc = need_sibling(j, s, b_names[i], b[i], err);
    if (!rc)
        rc = locate(j, s, s->module, ".weight", false, err);
    for (int i = 0; i < 2 && !rc; i++) {
        if (!matrix(*b[i], &rank, &n_in) || n_in != s->n_in)
            rc = fail_shape(s, *b[i], err);
        else if (!matrix(*a[i], &n_out, &a_rank) || n_out != s->n_out || a_rank != rank)
            rc = fail_shape(s, *a[i], err);
    }
    if (!rc)
        rc = scale_of(j, s, rank, &d.scale, err);
    return rc ? rc : put(j, s, d, err);
}

/* One factor of a Kronecker product: whole, or a product of two of the given rank. */
static int read_factor(const job *j, site *s, int which, const kn_entry **a, const kn_entry **b,
                       int64_t *rows, int64_t *cols, int64_t *rank, kn_err *err)
{
    char name[16];
    snprintf(name, sizeof name, ".lokr_w%d", which);
    *a = sibling(j, s, name);
    if (*a)
        return matrix(*a, rows, cols) ? 0 : fail_shape(s, *a, err);
    int64_t a_rank;
    snprintf(name, sizeof name, ".lokr_w%d_a", which);
    int rc = need_sibling(j, s, name, a, err);
    snprintf(name, sizeof name, ".lokr_w%d_b", which);
    if (!rc)
        rc = need_sibling(j, s, name, b, err);
    if (rc)
        return rc;
    return matrix(*a, rows, &a_rank) && matrix(*b, rank, cols) && a_rank == *rank ? 0
                                                                                  : fail_shape(s, *a, err);
}

static int read_lokr(const job *j, site *s, kn_err *err)
{
    kn_delta d = {.kind = KN_DELTA_LOKR};
    int64_t rows1 = 0, cols1 = 0, rows2 = 0, cols2 = 0, rank = 0, n_out, n_in;
    int rc = locate(j, s, s->module, ".weight", false, err);
    if (!rc)
        rc = read_factor(j, s, 1, &d.a1, &d.b1, &rows1, &cols1, &rank, err);
    if (!rc)
        rc = read_factor(j, s, 2, &d.a2, &d.b2, &rows2, &cols2, &rank, err);
    if (!rc && (__builtin_mul_overflow(rows1, rows2, &n_out) || __builtin_mul_overflow(cols1, cols2, &n_in) ||
                n_out != s->n_out || n_in != s->n_in))
        rc = fail_shape(s, d.a1, err);
    if (!rc && rank)
        rc = scale_of(j, s, rank, &d.scale, err);
    else
        d.scale = j->strength; /* two whole factors have no rank, and LyCORIS then leaves alpha out */
    (void)sibling(j, s, ".alpha");
    return rc ? rc : put(j, s, d, err);
}

/* ---- one file ---- */

/* Reads the key if it is the first of a group; its siblings are found from it. */
static int read_key(const job *j, kn_entry *key, kn_err *err)
{
    site s = {0};
    int rc = 1;
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs && rc > 0; p++)
        if (split(key, pairs[p].down, &s))
            rc = read_pair(j, &s, p, err);
    for (size_t d = 0; d < sizeof diffs / sizeof *diffs && rc > 0; d++)
        if (split(key, diffs[d].suffix, &s))
            rc = read_diff(j, &s, d, err);
    if (rc > 0 && split(key, ".hada_w1_a", &s))
        rc = read_loha(j, &s, err);
    if (rc > 0 && (split(key, ".lokr_w1", &s) || split(key, ".lokr_w1_a", &s)))
        rc = read_lokr(j, &s, err);
    key->used |= rc == 0;
    return rc < 0 ? rc : 0;
}

static int fail_unread(const kn_entry *key, kn_err *err)
{
    static const char *const known[] = {
        ".dora_scale", ".lora_magnitude_vector", ".lora_mid.weight", ".hada_t1", ".hada_t2", ".lokr_t2",
        ".set_weight", ".reshape_weight",        ".oft_blocks",      NULL};
    site s;
    for (int i = 0; known[i]; i++)
        if (split(key, known[i], &s))
            return kn_fail(err, KN_EUNSUPPORTED, "%.200s: key %.200s: %s is not supported", key->file,
                           key->name, known[i] + 1);
    return kn_fail(err, KN_EFORMAT,
                   "%.200s: key %.200s is not understood or lacks its partner; expected lora_A and lora_B, "
                   "lora_down and "
                   "lora_up, alpha, diff, diff_b, LoHa or LoKr",
                   key->file, key->name);
}

int kn_lora_read(kn_lora_set *s, kn_checkpoint *file, float strength, const kn_lora_modules *modules,
                 kn_err *err)
{
    job j = {.set = s, .file = file, .strength = strength, .modules = modules};
    int n = kn_checkpoint_count(file), rc = kn_lora_config_init(&j.config, file, err);
    if (!rc && n == 0)
        rc = kn_fail(err, KN_EFORMAT, "%.300s has no tensors, expected a LoRA", kn_checkpoint_path(file));
    for (int i = 0; i < n && !rc; i++)
        rc = read_key(&j, kn_checkpoint_at(file, i), err);
    for (int i = 0; i < n && !rc; i++)
        if (!kn_checkpoint_at(file, i)->used)
            rc = fail_unread(kn_checkpoint_at(file, i), err);
    kn_lora_config_done(&j.config);
    return rc;
}
