#include "tensor/cpu/dnnl_prims.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/cpu/dnnl_desc.h"

/* A model has some tens of shapes; a request with another size brings as many again. The oldest unused one goes. */
enum { MAX_PRIMS = 512 };

struct kn_prim {
    kn_prim_key key;
    kn_prim_desc desc;
    dnnl_primitive_t prim; /* NULL until first run */
    int users;
    uint64_t last_use;
};

struct kn_prims {
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    kn_prim *prims[MAX_PRIMS];
    int n_prims;
    uint64_t clock;
};

int kn_prims_new(kn_prims **ret, kn_err *err)
{
    kn_prims *p = kn_calloc(1, sizeof *p);
    if (!p)
        return kn_fail(err, KN_ENOMEM, "no memory for the table of primitives");
    pthread_mutex_init(&p->lock, NULL);
    int rc = kn_dnnl_check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "CPU engine", err);
    if (!rc)
        rc = kn_dnnl_check(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags), "stream",
                           err);
    if (rc)
        kn_prims_free(p);
    else
        *ret = p;
    return rc;
}

static void prim_free(kn_prim *prim)
{
    if (!prim)
        return;
    if (prim->prim)
        dnnl_primitive_destroy(prim->prim);
    kn_prim_desc_done(&prim->desc);
    free(prim);
}

void kn_prims_free(kn_prims *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_prims; i++)
        prim_free(p->prims[i]);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    if (p->engine)
        dnnl_engine_destroy(p->engine);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static kn_prim *find(kn_prims *p, const kn_prim_key *key)
{
    for (int i = 0; i < p->n_prims; i++) {
        kn_prim *prim = p->prims[i];
        if (memcmp(&prim->key, key, sizeof *key) != 0)
            continue;
        prim->users++;
        prim->last_use = ++p->clock;
        return prim;
    }
    return NULL;
}

/* A free index of the table: its end, or that of the oldest primitive nobody uses; -1 if all are in use. */
static int free_slot(kn_prims *p)
{
    if (p->n_prims < MAX_PRIMS)
        return p->n_prims++;
    int oldest = -1;
    for (int i = 0; i < MAX_PRIMS; i++)
        if (p->prims[i]->users == 0 && (oldest < 0 || p->prims[i]->last_use < p->prims[oldest]->last_use))
            oldest = i;
    if (oldest >= 0)
        prim_free(p->prims[oldest]);
    return oldest;
}

/* The layout that a product's weights are packed in, for every M. */
static int matmul_layout(kn_prims *p, const kn_prim_key *key, kn_md *ret, kn_err *err)
{
    kn_prim_key k = {.kind = KN_PRIM_MATMUL_LAYOUT,
                     .src_type = key->src_type,
                     .weights_type = key->weights_type,
                     .dst_type = key->weights_type == KN_I8 ? KN_I32 : key->weights_type};
    k.src[0] = KN_PRIM_TYPICAL_ROWS;
    k.src[1] = key->weights[1];
    k.weights[0] = key->weights[0];
    k.weights[1] = key->weights[1];
    kn_prim *layout = NULL;
    int rc = kn_prim_get(p, &k, &layout, err);
    if (!rc)
        rc = kn_dnnl_check(kn_md_copy(ret, &layout->desc.weights), "weight layout", err);
    kn_prim_put(p, layout);
    return rc;
}

static int create(kn_prims *p, const kn_prim_key *key, kn_prim **ret, kn_err *err)
{
    kn_md layout = {0};
    int rc = key->kind == KN_PRIM_MATMUL ? matmul_layout(p, key, &layout, err) : 0;
    kn_prim *prim = rc ? NULL : kn_calloc(1, sizeof *prim);
    if (!rc && !prim)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a primitive");
    if (!rc) {
        prim->key = *key;
        rc = kn_prim_desc_init(&prim->desc, p->engine, key, &layout, err);
    }
    kn_md_done(&layout);
    if (rc)
        prim_free(prim);
    else
        *ret = prim;
    return rc;
}

int kn_prim_get(kn_prims *p, const kn_prim_key *key, kn_prim **ret, kn_err *err)
{
    pthread_mutex_lock(&p->lock);
    kn_prim *prim = find(p, key);
    pthread_mutex_unlock(&p->lock);
    if (prim) {
        *ret = prim;
        return 0;
    }
    int rc = create(p, key, &prim, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&p->lock);
    kn_prim *other = find(p, key); /* another thread may have been faster */
    int slot = other ? -1 : free_slot(p);
    if (slot >= 0) {
        prim->users = 1;
        prim->last_use = ++p->clock;
        p->prims[slot] = prim;
    }
    pthread_mutex_unlock(&p->lock);
    if (!other && slot < 0)
        rc = kn_fail(err, KN_ELIMIT, "%d primitives in use at once", MAX_PRIMS);
    if (other || rc)
        prim_free(prim);
    if (!rc)
        *ret = other ? other : prim;
    return rc;
}

void kn_prim_put(kn_prims *p, kn_prim *prim)
{
    if (!prim)
        return;
    pthread_mutex_lock(&p->lock);
    prim->users--;
    pthread_mutex_unlock(&p->lock);
}

size_t kn_prim_scratch_bytes(const kn_prim *prim)
{
    return kn_md_bytes(&prim->desc.scratch);
}

const kn_md *kn_prim_weights(const kn_prim *prim)
{
    return &prim->desc.weights;
}

/* ---- running ---- */

typedef struct arg_list {
    dnnl_exec_arg_t args[16];
    int n;
    dnnl_status_t status; /* first failure */
} arg_list;

static void arg_add(arg_list *l, int arg, const kn_md *md, dnnl_engine_t engine, const void *data)
{
    if (l->status != dnnl_success)
        return;
    dnnl_memory_t memory;
    l->status = kn_md_memory(md, engine, (void *)data, &memory);
    if (l->status == dnnl_success)
        l->args[l->n++] = (dnnl_exec_arg_t){.arg = arg, .memory = memory};
}

static void args_done(arg_list *l)
{
    for (int i = 0; i < l->n; i++)
        dnnl_memory_destroy(l->args[i].memory);
}

static int run(kn_prims *p, dnnl_primitive_t prim, arg_list *l, kn_err *err)
{
    if (l->status == dnnl_success)
        l->status = dnnl_primitive_execute(prim, p->stream, l->n, l->args);
    if (l->status == dnnl_success)
        l->status = dnnl_stream_wait(p->stream);
    args_done(l);
    return kn_dnnl_check(l->status, "run", err);
}

static int ensure_code(kn_prims *p, kn_prim *prim, kn_err *err)
{
    pthread_mutex_lock(&p->lock);
    dnnl_status_t s = prim->prim ? dnnl_success : dnnl_primitive_create(&prim->prim, prim->desc.pd);
    pthread_mutex_unlock(&p->lock);
    return kn_dnnl_check(s, "primitive", err);
}

int kn_prim_run(kn_prims *p, kn_prim *prim, const kn_prim_data *data, kn_err *err)
{
    int rc = ensure_code(p, prim, err);
    if (rc)
        return rc;
    const kn_prim_desc *d = &prim->desc;
    arg_list l = {0};
    arg_add(&l, DNNL_ARG_SRC, &d->src, p->engine, data->src);
    arg_add(&l, DNNL_ARG_WEIGHTS, &d->weights, p->engine, data->weights);
    arg_add(&l, DNNL_ARG_DST, &d->dst, p->engine, data->dst);
    if (d->bias.set)
        arg_add(&l, DNNL_ARG_BIAS, &d->bias, p->engine, data->bias);
    if (kn_md_bytes(&d->scratch))
        arg_add(&l, DNNL_ARG_SCRATCHPAD, &d->scratch, p->engine, data->scratch);
    if (d->gate_post >= 0)
        arg_add(&l, DNNL_ARG_ATTR_MULTIPLE_POST_OP(d->gate_post) | DNNL_ARG_SRC_1, &d->row, p->engine,
                data->gate);
    return run(p, prim->prim, &l, err);
}

int kn_prims_reorder(kn_prims *p, const kn_md *from, const void *src, const kn_md *to, void *dst, kn_err *err)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    int rc = kn_dnnl_check(kn_dnnl_reorder(p->engine, from, to, &pd), "reorder", err);
    if (!rc)
        rc = kn_dnnl_check(dnnl_primitive_create(&prim, pd), "reorder", err);
    if (!rc) {
        arg_list l = {0};
        arg_add(&l, DNNL_ARG_FROM, from, p->engine, src);
        arg_add(&l, DNNL_ARG_TO, to, p->engine, dst);
        rc = run(p, prim, &l, err);
    }
    if (prim)
        dnnl_primitive_destroy(prim);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}
