/* world check FOLDER N_OBJECTS: what is to be seen in a folder of frames. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "world/checker.h"
#include "world/commands.h"

static const char *name_or_none(int value, const char *(*name)(int))
{
    return value == WORLD_NONE ? "none" : name(value);
}

static void print_sight(const world_sight *s, int n_expected)
{
    printf("objects: %d, expected %d\n", s->n_objects, n_expected);
    for (int i = 0; i < n_expected; i++)
        printf("%s %s %s\n", name_or_none(s->objects[i].colour, world_colour_name),
               name_or_none(s->objects[i].shape, world_shape_name),
               name_or_none(s->objects[i].motion, world_motion_name));
}

int world_cmd_check(int argc, char **argv)
{
    kn_err err = {0};
    if (argc != 3 || (strcmp(argv[2], "1") != 0 && strcmp(argv[2], "2") != 0)) {
        fprintf(stderr, "usage: world check FOLDER N_OBJECTS(1|2)\n");
        return 2;
    }
    int n_expected = argv[2][0] - '0', rc = 0;
    uint8_t *rgb = kn_calloc(WORLD_FRAMES, WORLD_FRAME_BYTES);
    world_checker *c = world_checker_new();
    if (!rgb || !c)
        rc = kn_fail(&err, KN_ENOMEM, "no memory for a clip");
    else if (!(rc = world_frames_load(argv[1], rgb, &err))) {
        world_sight s;
        world_check(c, rgb, n_expected, &s);
        print_sight(&s, n_expected);
    }
    if (rc)
        fprintf(stderr, "world: %s\n", err.msg);
    world_checker_free(c);
    free(rgb);
    return kn_err_exit(rc);
}
