/* Giving pictures the colours of others that show the same: mean and deviation of every channel. */
#ifndef KN_ENGINE_COLOUR_H
#define KN_ENGINE_COLOUR_H

#include <stdint.h>

typedef struct kn_colours {
    double n, sum[3], square[3];
} kn_colours;

/* Adds n pixels [n, 3]. */
void kn_colours_add(kn_colours *c, const float *rgb, int64_t n);

/* value * gain + offset, kept within 0..1 */
typedef struct kn_colour_map {
    float gain[3], offset[3];
} kn_colour_map;

/* What makes `from` look like `to`; without pixels: nothing. Gains stay between 0.8 and 1.25: more is no drift but another
 * picture. */
kn_colour_map kn_colour_map_make(const kn_colours *from, const kn_colours *to);
void kn_colour_map_apply(const kn_colour_map *m, const float *rgb, int64_t n, float *out);

#endif
