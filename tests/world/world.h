/* The world of the demo model: one or two coloured shapes that move before a quiet background.
 *
 * It is drawn here, described here in words, and split here into what the demo model was trained on and what it has
 * never seen.  tools/train-demo reads it through build/tests/world, the tests and `make bench-demo` directly: there is
 * one definition of what a "red star that moves up" looks like. */
#ifndef TESTS_WORLD_WORLD_H
#define TESTS_WORLD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum { WORLD_SIDE = 96, WORLD_FRAMES = 17, WORLD_FPS = 12, WORLD_MAX_OBJECTS = 2 };
enum { WORLD_FRAME_BYTES = WORLD_SIDE * WORLD_SIDE * 3, WORLD_CAPTION_MAX = 256 };

typedef enum world_shape {
    WORLD_CIRCLE,
    WORLD_SQUARE,
    WORLD_TRIANGLE,
    WORLD_STAR,
    WORLD_RING,
    WORLD_HEART,
    WORLD_CROSS,
    WORLD_SHAPES
} world_shape;

typedef enum world_colour {
    WORLD_RED,
    WORLD_ORANGE,
    WORLD_YELLOW,
    WORLD_GREEN,
    WORLD_CYAN,
    WORLD_BLUE,
    WORLD_PURPLE,
    WORLD_PINK,
    WORLD_WHITE,
    WORLD_COLOURS
} world_colour;

typedef enum world_motion {
    WORLD_LEFT,
    WORLD_RIGHT,
    WORLD_UP,
    WORLD_DOWN,
    WORLD_UP_LEFT,
    WORLD_UP_RIGHT,
    WORLD_DOWN_LEFT,
    WORLD_DOWN_RIGHT,
    WORLD_BOUNCE,
    WORLD_ORBIT, /* clockwise around the middle of the picture */
    WORLD_SPIN,  /* clockwise on the spot; never a circle or a ring */
    WORLD_GROW,
    WORLD_SHRINK,
    WORLD_FADE, /* to nothing */
    WORLD_STILL,
    WORLD_MOTIONS
} world_motion;

typedef enum world_size { WORLD_SMALL, WORLD_MEDIUM, WORLD_LARGE, WORLD_SIZES } world_size;
typedef enum world_speed { WORLD_SLOW, WORLD_STEADY, WORLD_FAST, WORLD_SPEEDS } world_speed;
typedef enum world_background {
    WORLD_PLAIN,
    WORLD_GRADIENT,
    WORLD_CHECKER,
    WORLD_SKY,
    WORLD_BACKGROUNDS
} world_background;

typedef struct world_object {
    world_shape shape;
    world_colour colour;
    world_motion motion;
    world_size size;
    world_speed speed;
    float radius, x,
        y;        /* pixels, at the first frame; orbit: the centre is fixed and x, y follow from `angle` */
    float dx, dy; /* pixels over the whole clip; bounce: dy is the height */
    float angle;  /* orbit: where it begins, radians */
} world_object;

typedef struct world_scene {
    int n_objects;
    world_object objects[WORLD_MAX_OBJECTS]; /* of different colours, never touching */
    world_background background;
    float tones[2][3]; /* its two colours, 0..255 */
    bool across;       /* gradient: from left to right rather than from top to bottom */
    int cell, horizon; /* checker: pixels a cell; sky: first row of the ground */
} world_scene;

/* Where an object is at a frame (0 to WORLD_FRAMES - 1). */
typedef struct world_pose {
    float x, y, radius, angle, alpha;
} world_pose;
world_pose world_object_pose(const world_object *o, int frame);

/* Every eighth combination of shape, colour and motion is held out: the demo model was not trained on it. */
bool world_is_held_out(world_shape s, world_colour c, world_motion m);

/* Draws a scene of n_objects. held_out: at least one object is a held-out combination, else none is. */
void world_scene_random(kn_rng *r, int n_objects, bool held_out, world_scene *ret);

/* rgb [WORLD_SIDE, WORLD_SIDE, 3] */
void world_draw(const world_scene *s, int frame, uint8_t *rgb);
/* rgb [WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 3] */
void world_draw_clip(const world_scene *s, uint8_t *rgb);

/* One of the sentences that describe the scene; shape, colour and motion of every object are always in it.
 * Writes at most WORLD_CAPTION_MAX bytes. */
void world_caption(kn_rng *r, const world_scene *s, char *ret);

const char *world_shape_name(int shape);
const char *world_colour_name(int colour);
const char *world_motion_name(int motion); /* "up-left" */
const char *world_size_name(int size);
const char *world_speed_name(int speed);
const char *world_background_name(int background);
extern const uint8_t world_colour_rgb[WORLD_COLOURS][3];

#endif
