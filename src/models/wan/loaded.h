/* A transformer or a VAE's decoder on the device: loaded, or found as an earlier run left it (engine/warm.h). */
#ifndef KN_MODELS_WAN_LOADED_H
#define KN_MODELS_WAN_LOADED_H

#include "models/wan/model.h"

typedef struct kn_wan_loaded {
    kn_wan_transformer dit; /* of kn_wan_load_expert */
    kn_wan_vae vae;         /* of kn_wan_load_decoder: its decoder alone */
    kn_weight_set set;
    kn_packed *packed; /* what the weights may be mapped from; NULL */
    bool is_mapped;    /* they are */
    uint64_t key;      /* kn_warm_part.key, where it can be kept */
} kn_wan_loaded;

/* Fills r->n_blocks. *ret is NULL after an error. */
int kn_wan_load_expert(kn_wan_model *m, kn_run *r, int expert, kn_wan_loaded **ret, kn_err *err);
int kn_wan_load_decoder(kn_wan_model *m, kn_run *r, kn_phase phase, kn_wan_loaded **ret, kn_err *err);
/* The run is done with it; accepts NULL. */
void kn_wan_unload(const kn_wan_model *m, kn_run *r, kn_wan_loaded *l);
/* Whether no block comes and goes. */
bool kn_wan_all_stay(const kn_wan_loaded *l);

#endif
