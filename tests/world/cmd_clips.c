/* world clips SEED N HELD_OUT(0|1) TWO(0..10) CLIPS.rgb SCENES.jsonl
 *
 * CLIPS.rgb gets u8 [N, WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 3], SCENES.jsonl a line a clip: its caption and what is in it.
 * TWO clips in ten show two objects. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "world/commands.h"

static json_t *object_json(const world_object *o)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "shape", o->shape, "colour", o->colour, "motion", o->motion,
                     "size", o->size, "speed", o->speed);
}

static int write_clips(uint64_t seed, long n, bool held_out, int two, FILE *clips, FILE *scenes)
{
    size_t bytes = (size_t)WORLD_FRAMES * WORLD_FRAME_BYTES;
    uint8_t *rgb = kn_calloc(1, bytes);
    kn_rng r;
    kn_rng_seed(&r, seed);
    for (long i = 0; rgb && i < n; i++) {
        world_scene s;
        char caption[WORLD_CAPTION_MAX];
        world_scene_random(&r, i % 10 < two ? 2 : 1, held_out, &s);
        world_caption(&r, &s, caption);
        world_draw_clip(&s, rgb);
        fwrite(rgb, 1, bytes, clips);
        json_t *o = json_pack("{s:s, s:s, s:[]}", "caption", caption, "background",
                              world_background_name(s.background), "objects");
        for (int k = 0; k < s.n_objects; k++)
            json_array_append_new(json_object_get(o, "objects"), object_json(&s.objects[k]));
        json_dumpf(o, scenes, JSON_COMPACT);
        fputc('\n', scenes);
        json_decref(o);
    }
    free(rgb);
    return rgb && !ferror(clips) && !ferror(scenes) ? 0 : 1;
}

/* The whole text is a number of [0, max]. */
static bool read_number(const char *text, unsigned long long max, unsigned long long *ret)
{
    char *end;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *ret <= max;
}

int world_cmd_clips(int argc, char **argv)
{
    unsigned long long seed, n, held_out, two;
    if (argc != 7 || !read_number(argv[1], UINT64_MAX, &seed) || !read_number(argv[2], INT32_MAX, &n) ||
        !read_number(argv[3], 1, &held_out) || !read_number(argv[4], 10, &two)) {
        fprintf(stderr, "usage: world clips SEED N HELD_OUT(0|1) TWO(0..10) CLIPS.rgb SCENES.jsonl\n");
        return 2;
    }
    FILE *clips = fopen(argv[5], "wb"), *scenes = fopen(argv[6], "w");
    int rc = 5;
    if (clips && scenes)
        rc = write_clips(seed, (long)n, held_out != 0, (int)two, clips, scenes);
    else
        fprintf(stderr, "world: cannot write %s\n", clips ? argv[6] : argv[5]);
    bool lost = clips && fclose(clips);
    lost = (scenes && fclose(scenes)) || lost;
    if (lost)
        rc = 5;
    return rc;
}
