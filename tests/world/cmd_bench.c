/* world bench: how often what is generated shows what the sentence says, for combinations the model was not trained on.
 *
 * Scores are of the checker (checker.h): per object for each attribute; `all` per sentence, where every attribute of
 * every object is right. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "world/commands.h"
#include "world/tally.h"

enum { MAX_COUNT = 100000, MAX_MISTAKES = 15 };

typedef struct settings {
    world_program program;
    long seed, count, count_image, count_vae;
    const char *work;
    bool keep;
} settings;

/* Sentences, what they describe, and how what was generated from them scored. */
typedef struct series {
    const char *name;
    int n, n_done;
    world_scene *scenes;
    char (*captions)[WORLD_CAPTION_MAX];
    char **images; /* NULL: text to video */
    world_order *orders;
    world_checker *checker;
    world_tally tally[WORLD_MAX_OBJECTS];
    double psnr_sum, psnr_least; /* of the first frame against the given picture */
    double began_s, told_s;
} series;

static void series_done(series *s)
{
    for (int i = 0; s->images && i < s->n; i++) {
        if (s->images[i])
            unlink(s->images[i]);
        free(s->images[i]);
    }
    free(s->images);
    free(s->scenes);
    free(s->captions);
    free(s->orders);
    world_checker_free(s->checker);
}

/* Of every `of` sentences one is about two objects; 0: none. */
static int series_init(series *s, const char *name, int n, int of, uint64_t seed, kn_err *err)
{
    kn_rng r;
    *s = (series){.name = name, .n = n, .psnr_least = INFINITY, .began_s = kn_clock_s()};
    s->scenes = kn_calloc((size_t)n, sizeof *s->scenes);
    s->captions = kn_calloc((size_t)n, sizeof *s->captions);
    s->orders = kn_calloc((size_t)n, sizeof *s->orders);
    s->checker = world_checker_new();
    if (!s->scenes || !s->captions || !s->orders || !s->checker)
        return kn_fail(err, KN_ENOMEM, "no memory for %d sentences", n);
    s->told_s = s->began_s;
    kn_rng_seed(&r, seed);
    for (int i = 0; i < n; i++) {
        world_scene_random(&r, of && i % of == of - 1 ? 2 : 1, true, &s->scenes[i]);
        world_caption(&r, &s->scenes[i], s->captions[i]);
        s->orders[i] = (world_order){.prompt = s->captions[i], .seed = (uint64_t)i};
    }
    return 0;
}

/* Gives every sentence the first frame of its scene. */
static int series_add_images(series *s, const char *work, kn_err *err)
{
    s->images = kn_calloc((size_t)s->n, sizeof *s->images);
    uint8_t *rgb = kn_calloc(1, WORLD_FRAME_BYTES);
    int rc = s->images && rgb ? 0 : kn_fail(err, KN_ENOMEM, "no memory for pictures");
    for (int i = 0; i < s->n && !rc; i++) {
        s->images[i] = kn_asprintf("%s/first-%05d.png", work, i);
        world_draw(&s->scenes[i], 0, rgb);
        rc = s->images[i] ? world_frame_save(rgb, s->images[i], err)
                          : kn_fail(err, KN_ENOMEM, "no memory for a path");
        s->orders[i].image = s->images[i];
    }
    free(rgb);
    return rc;
}

static void tell_progress(series *s)
{
    static const double every_s = 15;
    double now = kn_clock_s();
    world_tally t = world_tally_sum(&s->tally[0], &s->tally[1]);
    if (now - s->told_s < every_s && s->n_done < s->n)
        return;
    s->told_s = now;
    fprintf(stderr, "%s: %d of %d, %.1f s each, all right so far %.2f\n", s->name, s->n_done, s->n,
            (now - s->began_s) / s->n_done, world_tally_share(t.all, t.n_clips));
}

static int score(void *ud, int i, const uint8_t *rgb, kn_err *err)
{
    series *s = ud;
    const world_scene *scene = &s->scenes[i];
    world_sight sight;
    world_verdict verdict;
    (void)err;
    world_check(s->checker, rgb, scene->n_objects, &sight);
    world_judge(scene, &sight, &verdict);
    world_tally_add(&s->tally[scene->n_objects - 1], scene, &verdict);
    if (s->images) {
        uint8_t first[WORLD_FRAME_BYTES];
        world_draw(scene, 0, first);
        double d = world_psnr(first, rgb, WORLD_FRAME_BYTES);
        s->psnr_sum += d;
        s->psnr_least = fmin(s->psnr_least, d);
    }
    s->n_done++;
    tell_progress(s);
    return 0;
}

static int text_to_video(const settings *o, const char *work, world_tally *ret, kn_err *err)
{
    enum { TWO_OF = 6 };
    series s;
    int rc = series_init(&s, "text to video", (int)o->count, TWO_OF, (uint64_t)o->seed, err);
    if (!rc)
        rc = world_generate(&o->program, work, o->keep, s.orders, s.n, score, &s, err);
    if (!rc) {
        *ret = world_tally_sum(&s.tally[0], &s.tally[1]);
        printf("%-20s%8s%8s%8s%8s\n", "text to video", "colour", "shape", "motion", "all");
        world_tally_print(&s.tally[0], "one object");
        world_tally_print(&s.tally[1], "two objects");
        world_tally_print(ret, "together");
        world_tally_print_mistakes(ret, MAX_MISTAKES);
    }
    series_done(&s);
    return rc;
}

static int image_to_video(const settings *o, const char *work, kn_err *err)
{
    series s;
    int rc = series_init(&s, "image to video", (int)o->count_image, 0, (uint64_t)o->seed + 1, err);
    if (!rc)
        rc = series_add_images(&s, work, err);
    if (!rc)
        rc = world_generate(&o->program, work, o->keep, s.orders, s.n, score, &s, err);
    if (!rc)
        printf("image to video %5d  motion=%.2f colour=%.2f shape=%.2f, first frame PSNR %.1f dB, least %.1f "
               "dB\n",
               s.n, world_tally_share(s.tally[0].right[2], s.n), world_tally_share(s.tally[0].right[0], s.n),
               world_tally_share(s.tally[0].right[1], s.n), s.psnr_sum / s.n, s.psnr_least);
    series_done(&s);
    return rc;
}

static int reconstruction(const settings *o, kn_err *err)
{
    const char *model = strcmp(o->program.model, "demo") == 0 ? "./demo" : o->program.model;
    double mean, least;
    int rc =
        world_vae_psnr(model, o->program.dtype, (int)o->count_vae, (uint64_t)o->seed + 2, &mean, &least, err);
    if (rc == KN_ENOTFOUND) {
        printf("VAE skipped: %s\n", err->msg);
        *err = (kn_err){0};
        return 0;
    }
    if (!rc)
        printf("VAE            %5ld  PSNR %.1f dB, least %.1f dB\n", o->count_vae, mean, least);
    return rc;
}

static int bench(const settings *o, kn_err *err)
{
    world_tally t = {0};
    char *work = world_work_folder(o->work, err);
    if (!work)
        return err->code;
    int rc = text_to_video(o, work, &t, err);
    if (!rc && o->count_image)
        rc = image_to_video(o, work, err);
    if (!rc && o->count_vae)
        rc = reconstruction(o, err);
    if (!rc)
        printf("scores: colour=%.2f shape=%.2f motion=%.2f all=%.2f\n",
               world_tally_share(t.right[0], t.n_objects), world_tally_share(t.right[1], t.n_objects),
               world_tally_share(t.right[2], t.n_objects), world_tally_share(t.all, t.n_clips));
    if (o->keep)
        fprintf(stderr, "frames are in %s\n", work);
    else
        rmdir(work); /* stays if something else is in it */
    free(work);
    return rc;
}

int world_cmd_bench(int argc, char **argv)
{
    kn_err err = {0};
    settings o = {.program.n_jobs = 2, .seed = 1, .count = 240, .count_image = 100, .count_vae = 50};
    const world_option options[] = {
        {.name = "--kinora", .text = &o.program.path},
        {.name = "--model", .text = &o.program.model},
        {.name = "--dtype", .text = &o.program.dtype},
        {.name = "--steps", .text = &o.program.steps},
        {.name = "--speed", .text = &o.program.speed},
        {.name = "--guidance", .text = &o.program.guidance},
        {.name = "--jobs", .number = &o.program.n_jobs, .min = 1, .max = 16},
        {.name = "--seed", .number = &o.seed, .min = 0, .max = INT32_MAX},
        {.name = "--count", .number = &o.count, .min = 1, .max = MAX_COUNT},
        {.name = "--count-image", .number = &o.count_image, .min = 0, .max = MAX_COUNT},
        {.name = "--count-vae", .number = &o.count_vae, .min = 0, .max = MAX_COUNT},
        {.name = "--work", .text = &o.work},
        {.name = "--keep", .flag = &o.keep},
        {0},
    };
    int rc = world_options_read(argc, argv, options, &err);
    if (!rc && (!o.program.path || !o.program.model))
        rc = kn_fail(&err, KN_EINVAL, "bench needs --kinora PROGRAM and --model MODEL");
    if (!rc)
        rc = bench(&o, &err);
    if (rc)
        fprintf(stderr, "world: %s\n", err.msg);
    return kn_err_exit(rc);
}
