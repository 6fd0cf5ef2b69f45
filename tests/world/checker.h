/* What is to be seen in a clip of the demo model's world: classical picture analysis that knows the rules of the world
 * (vivid shapes before a dull background) and nothing of the scene or the sentence.
 *
 * It judges drawn clips and generated ones alike: edges may be soft, colours a little off, an object may wobble by a
 * pixel or miss in a frame.  What it cannot name with confidence is WORLD_NONE, never the nearest guess. */
#ifndef TESTS_WORLD_CHECKER_H
#define TESTS_WORLD_CHECKER_H

#include "world/world.h"

enum { WORLD_NONE = -1 };

typedef struct world_seen {
    int colour, shape, motion; /* world_colour, world_shape, world_motion or WORLD_NONE */
} world_seen;

typedef struct world_sight {
    int n_objects; /* that were there, also if it is more than expected */
    world_seen
        objects[WORLD_MAX_OBJECTS]; /* largest first; those that are missing are WORLD_NONE throughout */
} world_sight;

/* Templates and working memory, 3 MB; a checker is used by one thread at a time. NULL without memory. */
typedef struct world_checker world_checker;
world_checker *world_checker_new(void);
void world_checker_free(world_checker *c);

/* rgb [WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 3]; n_expected 1 or 2.  An object too many spoils the clip: every object
 * is then WORLD_NONE throughout. */
void world_check(world_checker *c, const uint8_t *rgb, int n_expected, world_sight *ret);

/* How a clip compares with what its sentence asked for. */
typedef struct world_verdict {
    int n_objects;
    world_seen seen[WORLD_MAX_OBJECTS]; /* in the order of the scene's objects */
    bool colour[WORLD_MAX_OBJECTS], shape[WORLD_MAX_OBJECTS], motion[WORLD_MAX_OBJECTS];
    bool all; /* every attribute of every object */
} world_verdict;

/* Two objects are told apart by their colours, and by the rest where these do not decide. */
void world_judge(const world_scene *s, const world_sight *sight, world_verdict *ret);

#endif
