/* Values for a random checkpoint: a function of seed, name and index alone, made at memory speed. */
#ifndef KN_TENSOR_CHECKPOINT_RANDOM_H
#define KN_TENSOR_CHECKPOINT_RANDOM_H

#include "tensor/checkpoint.h"

/* dst[i] = mean + std * z_i, z bell-shaped with mean 0 and variance 1 (the sum of four uniform bytes: |z| < 3.46).
 * dtype KN_F32 or KN_BF16. Uses every core. KN_EINVAL if ck is not random. */
int kn_checkpoint_random_fill(const kn_checkpoint *ck, const char *name, float mean, float std,
                              kn_dtype dtype, void *dst, int64_t n, kn_err *err);

#endif
