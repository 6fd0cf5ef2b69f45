#include "models/common/timestep.h"

#include <math.h>

void kn_timestep_embedding(const float *timesteps, int n, int dim, float *out)
{
    int half = dim / 2;
    for (int i = 0; i < half; i++) {
        float freq = expf((float)-log(10000.0) * (float)i / (float)half);
        for (int r = 0; r < n; r++) {
            float arg = timesteps[r] * freq;
            out[(long)r * dim + i] = cosf(arg);
            out[(long)r * dim + half + i] = sinf(arg);
        }
    }
}
