/* The random numbers of PyTorch's CPU generator, bit for bit, so that a seed means the same noise as in diffusers. */
#ifndef KN_BASE_RNG_H
#define KN_BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kn_rng {
    uint32_t state[624]; /* MT19937 */
    int next;            /* index of the next word; 624 = twist first */
    bool has_spare;      /* the scalar normal path keeps the second value of a Box-Muller pair */
    double spare;
} kn_rng;

void kn_rng_seed(kn_rng *r, uint64_t seed); /* torch.manual_seed(seed) */
uint32_t kn_rng_u32(kn_rng *r);
uint64_t kn_rng_u64(kn_rng *r);
void kn_rng_uniform(kn_rng *r, float *out, int64_t n); /* torch.rand(n): [0, 1) */
void kn_rng_normal(kn_rng *r, float *out, int64_t n); /* torch.randn(n): both its paths, n < 16 and n >= 16 */

#endif
