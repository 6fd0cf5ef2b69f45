/* Which shape a track has: its mask, brought to one size, against outlines at every rotation. */
#include <math.h>
#include <string.h>

#include "world/look.h"

static const float pi = 3.14159265f;
/* A cell of the grid in units of sqrt(area / pi): the tips of a triangle and of a star reach 1.6. */
static const float cell = 1.75f * 2 / WORLD_GRID;

/* ---- outlines, y down, of any size ---- */

static bool in_star(float x, float y)
{
    static const float inner = 0.42f, fifth = 36.0f / 180;
    float r = hypotf(x, y), a = fmodf(atan2f(x, -y) + 4 * pi, 2 * pi / 5);
    a = fminf(a, 2 * pi / 5 - a); /* 0 towards a tip, a tenth of a turn towards a notch */
    float px = r * cosf(a), py = r * sinf(a), bx = inner * cosf(pi * fifth), by = inner * sinf(pi * fifth);
    return (bx - 1) * py - by * (px - 1) >= 0;
}

static bool in_heart(float x, float y)
{
    float h = x * x + y * y - 1;
    return h * h * h + x * x * y * y * y <= 0;
}

static bool inside(world_shape s, float x, float y)
{
    float r = hypotf(x, y), ax = fabsf(x), ay = fabsf(y);
    switch (s) {
    case WORLD_CIRCLE:
        return r <= 1;
    case WORLD_SQUARE:
        return ax <= 1 && ay <= 1;
    case WORLD_TRIANGLE:
        return y <= 0.5f && ax <= (y + 1) / sqrtf(3);
    case WORLD_STAR:
        return in_star(x, y);
    case WORLD_RING:
        return r <= 1 && r >= 0.53f;
    case WORLD_HEART:
        return in_heart(x, y);
    default:
        return (ax <= 0.35f && ay <= 1) || (ax <= 1 && ay <= 0.35f);
    }
}

/* ---- templates ---- */

/* A shape's centre of mass and size, by counting. */
static void weigh(world_shape s, float *ret_x, float *ret_y, float *ret_unit)
{
    enum { N = 300 };
    const float step = 3.2f / N;
    float n = 0, sum_x = 0, sum_y = 0;
    for (int i = 0; i < N * N; i++) {
        float x = ((float)(i % N) + 0.5f) * step - 1.6f, y = ((float)(i / N) + 0.5f) * step - 1.6f;
        if (inside(s, x, y)) {
            n++;
            sum_x += x;
            sum_y += y;
        }
    }
    *ret_x = sum_x / n;
    *ret_y = sum_y / n;
    *ret_unit = sqrtf(n * step * step / pi);
}

static float grid(int i)
{
    return ((float)i + 0.5f - WORLD_GRID / 2.0f) * cell;
}

void world_templates_draw(world_template ret[WORLD_SHAPES])
{
    static const int turns[] = {1, 18, 24, 14, 1, 72, 18}; /* about 5 degrees each */
    static const float periods[] = {0, 90, 120, 72, 0, 360, 90};
    memset(ret, 0, WORLD_SHAPES * sizeof *ret);
    for (int s = 0; s < WORLD_SHAPES; s++) {
        float mx, my, unit;
        weigh(s, &mx, &my, &unit);
        ret[s].n_turns = turns[s];
        ret[s].period = periods[s];
        for (int t = 0; t < turns[s]; t++) {
            float a = periods[s] * (float)t / (float)turns[s] * pi / 180, c = cosf(a) * unit,
                  n = sinf(a) * unit;
            for (int i = 0; i < WORLD_GRID * WORLD_GRID; i++) {
                float x = grid(i % WORLD_GRID), y = grid(i / WORLD_GRID);
                if (inside(s, c * x + n * y + mx, c * y - n * x + my))
                    ret[s].bits[t][i / WORLD_GRID] |= 1u << (i % WORLD_GRID);
            }
        }
    }
}

/* ---- comparison ---- */

static float cover_at(const world_blob *b, float x, float y)
{
    int x0 = (int)floorf(x), y0 = (int)floorf(y);
    float fx = x - (float)x0, fy = y - (float)y0, sum = 0;
    for (int i = 0; i < 4; i++) {
        int px = x0 + i % 2, py = y0 + i / 2;
        if (px >= 0 && py >= 0 && px < WORLD_SIDE && py < WORLD_SIDE)
            sum += (i % 2 ? fx : 1 - fx) * (i / 2 ? fy : 1 - fy) * b->cover[py * WORLD_SIDE + px];
    }
    return sum;
}

static void bits_of(const world_blob *b, float scale, uint32_t ret[WORLD_GRID])
{
    float unit = sqrtf(b->area / pi) * scale;
    memset(ret, 0, WORLD_GRID * sizeof *ret);
    for (int i = 0; i < WORLD_GRID * WORLD_GRID; i++)
        if (cover_at(b, b->x + unit * grid(i % WORLD_GRID), b->y + unit * grid(i / WORLD_GRID)) > 127)
            ret[i / WORLD_GRID] |= 1u << (i % WORLD_GRID);
}

static float overlap(const uint32_t a[WORLD_GRID], const uint32_t b[WORLD_GRID])
{
    int both = 0, either = 0;
    for (int i = 0; i < WORLD_GRID; i++) {
        both += __builtin_popcount(a[i] & b[i]);
        either += __builtin_popcount(a[i] | b[i]);
    }
    return either ? (float)both / (float)either : 0;
}

typedef struct likeness {
    float best[WORLD_SHAPES], angle[WORLD_SHAPES]; /* intersection over union, and at which rotation */
} likeness;

static likeness compare(const world_template templates[WORLD_SHAPES], const world_blob *b)
{
    static const float scales[] = {0.94f, 1, 1.06f}; /* soft edges make areas inexact */
    likeness l = {0};
    for (int k = 0; k < 3; k++) {
        uint32_t bits[WORLD_GRID];
        bits_of(b, scales[k], bits);
        for (int s = 0; s < WORLD_SHAPES; s++)
            for (int t = 0; t < templates[s].n_turns; t++) {
                float o = overlap(bits, templates[s].bits[t]);
                if (o <= l.best[s])
                    continue;
                l.best[s] = o;
                l.angle[s] = templates[s].period * (float)t / (float)templates[s].n_turns;
            }
    }
    return l;
}

static int most_like(const float like[WORLD_SHAPES])
{
    int best = 0;
    for (int s = 1; s < WORLD_SHAPES; s++)
        if (like[s] > like[best])
            best = s;
    return best;
}

/* Small and faded pictures of an object say little about its shape. */
static bool is_clear(const world_track *t, const world_blob *b)
{
    return b && (b->area >= 0.6f * t->most_area || b->area >= 150) && b->contrast >= 0.55f * t->most_contrast;
}

int world_track_shape(const world_template templates[WORLD_SHAPES], const world_track *t,
                      float ret_angle[WORLD_FRAMES], float *ret_period)
{
    static const float alike = 0.72f, agreed = 0.7f;
    likeness all[WORLD_FRAMES] = {0};
    float sum[WORLD_SHAPES] = {0}, n = 0, n_agreed = 0;
    for (int f = 0; f < WORLD_FRAMES; f++) {
        if (!t->at[f])
            continue;
        all[f] = compare(templates, t->at[f]);
        if (!is_clear(t, t->at[f]))
            continue;
        n++;
        for (int s = 0; s < WORLD_SHAPES; s++)
            sum[s] += all[f].best[s];
    }
    int best = most_like(sum);
    for (int f = 0; f < WORLD_FRAMES; f++) {
        ret_angle[f] = all[f].angle[best];
        n_agreed += is_clear(t, t->at[f]) && most_like(all[f].best) == best;
    }
    *ret_period = templates[best].period;
    return sum[best] >= alike * n && n_agreed >= agreed * n ? best : WORLD_NONE;
}
