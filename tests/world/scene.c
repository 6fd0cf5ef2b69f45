/* Scenes: what there is and how it moves. */
#include <math.h>
#include <string.h>

#include "world/world.h"

static const char *const shapes[] = {"circle", "square", "triangle", "star", "ring", "heart", "cross"};
static const char *const colours[] = {"red",  "orange", "yellow", "green", "cyan",
                                      "blue", "purple", "pink",   "white"};
static const char *const motions[] = {"left",     "right",     "up",         "down",   "up-left",
                                      "up-right", "down-left", "down-right", "bounce", "orbit",
                                      "spin",     "grow",      "shrink",     "fade",   "still"};
static const char *const sizes[] = {"small", "medium", "large"};
static const char *const speeds[] = {"slow", "steady", "fast"};
static const char *const backgrounds[] = {"plain", "gradient", "checker", "sky"};

const uint8_t world_colour_rgb[WORLD_COLOURS][3] = {
    {222, 38, 42}, {246, 136, 22}, {250, 220, 44},  {46, 176, 66},   {48, 212, 216},
    {44, 84, 226}, {142, 60, 204}, {252, 130, 190}, {248, 248, 246},
};

/* Backgrounds are dull, so that every colour of an object stands out. */
static const float tones[][3] = {{40, 44, 56},    {66, 74, 88}, {92, 84, 76},
                                 {118, 122, 128}, {60, 72, 64}, {84, 70, 84}};
enum { N_TONES = sizeof tones / sizeof *tones };

const char *world_shape_name(int i)
{
    return shapes[i];
}
const char *world_colour_name(int i)
{
    return colours[i];
}
const char *world_motion_name(int i)
{
    return motions[i];
}
const char *world_size_name(int i)
{
    return sizes[i];
}
const char *world_speed_name(int i)
{
    return speeds[i];
}
const char *world_background_name(int i)
{
    return backgrounds[i];
}

bool world_is_held_out(world_shape s, world_colour c, world_motion m)
{
    uint32_t h = ((uint32_t)c * WORLD_SHAPES + s) * WORLD_MOTIONS + m;
    h = (h ^ 0x5bd1e995u) * 2654435761u;
    return (h >> 20) % 8 == 0;
}

static float uniform(kn_rng *r, float lo, float hi)
{
    return lo + (hi - lo) * ((float)(kn_rng_u32(r) >> 8) / 16777216.0f);
}

static int pick(kn_rng *r, int n)
{
    return (int)(kn_rng_u32(r) % (uint32_t)n);
}

/* ---- motion ---- */

static const float pi = 3.14159265f;
static const float grow_from = 0.55f, grow_to = 1.35f;
static const float orbit_turns[] = {0.55f, 0.8f, 1.1f}, spin_turns[] = {0.25f, 0.5f, 0.8f};
static const float bounces[] = {1.0f, 1.5f, 2.0f};

static bool is_linear(world_motion m)
{
    return m <= WORLD_DOWN_RIGHT;
}

world_pose world_object_pose(const world_object *o, int frame)
{
    float t = (float)frame / (WORLD_FRAMES - 1), middle = WORLD_SIDE / 2.0f;
    world_pose p = {o->x, o->y, o->radius, 0, 1};
    switch (o->motion) {
    case WORLD_BOUNCE:
        p.y -= o->dy * fabsf(sinf(pi * bounces[o->speed] * t));
        break;
    case WORLD_ORBIT: {
        float a = o->angle + 2 * pi * orbit_turns[o->speed] * t;
        p.x = middle + o->dx * cosf(a);
        p.y = middle + o->dx * sinf(a);
        break;
    }
    case WORLD_SPIN:
        p.angle = 2 * pi * spin_turns[o->speed] * t;
        break;
    case WORLD_GROW:
        p.radius *= grow_from + (grow_to - grow_from) * t;
        break;
    case WORLD_SHRINK:
        p.radius *= grow_to + (grow_from - grow_to) * t;
        break;
    case WORLD_FADE:
        p.alpha = 1 - t;
        break;
    default:
        p.x += o->dx * t;
        p.y += o->dy * t;
    }
    return p;
}

/* A start between lo and hi from which d can be gone; d is shortened where there is not so much room. */
static float start(kn_rng *r, float lo, float hi, float *d)
{
    float room = hi - lo, length = fminf(fabsf(*d), room);
    *d = *d < 0 ? -length : length;
    return *d < 0 ? uniform(r, lo + length, hi) : uniform(r, lo, hi - length);
}

static void place_object(kn_rng *r, world_object *o)
{
    static const float distance[] = {22, 36, 54};
    static const int8_t x_of[] = {-1, 1, 0, 0, -1, 1, -1, 1}, y_of[] = {0, 0, -1, 1, -1, -1, 1, 1};
    static const float radius[][2] = {{9, 10.5f}, {13, 15}, {18, 20.5f}};
    o->radius = uniform(r, radius[o->size][0], radius[o->size][1]);
    float widest = o->radius * (o->motion == WORLD_GROW || o->motion == WORLD_SHRINK ? grow_to : 1.0f);
    float lo = widest * 1.1f + 3, hi = WORLD_SIDE - lo;
    float d = distance[o->speed] * uniform(r, 0.9f, 1.1f);
    o->dx = o->dy = 0;
    if (is_linear(o->motion)) {
        float each = x_of[o->motion] && y_of[o->motion] ? 0.8f * d : d;
        o->dx = each * x_of[o->motion];
        o->dy = each * y_of[o->motion];
    } else if (o->motion == WORLD_BOUNCE) {
        o->dy = -uniform(r, 26, 36);
    }
    o->x = start(r, lo, hi, &o->dx);
    o->y = start(r, lo, hi, &o->dy);
    if (o->motion == WORLD_BOUNCE)
        o->dy = -o->dy;
    if (o->motion == WORLD_ORBIT) {
        o->angle = uniform(r, 0, 2 * pi);
        o->dx = fminf(uniform(r, 20, 26), hi - WORLD_SIDE / 2.0f);
        o->dy = 0;
    }
}

static bool touching(const world_scene *s)
{
    for (int f = 0; s->n_objects == 2 && f < WORLD_FRAMES; f++) {
        world_pose a = world_object_pose(&s->objects[0], f), b = world_object_pose(&s->objects[1], f);
        if (hypotf(a.x - b.x, a.y - b.y) < 1.12f * (a.radius + b.radius) + 4)
            return true;
    }
    return false;
}

/* ---- choice ---- */

static void choose_object(kn_rng *r, bool two, world_object *o)
{
    do {
        *o = (world_object){.shape = pick(r, WORLD_SHAPES),
                            .colour = pick(r, WORLD_COLOURS),
                            .motion = pick(r, WORLD_MOTIONS),
                            .size = pick(r, two ? WORLD_LARGE : WORLD_SIZES),
                            .speed = pick(r, WORLD_SPEEDS)};
    } while (o->motion == WORLD_SPIN && (o->shape == WORLD_CIRCLE || o->shape == WORLD_RING));
    if (o->motion == WORLD_GROW || o->motion == WORLD_SHRINK)
        o->size = two ? WORLD_SMALL : WORLD_MEDIUM;
}

static bool wanted(const world_scene *s, bool held_out)
{
    int n = 0;
    for (int i = 0; i < s->n_objects; i++)
        n += world_is_held_out(s->objects[i].shape, s->objects[i].colour, s->objects[i].motion);
    bool differ = s->n_objects == 1 || s->objects[0].colour != s->objects[1].colour;
    return (n > 0) == held_out && differ;
}

static void choose_background(kn_rng *r, world_scene *s)
{
    static const float sky[2][3] = {{96, 124, 160}, {88, 102, 74}};
    int a = pick(r, N_TONES), b = (a + 1 + pick(r, N_TONES - 1)) % N_TONES;
    s->background = pick(r, WORLD_BACKGROUNDS);
    memcpy(s->tones[0], tones[a], sizeof s->tones[0]);
    memcpy(s->tones[1], tones[b], sizeof s->tones[1]);
    s->across = pick(r, 2);
    s->cell = pick(r, 2) ? 16 : 24;
    s->horizon = 60 + pick(r, 16);
    for (int i = 0; i < 3 && s->background == WORLD_CHECKER; i++) /* two shades of one tone */
        s->tones[1][i] = s->tones[0][i] + 26;
    if (s->background == WORLD_SKY)
        memcpy(s->tones, sky, sizeof s->tones);
}

void world_scene_random(kn_rng *r, int n_objects, bool held_out, world_scene *ret)
{
    world_scene s = {.n_objects = n_objects};
    enum { TRIES = 64 }; /* places for two objects that may simply not fit beside each other */
    for (bool placed = false; !placed;) {
        do {
            for (int i = 0; i < n_objects; i++)
                choose_object(r, n_objects > 1, &s.objects[i]);
        } while (!wanted(&s, held_out));
        for (int i = 0; i < TRIES && !placed; i++) {
            for (int k = 0; k < n_objects; k++)
                place_object(r, &s.objects[k]);
            placed = !touching(&s);
        }
    }
    choose_background(r, &s);
    *ret = s;
}
