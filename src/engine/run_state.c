#include "engine/run_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/fingerprint.h"
#include "engine/run_state_dir.h"
#include "tensor/checkpoint.h"

/* Saving may cost a hundredth of the time; before the first save a slow disk (100 MB/s, 10 ms for fsync) is assumed. */
enum { TIMES_COST = 100 };
static const double guess_fixed_s = 0.01, guess_bytes_per_s = 1e8;

struct kn_run_state {
    kn_run_dir dir;
    char *file; /* of the segment that is made */
    /* loaded */
    bool resuming;         /* what an earlier run left of the next segments is wanted, too */
    kn_checkpoint *loaded; /* NULL: begin at the beginning */
    int first_step;
    /* to be saved */
    char *identity; /* JSON */
    double last_s, cost_s;
    int kept_step; /* the newest on disk */
    bool failed;   /* and said so */
};

/* What changes nothing about the frames. */
static json_t *request_json(const kn_request *rq)
{
    json_t *o = kn_request_to_json(rq);
    json_object_del(o, "output");
    json_object_del(o, "format");
    json_object_del(o, "allow_software_video_fallback");
    json_object_del(o, "save_tensors");
    json_object_del(o, "pin");
    json_object_del(o, "memory_budget");
    json_object_del(o, "resident_blocks");
    return o;
}

static char *dump(const json_t *o)
{
    return json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
}

static void drop(kn_run_state *s)
{
    kn_checkpoint_close(s->loaded);
    s->loaded = NULL;
    s->first_step = 0;
}

/* Nothing of it is loaded yet. */
static int use_segment(kn_run_state *s, int segment, kn_err *err)
{
    char *file = kn_run_dir_file(&s->dir, segment);
    drop(s);
    s->kept_step = 0;
    if (!file)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(s->file);
    s->file = file;
    return 0;
}

int kn_run_state_open(const char *state_dir, const kn_request *asked, kn_run_state **ret, kn_err *err)
{
    kn_run_state *s = kn_calloc(1, sizeof *s);
    json_t *o = request_json(asked);
    char *text = o ? dump(o) : NULL;
    int rc = s && text ? 0 : kn_fail(err, KN_ENOMEM, "no memory for the state of a run");
    if (!rc)
        rc = kn_run_dir_open(state_dir, kn_fnv1a(KN_FNV1A_BEGIN, text, strlen(text)), &s->dir, err);
    if (!rc)
        rc = use_segment(s, 0, err);
    if (rc) {
        if (s)
            kn_run_dir_close(&s->dir);
        free(s);
    } else {
        *ret = s;
    }
    free(text);
    json_decref(o);
    return rc;
}

void kn_run_state_close(kn_run_state *s)
{
    if (!s)
        return;
    kn_checkpoint_close(s->loaded);
    kn_run_dir_close(&s->dir);
    free(s->file);
    free(s->identity);
    free(s);
}

void kn_run_state_discard(kn_run_state *s)
{
    if (s)
        kn_run_dir_clear(&s->dir);
    kn_run_state_close(s);
}

/* ---- what an interrupted run left ---- */

/* A whole number of the metadata within [min, max]; -1 if there is none. */
static int64_t meta_int(const kn_checkpoint *ck, const char *key, int64_t min, int64_t max)
{
    const char *text = kn_checkpoint_meta(ck, key);
    char *end = NULL;
    long long v = text ? strtoll(text, &end, 10) : -1;
    return text && end != text && !*end && v >= min && v <= max ? v : -1;
}

static int read_seed(const kn_checkpoint *ck, kn_request *rq, kn_err *err)
{
    const char *text = kn_checkpoint_meta(ck, "identity");
    json_t *o = NULL;
    int rc = kn_json_parse(text ? text : "", text ? strlen(text) : 0, kn_checkpoint_path(ck), &o, err);
    json_t *seed = json_object_get(json_object_get(o, "request"), "seed");
    if (!rc && !json_is_integer(seed))
        rc = kn_fail(err, KN_EFORMAT, "%s says no seed", kn_checkpoint_path(ck));
    if (!rc && rq->seed == KN_UNSET_INT) {
        char digits[24];
        snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(seed));
        rc = kn_request_set(rq, "seed", digits, err);
    }
    json_decref(o);
    return rc;
}

int kn_run_state_load(kn_run_state *s, kn_request *rq, kn_err *err)
{
    kn_checkpoint *ck = NULL;
    s->resuming = false;
    int rc = use_segment(s, 0, err);
    if (!rc)
        rc = kn_checkpoint_open(s->file, NULL, &ck, err);
    if (!rc)
        rc = read_seed(ck, rq, err);
    if (rc) {
        kn_checkpoint_close(ck);
        return rc;
    }
    s->loaded = ck;
    s->resuming = true;
    return 0;
}

bool kn_run_state_is_kept(const kn_run_state *s)
{
    char *first = kn_run_dir_file(&s->dir, 0);
    bool kept = first && kn_path_exists(first);
    free(first);
    return kept;
}

/* The first member that differs, or NULL. */
static const char *difference(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)a, key,
                        v) if (!json_equal(v, json_object_get(b, key))) return key;
    json_object_foreach((json_t *)(uintptr_t)b, key, v) if (!json_object_get(a, key)) return key;
    return NULL;
}

/* Compares what was loaded with what will run. */
static void compare(kn_run_state *s, const json_t *now, char *ret_why, size_t why_size)
{
    json_t *then = NULL;
    const char *text = kn_checkpoint_meta(s->loaded, "identity"), *key = NULL;
    if (kn_json_parse(text, strlen(text), s->file, &then, NULL))
        key = "identity";
    else if ((key = difference(json_object_get(then, "request"), json_object_get(now, "request"))))
        ;
    else if (!json_equal(json_object_get(then, "files"), json_object_get(now, "files")))
        key = "a file that it reads";
    if (key) {
        snprintf(ret_why, why_size, "%s is not what it was; beginning anew", key);
        drop(s);
    } else if ((key = difference(json_object_get(then, "machine"), json_object_get(now, "machine")))) {
        snprintf(ret_why, why_size, "%s is not what it was: frames may differ in their last bits", key);
    }
    json_decref(then);
}

/* The step after which what was loaded goes on; not for final latents. */
static void find_step(kn_run_state *s, int64_t steps, char *ret_why, size_t why_size)
{
    if (kn_checkpoint_find(s->loaded, "final_latents"))
        return;
    int step = (int)meta_int(s->loaded, "steps_done", 1, steps - 1);
    if (step < 0) {
        snprintf(ret_why, why_size, "%s says no step; beginning anew", s->file);
        drop(s);
        return;
    }
    s->first_step = s->kept_step = step;
}

static json_t *identity_json(const kn_request *rq, uint64_t files, const char *device)
{
    char hash[20];
    json_t *request = request_json(rq);
    json_object_del(request, "threads");
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)files);
    return json_pack("{s:o?, s:s, s:o?}", "request", request, "files", hash, "machine",
                     kn_fingerprint_machine(device));
}

int kn_run_state_identify(kn_run_state *s, const kn_request *complete, uint64_t files, const char *device,
                          char *ret_why, size_t why_size, kn_err *err)
{
    json_t *now = identity_json(complete, files, device);
    free(s->identity);
    s->identity = now ? dump(now) : NULL;
    ret_why[0] = '\0';
    if (s->loaded && now)
        compare(s, now, ret_why, why_size);
    json_decref(now);
    if (!s->identity)
        return kn_fail(err, KN_ENOMEM, "no memory for the state of a run");
    if (s->loaded)
        find_step(s, complete->steps, ret_why, why_size);
    s->resuming = s->loaded != NULL;
    return 0;
}

/* Later segments went on from what this one is not any more. */
static void forget_from(kn_run_state *s, int segment)
{
    bool removed = true;
    for (int i = segment; removed; i++) {
        char *file = kn_run_dir_file(&s->dir, i);
        removed = file && !remove(file);
        free(file);
    }
}

/* What an earlier run left of the segment, if it belongs to this one. That bits may differ was said of the first one. */
static void load_segment(kn_run_state *s, int64_t steps)
{
    json_t *now = NULL;
    char why[400];
    if (kn_checkpoint_open(s->file, NULL, &s->loaded, NULL))
        return;
    if (!kn_checkpoint_meta(s->loaded, "identity") ||
        kn_json_parse(s->identity, strlen(s->identity), s->file, &now, NULL))
        drop(s);
    else
        compare(s, now, why, sizeof why);
    json_decref(now);
    if (s->loaded)
        find_step(s, steps, why, sizeof why);
}

void kn_run_state_begin_segment(kn_run *r)
{
    kn_run_state *s = r->state;
    kn_err err = {0};
    if (!s || r->segment == 0)
        return;
    if (use_segment(s, r->segment, &err)) {
        kn_run_note(r, "this run cannot be resumed if it is interrupted: %.300s", err.msg);
        r->state = NULL;
        return;
    }
    if (s->resuming)
        load_segment(s, r->rq->steps);
    s->resuming = s->loaded != NULL;
    if (!s->resuming)
        forget_from(s, r->segment);
}

int kn_run_first_step(const kn_run *r)
{
    return r->state ? r->state->first_step : 0;
}

/* The values of a saved tensor whose shape must be dims. */
static int restore(const kn_run_state *s, const char *name, int n_dims, const int64_t *dims, float *out,
                   kn_err *err)
{
    const kn_entry *e = kn_checkpoint_find(s->loaded, name);
    bool fits = e && e->dtype == KN_F32 && e->n_dims == n_dims;
    for (int i = 0; i < n_dims && fits; i++)
        fits = e->dims[i] == dims[i];
    if (!fits)
        return kn_fail(err, KN_EFORMAT, "%s has no %s that fits this run; remove it, or do not resume",
                       s->file, name);
    return kn_entry_to_f32(e, out, err);
}

/* The cache's state is saved as the bytes that it is: it belongs to this build, as all of the file does. */
static int restore_cache(const kn_run_state *s, kn_step_cache *c, kn_err *err)
{
    const kn_entry *e = kn_checkpoint_find(s->loaded, "cache_state");
    c->state.n_done = c->state.n_computed = s->first_step;
    if (!c->arrays)
        return 0;
    if (!e || e->dtype != KN_U8 || e->bytes != sizeof c->state)
        return kn_fail(err, KN_EFORMAT,
                       "%s has no cache_state that fits this run; remove it, or do not resume", s->file);
    int rc = restore(s, "cache", 2, (const int64_t[]){KN_STEP_CACHE_ARRAYS, c->n}, c->arrays, err);
    if (!rc)
        memcpy(&c->state, e->data, sizeof c->state);
    return rc;
}

int kn_run_restore_step(kn_run *r, const kn_kept_step *k, kn_err *err)
{
    kn_run_state *s = r->state;
    kn_scheduler *scheduler = k->scheduler;
    if (!kn_run_first_step(r))
        return 0;
    int n_state = scheduler->cls->n_state;
    int rc = restore(s, "latents", 1, &k->n, k->latents, err);
    if (!rc && n_state)
        rc = restore(s, "solver", 2, (const int64_t[]){n_state, k->n}, scheduler->state, err);
    if (!rc)
        rc = restore_cache(s, k->cache, err);
    if (!rc)
        scheduler->last_order = (int)meta_int(s->loaded, "last_order", 0, scheduler->config.solver_order);
    if (!rc && scheduler->last_order < 0)
        rc = kn_fail(err, KN_EFORMAT, "%s says no last_order; remove it, or do not resume", s->file);
    kn_checkpoint_close(s->loaded);
    s->loaded = NULL;
    return rc;
}

bool kn_run_has_latents(const kn_run *r)
{
    return r->state && r->state->loaded && kn_checkpoint_find(r->state->loaded, "final_latents");
}

int kn_run_restore_latents(kn_run *r, int n_dims, const int64_t *dims, float *latents, kn_err *err)
{
    return restore(r->state, "final_latents", n_dims, dims, latents, err);
}

/* ---- what this run leaves ---- */

static void save(kn_run *r, int n, const kn_save_tensor *tensors, int steps_done, int last_order)
{
    kn_run_state *s = r->state;
    kn_err err = {0};
    char done[24], order[24];
    double begin = kn_clock_s();
    snprintf(done, sizeof done, "%d", steps_done);
    snprintf(order, sizeof order, "%d", last_order);
    json_t *meta =
        json_pack("{s:s, s:s, s:s}", "identity", s->identity, "steps_done", done, "last_order", order);
    int rc = meta ? kn_checkpoint_save_with(s->file, n, tensors, meta, &err)
                  : kn_fail(&err, KN_ENOMEM, "no memory to save the state of the run");
    json_decref(meta);
    s->last_s = kn_clock_s();
    s->cost_s = s->last_s - begin;
    if (!rc)
        s->kept_step = steps_done;
    else if (!s->failed)
        kn_run_note(r, "this run cannot be resumed if it is interrupted: %.300s", err.msg);
    s->failed = rc != 0;
}

static bool is_due(kn_run_state *s, size_t bytes)
{
    double now = kn_clock_s();
    if (s->last_s == 0) {
        s->last_s = now;
        s->cost_s = guess_fixed_s + (double)bytes / guess_bytes_per_s;
    }
    return now - s->last_s >= TIMES_COST * s->cost_s;
}

void kn_run_keep_step(kn_run *r, const kn_kept_step *k, int done, bool now)
{
    int n_state = k->scheduler->cls->n_state, n_arrays = k->cache->arrays ? KN_STEP_CACHE_ARRAYS : 0;
    if (!r->state || !done || done == r->state->kept_step)
        return;
    if (!is_due(r->state, (size_t)k->n * (size_t)(n_state + n_arrays + 1) * sizeof(float)) && !now)
        return;
    kn_save_tensor t[4] = {
        {.name = "latents", .dtype = KN_F32, .n_dims = 1, .dims = {k->n}, .data = k->latents}};
    int n = 1;
    if (n_state)
        t[n++] = (kn_save_tensor){.name = "solver",
                                  .dtype = KN_F32,
                                  .n_dims = 2,
                                  .dims = {n_state, k->n},
                                  .data = k->scheduler->state};
    if (n_arrays) {
        t[n++] = (kn_save_tensor){.name = "cache",
                                  .dtype = KN_F32,
                                  .n_dims = 2,
                                  .dims = {n_arrays, k->n},
                                  .data = k->cache->arrays};
        t[n++] = (kn_save_tensor){.name = "cache_state",
                                  .dtype = KN_U8,
                                  .n_dims = 1,
                                  .dims = {(int64_t)sizeof k->cache->state},
                                  .data = &k->cache->state};
    }
    save(r, n, t, done, k->scheduler->last_order);
}

void kn_run_keep_latents(kn_run *r, int n_dims, const int64_t *dims, const float *latents)
{
    kn_save_tensor t = {.name = "final_latents", .dtype = KN_F32, .n_dims = n_dims, .data = latents};
    KN_ASSERT(n_dims <= KN_ENTRY_MAX_DIMS);
    memcpy(t.dims, dims, (size_t)n_dims * sizeof *dims);
    if (r->state && !r->ctx->dev->is_meta)
        save(r, 1, &t, (int)r->rq->steps, 0);
}
