/* How a track moves: where its centre goes, and how its size, contrast and rotation change. */
#include <math.h>

#include "world/look.h"

static const float pi = 3.14159265f;

/* Pixels. The shortest way any object goes is 19, along a diagonal 15 each way; who stays wobbles by 2. */
static const float least_way = 11, most_wobble = 4;
enum { MIN_SEEN = 13 }; /* of the frames, for an object that does not fade */

/* A straight line through one value over time. */
typedef struct line {
    float from, to; /* at the first and last frame of the clip */
    float error;    /* root mean square */
    float low, high;
} line;

static float x_of(const world_blob *b)
{
    return b->x;
}
static float y_of(const world_blob *b)
{
    return b->y;
}

static line fit(const world_track *t, float (*value)(const world_blob *))
{
    line l = {.low = 1e9f, .high = -1e9f};
    double n = 0, st = 0, sv = 0, stt = 0, stv = 0, sq = 0;
    for (int f = 0; f < WORLD_FRAMES; f++) {
        if (!t->at[f])
            continue;
        double v = value(t->at[f]);
        n++;
        st += f;
        sv += v;
        stt += (double)f * f;
        stv += f * v;
        l.low = fminf(l.low, (float)v);
        l.high = fmaxf(l.high, (float)v);
    }
    double slope = (n * stv - st * sv) / (n * stt - st * st), base = (sv - slope * st) / n;
    for (int f = 0; f < WORLD_FRAMES; f++)
        if (t->at[f]) {
            double d = value(t->at[f]) - base - slope * f;
            sq += d * d;
        }
    l.from = (float)base;
    l.to = (float)(base + slope * (WORLD_FRAMES - 1));
    l.error = (float)sqrt(sq / n);
    return l;
}

/* The mean of `value` over the first or last frames of a track. */
static float at_end(const world_track *t, float (*value)(const world_blob *), bool last)
{
    enum { FEW = 3 };
    float sum = 0;
    int n = 0;
    for (int i = 0; i < WORLD_FRAMES && n < FEW; i++) {
        const world_blob *b = t->at[last ? WORLD_FRAMES - 1 - i : i];
        if (b) {
            sum += value(b);
            n++;
        }
    }
    return n ? sum / (float)n : 0;
}

static float area_of(const world_blob *b)
{
    return b->area;
}

/* ---- objects that go somewhere ---- */

static int linear(float dx, float dy)
{
    static const int around[] = {WORLD_RIGHT, WORLD_DOWN_RIGHT, WORLD_DOWN, WORLD_DOWN_LEFT,
                                 WORLD_LEFT,  WORLD_UP_LEFT,    WORLD_UP,   WORLD_UP_RIGHT};
    float eighths = atan2f(dy, dx) / (pi / 4);
    return around[((int)lroundf(eighths) + 8) % 8];
}

/* How often y turns round; smaller movements than `least` do not count. */
static int n_reversals(const world_track *t, float least)
{
    float from = t->at[t->first]->y, extreme = from;
    int way = 0, n = 0;
    for (int f = t->first; f <= t->last; f++) {
        if (!t->at[f])
            continue;
        float y = t->at[f]->y;
        if (way == 0 && fabsf(y - from) > least) {
            way = y > from ? 1 : -1;
            extreme = y;
        } else if (way && (y - extreme) * (float)way > 0) {
            extreme = y;
        } else if (way && fabsf(y - extreme) > least) {
            way = -way;
            extreme = y;
            n++;
        }
    }
    return n;
}

/* Clockwise around the middle at one distance, for a third of a turn or more. */
static bool orbits(const world_track *t)
{
    static const float fastest = 0.8f; /* radians a frame; the fastest orbit drawn makes 0.43 */
    const float middle = (WORLD_SIDE - 1) / 2.0f;
    float sum = 0, squares = 0, swept = 0, back = 0, before = 0;
    int last = t->first;
    for (int f = t->first; f <= t->last; f++) {
        if (!t->at[f])
            continue;
        float x = t->at[f]->x - middle, y = t->at[f]->y - middle, a = atan2f(y, x), r = hypotf(x, y);
        float d = f == t->first ? 0 : remainderf(a - before, 2 * pi);
        if (fabsf(d) > fastest * (float)(f - last)) /* a jump */
            return false;
        last = f;
        before = a;
        swept += d;
        back += d < 0 ? -d : 0;
        sum += r;
        squares += r * r;
    }
    float r = sum / (float)t->n, spread = sqrtf(fmaxf(0, squares / (float)t->n - r * r));
    return r >= 12 && spread <= 0.12f * r + 1 && swept >= 2 * pi / 3 && back < 0.15f * swept;
}

/* Whether it is suddenly somewhere else: the fastest way, up and down, is 14 pixels a frame. */
static bool leaps(const world_track *t)
{
    static const float fastest = 18;
    for (int f = t->first + 1, before = t->first; f <= t->last; f++) {
        if (!t->at[f])
            continue;
        const world_blob *a = t->at[before], *b = t->at[f];
        if (hypotf(b->x - a->x, b->y - a->y) > fastest * (float)(f - before))
            return true;
        before = f;
    }
    return false;
}

static int moving(const world_track *t)
{
    line x = fit(t, x_of), y = fit(t, y_of);
    float dx = x.to - x.from, dy = y.to - y.from, way = hypotf(dx, dy);
    float wide = x.high - x.low, high = y.high - y.low;
    if (leaps(t))
        return WORLD_NONE;
    if (orbits(t))
        return WORLD_ORBIT;
    if (wide <= most_wobble + 2 && high >= 15 && n_reversals(t, 5) >= 1)
        return WORLD_BOUNCE;
    if (way >= least_way && hypotf(x.error, y.error) <= 0.07f * way + 0.8f)
        return linear(dx, dy);
    return WORLD_NONE;
}

/* ---- objects that stay ---- */

static float growth_of(const world_track *t)
{
    return at_end(t, area_of, true) / at_end(t, area_of, false);
}

/* A heart or triangle that turns around itself does not turn around its centre of mass. */
static bool stays(const world_track *t)
{
    line x = fit(t, x_of), y = fit(t, y_of);
    return fmaxf(x.high - x.low, y.high - y.low) <= most_wobble + 0.3f * sqrtf(t->most_area / pi);
}

/* How far it turns, degrees, and (the smaller part) how much of that is to and fro. */
static float turned(const world_track *t, const float angle[WORLD_FRAMES], float period, float *ret_path)
{
    float total = 0, before = 0;
    *ret_path = 0;
    for (int f = t->first; f <= t->last && period > 0; f++) {
        if (!t->at[f])
            continue;
        float d = f == t->first ? 0 : remainderf(angle[f] - before, period);
        before = angle[f];
        total += d;
        *ret_path += fabsf(d);
    }
    return fabsf(total);
}

static int staying(const world_track *t, const float angle[WORLD_FRAMES], float period)
{
    float growth = growth_of(t), path;
    if (growth > 1.7f)
        return WORLD_GROW;
    if (growth < 0.6f)
        return WORLD_SHRINK;
    if (growth > 1.4f || growth < 0.72f)
        return WORLD_NONE;
    float turn = turned(t, angle, period, &path);
    if (turn >= 40 && turn >= 0.6f * path)
        return WORLD_SPIN;
    return turn < 25 ? WORLD_STILL : WORLD_NONE;
}

/* The part of a track in which the object is not half gone. */
static world_track strong_part(const world_track *t)
{
    world_track s = {.most_area = t->most_area, .most_contrast = t->most_contrast};
    for (int f = 0; f < WORLD_FRAMES; f++) {
        if (!t->at[f] || t->at[f]->contrast < 0.6f * t->most_contrast)
            continue;
        s.first = s.n++ ? s.first : f;
        s.last = f;
        s.at[f] = t->at[f];
    }
    return s;
}

int world_track_motion(const world_track *t, const float angle[WORLD_FRAMES], float period)
{
    enum { FEWEST = 3 };
    world_track strong = strong_part(t);
    if (t->n < FEWEST || strong.n < FEWEST)
        return WORLD_NONE;
    float growth = growth_of(&strong);
    if (strong.first <= 1 && strong.last < WORLD_FRAMES - 2 && growth > 0.6f && growth < 1.6f)
        return stays(&strong) ? WORLD_FADE : WORLD_NONE;
    if (t->n < MIN_SEEN || t->last < WORLD_FRAMES - 2)
        return WORLD_NONE;
    if (stays(t))
        return staying(t, angle, period);
    growth = growth_of(t);
    return growth < 2 && growth > 0.5f ? moving(t) : WORLD_NONE; /* who moves does not also grow */
}
