/* world sheet: what the model makes of 16 sentences about combinations it was not trained on, as one picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "media/png.h"
#include "world/commands.h"
#include "world/sheet.h"

enum { N_CARDS = 16, N_CANDIDATES = 400 };

typedef struct settings {
    world_program program;
    const char *output, *work;
    long seed;
    bool keep, drawn;
} settings;

/* What the scenes chosen so far show. */
typedef struct shown {
    int shape[WORLD_SHAPES], colour[WORLD_COLOURS], motion[WORLD_MOTIONS], background[WORLD_BACKGROUNDS];
} shown;

/* How much a scene adds: what was shown before counts less each time. */
static double novelty(const shown *n, const world_scene *s)
{
    double sum = 0.5 / (1 + n->background[s->background]);
    for (int i = 0; i < s->n_objects; i++) {
        const world_object *o = &s->objects[i];
        sum += 1.0 / (1 + 4 * n->shape[o->shape]) + 1.0 / (1 + 4 * n->colour[o->colour]) +
               1.0 / (1 + 8 * n->motion[o->motion]);
    }
    return sum;
}

static void note(shown *n, const world_scene *s)
{
    n->background[s->background]++;
    for (int i = 0; i < s->n_objects; i++) {
        n->shape[s->objects[i].shape]++;
        n->colour[s->objects[i].colour]++;
        n->motion[s->objects[i].motion]++;
    }
}

/* Two rows of the sheet are about two objects: their sentences are longer. */
static bool is_about_two(int card)
{
    return card / 2 == 2 || card / 2 == 5;
}

/* Each scene is the one of many that adds most to those before. */
static void choose(uint64_t seed, world_scene scenes[N_CARDS], world_card cards[N_CARDS])
{
    shown n = {0};
    kn_rng r;
    kn_rng_seed(&r, seed);
    for (int i = 0; i < N_CARDS; i++) {
        double most = -1;
        for (int k = 0; k < N_CANDIDATES; k++) {
            world_scene s;
            world_scene_random(&r, is_about_two(i) ? 2 : 1, true, &s);
            double d = novelty(&n, &s);
            if (d <= most)
                continue;
            most = d;
            scenes[i] = s;
        }
        note(&n, &scenes[i]);
        world_caption(&r, &scenes[i], cards[i].caption);
    }
}

static int take(void *ud, int i, const uint8_t *rgb, kn_err *err)
{
    world_card *card = (world_card *)ud + i;
    (void)err;
    for (int k = 0; k < WORLD_SHEET_FRAMES; k++) {
        int f = (k * (WORLD_FRAMES - 1) + (WORLD_SHEET_FRAMES - 1) / 2) / (WORLD_SHEET_FRAMES - 1);
        memcpy(card->frames[k], rgb + (size_t)f * WORLD_FRAME_BYTES, WORLD_FRAME_BYTES);
    }
    return 0;
}

static int generate(const settings *o, world_card *cards, kn_err *err)
{
    world_order orders[N_CARDS];
    char *work = world_work_folder(o->work, err);
    if (!work)
        return err->code;
    for (int i = 0; i < N_CARDS; i++)
        orders[i] = (world_order){.prompt = cards[i].caption, .seed = (uint64_t)i};
    int rc = world_generate(&o->program, work, o->keep, orders, N_CARDS, take, cards, err);
    if (!o->keep)
        rmdir(work);
    free(work);
    return rc;
}

static int draw(const world_scene *scenes, world_card *cards, kn_err *err)
{
    uint8_t *rgb = kn_calloc(WORLD_FRAMES, WORLD_FRAME_BYTES);
    if (!rgb)
        return kn_fail(err, KN_ENOMEM, "no memory for a clip");
    for (int i = 0; i < N_CARDS; i++) {
        world_draw_clip(&scenes[i], rgb);
        take(cards, i, rgb, err);
    }
    free(rgb);
    return 0;
}

static int save(const world_card *cards, const char *path, kn_err *err)
{
    kn_image im;
    void *data = NULL;
    size_t size = 0;
    kn_atomic_file out = {0};
    if (world_sheet_draw(cards, N_CARDS, &im, err))
        return err->code;
    int rc = kn_png_encode(&im, &data, &size, err);
    kn_image_done(&im);
    if (!rc && !(rc = kn_atomic_open(&out, path, err))) {
        if (fwrite(data, 1, size, out.f) == size) {
            rc = kn_atomic_commit(&out, err);
        } else {
            rc = kn_fail(err, KN_EIO, "cannot write %s", path);
            kn_atomic_abort(&out);
        }
    }
    free(data);
    return rc;
}

static int sheet(const settings *o, kn_err *err)
{
    world_scene scenes[N_CARDS];
    world_card *cards = kn_calloc(N_CARDS, sizeof *cards);
    if (!cards)
        return kn_fail(err, KN_ENOMEM, "no memory for the sheet");
    choose((uint64_t)o->seed, scenes, cards);
    int rc = o->drawn ? draw(scenes, cards, err) : generate(o, cards, err);
    if (!rc)
        rc = save(cards, o->output, err);
    free(cards);
    return rc;
}

int world_cmd_sheet(int argc, char **argv)
{
    kn_err err = {0};
    settings o = {.program.n_jobs = 2, .seed = 1};
    const world_option options[] = {
        {.name = "--kinora", .text = &o.program.path},
        {.name = "--model", .text = &o.program.model},
        {.name = "-o", .text = &o.output},
        {.name = "--dtype", .text = &o.program.dtype},
        {.name = "--steps", .text = &o.program.steps},
        {.name = "--guidance", .text = &o.program.guidance},
        {.name = "--jobs", .number = &o.program.n_jobs, .min = 1, .max = 16},
        {.name = "--seed", .number = &o.seed, .min = 0, .max = INT32_MAX},
        {.name = "--work", .text = &o.work},
        {.name = "--keep", .flag = &o.keep},
        {.name = "--drawn", .flag = &o.drawn},
        {0},
    };
    int rc = world_options_read(argc, argv, options, &err);
    if (!rc && (!o.output || (!o.drawn && (!o.program.path || !o.program.model))))
        rc = kn_fail(&err, KN_EINVAL,
                     "sheet needs -o SHEET.png, and --kinora PROGRAM and --model MODEL (or --drawn)");
    if (!rc)
        rc = sheet(&o, &err);
    if (rc)
        fprintf(stderr, "world: %s\n", err.msg);
    return kn_err_exit(rc);
}
