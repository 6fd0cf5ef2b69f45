/* Shared by the transformer's files only. */
#ifndef KN_MODELS_WAN_TRANSFORMER_INTERNAL_H
#define KN_MODELS_WAN_TRANSFORMER_INTERNAL_H

#include "models/wan/transformer.h"

enum { KN_WAN_MODS = 6 }; /* shift, scale, gate of self attention, then of the feed-forward */

/* What all blocks of one forward share. */
typedef struct kn_wan_pass {
    const kn_wan_config *config;
    const kn_wan_context *context;
    const kn_rope *rope;
    kn_tensor time_proj; /* f32 [6, timesteps, dim] */
    kn_tensor row_group; /* i32 [tokens], or null */
    kn_tensor text_bias; /* f32 [1, 1, n_text]: how often each key counts, or null */
    const kn_trace *trace;
} kn_wan_pass;

/* x (f32 [tokens, dim]) through a block, in place.  `index` counts main blocks, then VACE blocks; `name` is its name
 * in traces. */
void kn_wan_block_forward(kn_ctx *c, const kn_wan_pass *p, const kn_wan_block *b, int index, const char *name,
                          kn_tensor x);
/* Cross attention's keys and values of one block. */
kn_wan_kv kn_wan_block_kv(kn_ctx *c, const kn_wan_config *f, const kn_wan_block *b,
                          const kn_wan_context *context);
/* table [n, dim] + proj [n, timesteps, dim] -> f32 [n, timesteps, dim]. */
kn_tensor kn_wan_modulate(kn_ctx *c, kn_tensor table, kn_tensor proj);

#endif
