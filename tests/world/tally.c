/* Scores. */
#include <stdio.h>

#include "world/tally.h"

static const struct {
    const char *name;
    const char *(*value)(int);
} attributes[WORLD_ATTRIBUTES] = {
    {"colour", world_colour_name},
    {"shape", world_shape_name},
    {"motion", world_motion_name},
};

_Static_assert((int)WORLD_MOTIONS < (int)WORLD_MOST_VALUES, "one place is for none");

void world_tally_add(world_tally *t, const world_scene *s, const world_verdict *v)
{
    t->n_clips++;
    t->all += v->all;
    for (int i = 0; i < s->n_objects; i++) {
        const world_object *o = &s->objects[i];
        const int asked[] = {(int)o->colour, (int)o->shape, (int)o->motion};
        const int seen[] = {v->seen[i].colour, v->seen[i].shape, v->seen[i].motion};
        t->n_objects++;
        for (int a = 0; a < WORLD_ATTRIBUTES; a++) {
            t->right[a] += asked[a] == seen[a];
            t->seen_as[a][asked[a]][seen[a] == WORLD_NONE ? WORLD_MOST_VALUES - 1 : seen[a]]++;
        }
    }
}

world_tally world_tally_sum(const world_tally *a, const world_tally *b)
{
    world_tally t = *a;
    t.n_clips += b->n_clips;
    t.n_objects += b->n_objects;
    t.all += b->all;
    for (int i = 0; i < WORLD_ATTRIBUTES; i++) {
        t.right[i] += b->right[i];
        for (int k = 0; k < WORLD_MOST_VALUES; k++)
            for (int l = 0; l < WORLD_MOST_VALUES; l++)
                t.seen_as[i][k][l] += b->seen_as[i][k][l];
    }
    return t;
}

double world_tally_share(int right, int of)
{
    return of ? (double)right / of : 0;
}

void world_tally_print(const world_tally *t, const char *what)
{
    printf("%-14s %5d", what, t->n_clips);
    for (int a = 0; a < WORLD_ATTRIBUTES; a++)
        printf("%8.2f", world_tally_share(t->right[a], t->n_objects));
    printf("%8.2f\n", world_tally_share(t->all, t->n_clips));
}

void world_tally_print_mistakes(const world_tally *t, int max)
{
    world_tally rest = *t; /* what was printed is taken out of it */
    for (int i = 0; i < max; i++) {
        int most = 0, attribute = 0, asked = 0, seen = 0;
        for (int a = 0; a < WORLD_ATTRIBUTES; a++)
            for (int k = 0; k < WORLD_MOST_VALUES; k++)
                for (int l = 0; l < WORLD_MOST_VALUES; l++)
                    if (k != l && rest.seen_as[a][k][l] > most) {
                        most = rest.seen_as[a][k][l];
                        attribute = a;
                        asked = k;
                        seen = l;
                    }
        if (!most)
            return;
        rest.seen_as[attribute][asked][seen] = 0;
        printf("%s%s: %s -> %s %d\n", i ? "" : "mistakes, the most frequent first:\n",
               attributes[attribute].name, attributes[attribute].value(asked),
               seen == WORLD_MOST_VALUES - 1 ? "none" : attributes[attribute].value(seen), most);
    }
}
