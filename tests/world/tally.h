/* Counting what was right, and what was taken for what. */
#ifndef TESTS_WORLD_TALLY_H
#define TESTS_WORLD_TALLY_H

#include "world/checker.h"

enum { WORLD_ATTRIBUTES = 3, WORLD_MOST_VALUES = 16 };

typedef struct world_tally {
    int n_clips, n_objects;
    int right[WORLD_ATTRIBUTES]; /* objects: colour, shape, motion */
    int all;                     /* clips of which everything is right */
    int seen_as[WORLD_ATTRIBUTES][WORLD_MOST_VALUES]
               [WORLD_MOST_VALUES]; /* asked for, seen (the last: none) */
} world_tally;

void world_tally_add(world_tally *t, const world_scene *s, const world_verdict *v);
world_tally world_tally_sum(const world_tally *a, const world_tally *b);
/* A line of the table: "one object (200)   0.97   0.93   0.92   0.85". */
void world_tally_print(const world_tally *t, const char *what);
void world_tally_print_mistakes(const world_tally *t, int max); /* the most frequent first */
double world_tally_share(int right, int of);                    /* 0 of none */

#endif
