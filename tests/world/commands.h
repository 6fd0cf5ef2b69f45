/* build/tests/world: one function a command, and what they share. */
#ifndef TESTS_WORLD_COMMANDS_H
#define TESTS_WORLD_COMMANDS_H

#include "base/err.h"
#include "world/world.h"

/* argv[0] is the command's name. Return the exit code. */
int world_cmd_clips(int argc, char **argv);
int world_cmd_check(int argc, char **argv);
int world_cmd_bench(int argc, char **argv);
int world_cmd_sheet(int argc, char **argv);

/* ---- options ---- */

/* One of the three targets is not NULL: `text` takes any value, `number` one of [min, max], `flag` none. */
typedef struct world_option {
    const char *name; /* "--count" */
    const char **text;
    long *number, min, max;
    bool *flag;
} world_option;

/* options ends with a name NULL. KN_EINVAL. */
int world_options_read(int argc, char **argv, const world_option *options, kn_err *err);

/* ---- frames ---- */

/* A folder of WORLD_FRAMES pictures of the world's size, into rgb [WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 3]. */
int world_frames_load(const char *folder, uint8_t *rgb, kn_err *err);
int world_frame_save(const uint8_t *rgb, const char *path, kn_err *err); /* one frame, PNG */
/* A folder for files that go again: `given`, made if it does not exist, or (NULL) a fresh one; heap. */
char *world_work_folder(const char *given, kn_err *err);
/* A folder and the files in it; what is deeper stays. */
void world_folder_remove(const char *path);

/* ---- running the program ---- */

typedef struct world_program {
    const char *path, *model;
    const char *dtype, *steps, *guidance, *speed; /* NULL: as the program has it */
    long n_jobs;                                  /* processes at once */
} world_program;

typedef struct world_order {
    const char *prompt;
    const char *image; /* NULL: none */
    uint64_t seed;
} world_order;

/* Receives what was made for order i, in the order of completion; non-zero stops. */
typedef int (*world_made_fn)(void *ud, int i, const uint8_t *rgb, kn_err *err);

/* Runs the program once an order, in `work`; folders are removed unless `keep`. Fails with the program's own message. */
int world_generate(const world_program *p, const char *work, bool keep, const world_order *orders, int n,
                   world_made_fn made, void *ud, kn_err *err);

/* PSNR in dB of n bytes; 99 where they are equal. */
double world_psnr(const uint8_t *a, const uint8_t *b, size_t n);

/* How well MODEL/vae gives back clips of the world; KN_ENOTFOUND: there is none. */
int world_vae_psnr(const char *model, const char *dtype, int n_clips, uint64_t seed, double *ret_mean,
                   double *ret_least, kn_err *err);

/* ---- writing on pictures ---- */

enum { WORLD_GLYPH_WIDTH = 5, WORLD_GLYPH_HEIGHT = 9 }; /* seven rows, and two below the line */

/* Whether a glyph has a dot there; characters that there are none of are blank. */
bool world_glyph(char c, int x, int y);

#endif
