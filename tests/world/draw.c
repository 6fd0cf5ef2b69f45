/* Pictures of a scene: signed distances, so that edges are smooth and shadows are soft. */
#include <math.h>
#include <string.h>

#include "world/world.h"

typedef struct vec {
    float x, y;
} vec;

typedef struct polygon {
    int n;
    vec points[40];
} polygon;

static const float pi = 3.14159265f;

/* ---- outlines, of radius about 1 around the origin, y down ---- */

static polygon regular(int n, float outer, float inner, float first)
{
    polygon p = {.n = n};
    for (int i = 0; i < n; i++) {
        float a = first + 2 * pi * (float)i / (float)n, r = i % 2 ? inner : outer;
        p.points[i] = (vec){r * cosf(a), r * sinf(a)};
    }
    return p;
}

static polygon heart(void)
{
    polygon p = {.n = 40};
    for (int i = 0; i < p.n; i++) {
        float t = 2 * pi * (float)i / (float)p.n, s = sinf(t);
        float y = 13 * cosf(t) - 5 * cosf(2 * t) - 2 * cosf(3 * t) - cosf(4 * t);
        p.points[i] = (vec){16 * s * s * s / 15.5f, -(y + 2.5f) / 15.5f};
    }
    return p;
}

static polygon cross(void)
{
    const float a = 0.36f, b = 1.04f;
    return (polygon){12,
                     {{-a, -b},
                      {a, -b},
                      {a, -a},
                      {b, -a},
                      {b, a},
                      {a, a},
                      {a, b},
                      {-a, b},
                      {-a, a},
                      {-b, a},
                      {-b, -a},
                      {-a, -a}}};
}

static polygon outline(world_shape s)
{
    switch (s) {
    case WORLD_SQUARE:
        return regular(4, 1.22f, 1.22f, pi / 4);
    case WORLD_TRIANGLE:
        return regular(3, 1.25f, 1.25f, -pi / 2);
    case WORLD_STAR:
        return regular(10, 1.2f, 0.5f, -pi / 2);
    case WORLD_HEART:
        return heart();
    default:
        return cross();
    }
}

static float polygon_distance(const polygon *g, vec p)
{
    float best = 1e9f;
    bool inside = false;
    for (int i = 0, j = g->n - 1; i < g->n; j = i++) {
        vec a = g->points[i], e = {g->points[j].x - a.x, g->points[j].y - a.y}, w = {p.x - a.x, p.y - a.y};
        float t = (w.x * e.x + w.y * e.y) / (e.x * e.x + e.y * e.y);
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        float dx = w.x - t * e.x, dy = w.y - t * e.y, d = dx * dx + dy * dy;
        best = d < best ? d : best;
        if ((a.y > p.y) != (g->points[j].y > p.y) && p.x < e.x * (p.y - a.y) / e.y + a.x)
            inside = !inside;
    }
    return inside ? -sqrtf(best) : sqrtf(best);
}

/* Pixels from (x, y) to the object's edge, negative inside. */
static float distance(const world_object *o, const polygon *g, const world_pose *pose, float x, float y)
{
    float c = cosf(pose->angle), s = sinf(pose->angle);
    float dx = (x - pose->x) / pose->radius, dy = (y - pose->y) / pose->radius;
    vec p = {c * dx + s * dy, c * dy - s * dx};
    float d = hypotf(p.x, p.y) - 1;
    if (o->shape == WORLD_RING)
        d = fabsf(d + 0.22f) - 0.24f;
    else if (o->shape != WORLD_CIRCLE)
        d = polygon_distance(g, p);
    return d * pose->radius;
}

/* ---- painting ---- */

static float smooth(float lo, float hi, float x)
{
    float t = (x - lo) / (hi - lo);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

static void blend(float *px, const float *colour, float alpha)
{
    for (int k = 0; k < 3; k++)
        px[k] += alpha * (colour[k] - px[k]);
}

static const float shadow_x = 3, shadow_y = 4, shadow_blur = 4, shadow_alpha = 0.4f;

static void paint_object(const world_object *o, int frame, float *canvas)
{
    const world_pose pose = world_object_pose(o, frame);
    const polygon g = outline(o->shape);
    const float black[3] = {0, 0, 0}, reach = 1.3f * pose.radius + shadow_y + shadow_blur + 2;
    int x0 = (int)fmaxf(0, pose.x - reach), x1 = (int)fminf(WORLD_SIDE - 1, pose.x + reach);
    int y0 = (int)fmaxf(0, pose.y - reach), y1 = (int)fminf(WORLD_SIDE - 1, pose.y + reach);
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            float px = (float)x + 0.5f, py = (float)y + 0.5f, *out = canvas + (y * WORLD_SIDE + x) * 3;
            float far = distance(o, &g, &pose, px - shadow_x, py - shadow_y);
            blend(out, black, pose.alpha * shadow_alpha * (1 - smooth(-shadow_blur, shadow_blur, far)));
            float cover = 0.5f - distance(o, &g, &pose, px, py);
            if (cover <= 0)
                continue;
            float light = 1 - 0.12f * (py - pose.y) / pose.radius, colour[3];
            for (int k = 0; k < 3; k++)
                colour[k] = fminf(255, world_colour_rgb[o->colour][k] * light);
            blend(out, colour, pose.alpha * fminf(1, cover));
        }
}

static void paint_background(const world_scene *s, float *canvas)
{
    for (int y = 0; y < WORLD_SIDE; y++)
        for (int x = 0; x < WORLD_SIDE; x++) {
            float t = 0, light = 1;
            if (s->background == WORLD_GRADIENT)
                t = (float)(s->across ? x : y) / (WORLD_SIDE - 1);
            else if (s->background == WORLD_CHECKER)
                t = (float)((x / s->cell + y / s->cell) % 2);
            else if (s->background == WORLD_SKY && y >= s->horizon)
                t = 1;
            else if (s->background == WORLD_SKY)
                light = 0.9f + 0.25f * (float)y / (float)s->horizon;
            for (int k = 0; k < 3; k++)
                canvas[(y * WORLD_SIDE + x) * 3 + k] =
                    light * (s->tones[0][k] + t * (s->tones[1][k] - s->tones[0][k]));
        }
}

void world_draw(const world_scene *s, int frame, uint8_t *rgb)
{
    float canvas[WORLD_FRAME_BYTES];
    paint_background(s, canvas);
    for (int i = 0; i < s->n_objects; i++)
        paint_object(&s->objects[i], frame, canvas);
    for (int i = 0; i < WORLD_FRAME_BYTES; i++)
        rgb[i] = (uint8_t)(canvas[i] + 0.5f);
}

void world_draw_clip(const world_scene *s, uint8_t *rgb)
{
    for (int f = 0; f < WORLD_FRAMES; f++)
        world_draw(s, f, rgb + (size_t)f * WORLD_FRAME_BYTES);
}
