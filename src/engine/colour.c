#include "engine/colour.h"

#include <math.h>

static const double min_gain = 0.8, max_gain = 1.25;
/* Below this (half a level of 255) a channel is flat: its deviation is noise. */
static const double min_deviation = 0.5 / 255;

void kn_colours_add(kn_colours *c, const float *rgb, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            double v = rgb[i * 3 + k];
            c->sum[k] += v;
            c->square[k] += v * v;
        }
    c->n += (double)n;
}

static double deviation(const kn_colours *c, int k)
{
    double mean = c->sum[k] / c->n, variance = c->square[k] / c->n - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

kn_colour_map kn_colour_map_make(const kn_colours *from, const kn_colours *to)
{
    kn_colour_map m = {.gain = {1, 1, 1}};
    for (int k = 0; k < 3 && from->n > 0 && to->n > 0; k++) {
        double a = deviation(from, k), b = deviation(to, k), gain = 1;
        if (a >= min_deviation && b >= min_deviation)
            gain = fmin(fmax(b / a, min_gain), max_gain);
        m.gain[k] = (float)gain;
        m.offset[k] = (float)(to->sum[k] / to->n - from->sum[k] / from->n * gain);
    }
    return m;
}

void kn_colour_map_apply(const kn_colour_map *m, const float *rgb, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            float v = rgb[i * 3 + k] * m->gain[k] + m->offset[k];
            out[i * 3 + k] = v < 0 ? 0 : v > 1 ? 1 : v;
        }
}
