#include "models/wan/loaded.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/packed_cache.h"
#include "engine/warm.h"

static void free_loaded(void *what)
{
    kn_wan_loaded *l = what;
    kn_wan_transformer_done(&l->dit);
    kn_weight_set_done(&l->set);
    kn_packed_close(l->packed);
    free(l);
}

static uint64_t add(uint64_t h, const void *data, size_t bytes)
{
    return kn_fnv1a(h, data, bytes);
}

/* Of all that decides what is loaded; 0 where the weights come from no file. config: a struct that was zero before it was
 * filled, so that equal ones have equal bytes. */
static uint64_t key_of(const kn_checkpoint *ck, const kn_lora_set *loras, kn_dtype dtype, const void *config,
                       size_t config_bytes)
{
    uint64_t source = kn_checkpoint_identity(ck), change = loras ? kn_lora_set_identity(loras) : 0;
    uint64_t h = add(KN_FNV1A_BEGIN, &source, sizeof source);
    h = add(h, &change, sizeof change);
    h = add(h, &dtype, sizeof dtype);
    h = add(h, config, config_bytes);
    return source ? h : 0;
}

/* What is kept under the key, or an empty one; NULL without memory. */
static kn_wan_loaded *begin(kn_run *r, kn_phase phase, uint64_t key, bool *ret_is_there)
{
    kn_wan_loaded *l = kn_run_recall(r, key, phase);
    *ret_is_there = l != NULL;
    if (!l && (l = kn_calloc(1, sizeof *l)))
        kn_weight_set_init(&l->set, r->ctx->dev);
    return l;
}

static int end(kn_wan_loaded *l, uint64_t key, int rc, kn_wan_loaded **ret)
{
    l->key = key;
    if (rc)
        free_loaded(l);
    else
        *ret = l;
    return rc;
}

static kn_packed *open_packed(const kn_wan_model *m, const kn_run *r, int expert, kn_dtype dtype)
{
    kn_packed_want w = {.component = "transformer",
                        .ck = m->dit_ck[expert],
                        .loras = m->loras[expert],
                        .dtype = dtype,
                        .comes_and_goes = r->policy.n_resident < r->n_blocks};
    return kn_packed_cache_open(r, &w);
}

int kn_wan_load_expert(kn_wan_model *m, kn_run *r, int expert, kn_wan_loaded **ret, kn_err *err)
{
    kn_loader loader;
    bool is_there;
    const kn_wan_config *f = &m->dit[expert];
    kn_dtype dtype = kn_request_dtype(r->rq, r->ctx->dev);
    *ret = NULL;
    r->n_blocks = kn_wan_n_blocks(f);
    /* blocks that come and go borrow the model, and the exact twins are for measuring */
    bool can_stay = r->policy.n_resident >= r->n_blocks && !r->with_exact;
    uint64_t key = can_stay ? key_of(m->dit_ck[expert], m->loras[expert], dtype, f, sizeof *f) : 0;
    kn_wan_loaded *l = begin(r, KN_PHASE_SAMPLE, key, &is_there);
    if (!l)
        return kn_fail(err, KN_ENOMEM, "no memory for a transformer");
    if (is_there) {
        *ret = l;
        return 0;
    }
    kn_loader_init(&loader, &l->set, m->dit_ck[expert], m->loras[expert], dtype);
    loader.cancel = r->ctx->cancel;
    loader.with_exact = r->with_exact;
    loader.packed = l->packed = open_packed(m, r, expert, dtype);
    l->is_mapped = kn_packed_is_ready(l->packed);
    kn_wan_transformer_load(&l->dit, f, r->policy.n_resident, &loader);
    int rc = kn_loader_finish(&loader, NULL, err);
    if (!rc)
        kn_packed_commit(l->packed);
    return end(l, key, rc, ret);
}

int kn_wan_load_decoder(kn_wan_model *m, kn_run *r, kn_phase phase, kn_wan_loaded **ret, kn_err *err)
{
    kn_loader loader;
    bool is_there;
    kn_dtype dtype = r->ctx->act;
    *ret = NULL;
    uint64_t key = key_of(m->vae_ck, NULL, dtype, &m->vae, sizeof m->vae);
    kn_wan_loaded *l = begin(r, phase, key, &is_there);
    if (!l)
        return kn_fail(err, KN_ENOMEM, "no memory for a decoder");
    if (is_there) {
        *ret = l;
        return 0;
    }
    kn_loader_init(&loader, &l->set, m->vae_ck, NULL, dtype);
    kn_wan_vae_load(&l->vae, &m->vae, &loader, KN_WAN_VAE_DECODER);
    return end(l, key, kn_loader_finish(&loader, kn_wan_vae_ignore_encoder, err), ret);
}

void kn_wan_unload(const kn_wan_model *m, kn_run *r, kn_wan_loaded *l)
{
    if (!l)
        return;
    kn_warm_part p = {.key = l->key,
                      .name = l->vae.decoder.conv_in ? "VAE decoder" : "transformer",
                      .bytes = l->set.bytes,
                      .is_mapped = l->is_mapped,
                      .what = l,
                      .free = free_loaded};
    if (p.key) /* random weights have neither a key nor a path */
        snprintf(p.model, sizeof p.model, "%s", kn_path_base(m->path));
    kn_run_keep(r, &p);
}

bool kn_wan_all_stay(const kn_wan_loaded *l)
{
    return kn_blocks_all_stay(l->dit.blocks) && kn_blocks_all_stay(l->dit.vace_blocks);
}
