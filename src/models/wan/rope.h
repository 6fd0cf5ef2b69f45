/* Wan's three-dimensional rotary embedding. */
#ifndef KN_MODELS_WAN_ROPE_H
#define KN_MODELS_WAN_ROPE_H

#include "tensor/ops.h"

/* Tables for a grid of frames x height x width tokens in that order, f32 [tokens, head_dim / 2]: first the pairs
 * turned by the frame, then by the row, then by the column.  Row and column get 2 * (head_dim / 6) channels each, the
 * frame the rest; theta 10000 for each axis on its own; angles in double as the reference has them.  The tensors
 * belong to the current scope. */
kn_rope kn_wan_rope(kn_ctx *c, int64_t head_dim, int64_t n_frames, int64_t height, int64_t width);

#endif
