/* The checker: what is to be seen, and whether that is what was asked for. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "world/look.h"

struct world_checker {
    world_template templates[WORLD_SHAPES];
    world_segmenter segmenter;
    world_blobs frames[WORLD_FRAMES];
};

world_checker *world_checker_new(void)
{
    world_checker *c = kn_calloc(1, sizeof *c);
    if (c)
        world_templates_draw(c->templates);
    return c;
}

void world_checker_free(world_checker *c)
{
    free(c);
}

static const world_seen nothing = {WORLD_NONE, WORLD_NONE, WORLD_NONE};

void world_check(world_checker *c, const uint8_t *rgb, int n_expected, world_sight *ret)
{
    world_track tracks[WORLD_MAX_OBJECTS];
    for (int f = 0; f < WORLD_FRAMES; f++)
        world_segment(&c->segmenter, rgb + (size_t)f * WORLD_FRAME_BYTES, &c->frames[f]);
    ret->n_objects = world_tracks(c->frames, tracks, WORLD_MAX_OBJECTS);
    for (int i = 0; i < WORLD_MAX_OBJECTS; i++) {
        world_seen *o = &ret->objects[i];
        float angle[WORLD_FRAMES], period;
        *o = nothing;
        if (i >= ret->n_objects || ret->n_objects > n_expected)
            continue;
        o->colour = world_track_colour(&tracks[i]);
        o->shape = world_track_shape(c->templates, &tracks[i], angle, &period);
        o->motion = world_track_motion(&tracks[i], angle, period);
    }
}

/* ---- judging ---- */

static int n_right(const world_object *o, const world_seen *s)
{
    return 4 * (s->colour == (int)o->colour) + (s->shape == (int)o->shape) + (s->motion == (int)o->motion);
}

void world_judge(const world_scene *s, const world_sight *sight, world_verdict *ret)
{
    const world_object *o = s->objects;
    const world_seen *seen = sight->objects;
    bool crossed = s->n_objects == 2 && n_right(&o[0], &seen[1]) + n_right(&o[1], &seen[0]) >
                                            n_right(&o[0], &seen[0]) + n_right(&o[1], &seen[1]);
    memset(ret, 0, sizeof *ret);
    ret->n_objects = s->n_objects;
    ret->all = true;
    for (int i = 0; i < s->n_objects; i++) {
        const world_seen *is = &seen[crossed ? 1 - i : i];
        ret->seen[i] = *is;
        ret->colour[i] = is->colour == (int)o[i].colour;
        ret->shape[i] = is->shape == (int)o[i].shape;
        ret->motion[i] = is->motion == (int)o[i].motion;
        ret->all = ret->all && ret->colour[i] && ret->shape[i] && ret->motion[i];
    }
}
