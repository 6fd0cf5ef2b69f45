/* The steps of the checker: blobs in each frame, tracks through the frames, then shape and motion of a track. */
#ifndef TESTS_WORLD_LOOK_H
#define TESTS_WORLD_LOOK_H

#include "world/checker.h"

enum { WORLD_PIXELS = WORLD_SIDE * WORLD_SIDE, WORLD_MAX_BLOBS = 8, WORLD_MAX_TRACKS = 24 };

/* A vivid patch of one hue in one frame. */
typedef struct world_blob {
    bool white;                  /* without hue */
    float hue;                   /* degrees */
    float rgb[3];                /* of its middle */
    float x, y, area;            /* pixels; fractions of pixels at the edges count */
    float contrast;              /* how far its colour is from what lies around it, levels */
    uint8_t cover[WORLD_PIXELS]; /* 255: of its colour, 0: of the background's */
} world_blob;

typedef struct world_blobs {
    int n;
    world_blob list[WORLD_MAX_BLOBS];
} world_blobs;

/* Working memory of a frame. */
typedef struct world_segmenter {
    float smooth[WORLD_PIXELS][3], hue[WORLD_PIXELS];
    uint8_t kind[WORLD_PIXELS];  /* dull, coloured or white */
    uint8_t label[WORLD_PIXELS]; /* 0: none, else 1 + its component */
    int stack[WORLD_PIXELS];
} world_segmenter;

/* Finds the blobs of a frame, largest first. */
void world_segment(world_segmenter *s, const uint8_t *rgb, world_blobs *ret);
float world_hue_distance(float a, float b); /* 0..180 degrees */
/* The colour with this rgb, or WORLD_NONE where it is none of them. */
int world_colour_of(const float rgb[3], bool white);

/* An object through the frames. */
typedef struct world_track {
    const world_blob *at[WORLD_FRAMES]; /* NULL: not seen */
    int n, first, last;
    float most_area, most_contrast;
} world_track;

/* Joins the blobs of all frames; returns how many tracks are objects, and the first max of them, largest first. */
int world_tracks(const world_blobs frames[WORLD_FRAMES], world_track *ret, int max);
int world_track_colour(const world_track *t);

/* Outlines at every rotation, as bit pictures of one size. */
enum { WORLD_GRID = 32, WORLD_MAX_TURNS = 72 };
typedef struct world_template {
    int n_turns;
    float period; /* degrees after which the shape looks the same */
    uint32_t bits[WORLD_MAX_TURNS][WORLD_GRID];
} world_template;

void world_templates_draw(world_template ret[WORLD_SHAPES]);
/* What a track looks like (WORLD_NONE: like nothing known, or like several shapes in turn), and how it is turned
 * clockwise at each frame it was seen in, modulo *ret_period degrees (0: its turning cannot be seen). */
int world_track_shape(const world_template templates[WORLD_SHAPES], const world_track *t,
                      float ret_angle[WORLD_FRAMES], float *ret_period);

int world_track_motion(const world_track *t, const float angle[WORLD_FRAMES], float period);

#endif
