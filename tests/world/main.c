/* build/tests/world: the demo model's world on the command line. */
#include <stdio.h>
#include <string.h>

#include "world/commands.h"

static const char usage[] =
    "usage: world COMMAND ...\n"
    "\n"
    "  clips SEED N HELD_OUT CLIPS.rgb SCENES.jsonl\n"
    "      writes clips and their captions, for training\n"
    "  check FOLDER N_OBJECTS\n"
    "      says what is to be seen in a folder of frames\n"
    "  bench --kinora PROGRAM --model MODEL [--dtype D] [--steps N] [--guidance G] [--speed X] [--seed S] "
    "[--count N]\n"
    "        [--count-image N] [--count-vae N] [--jobs N] [--work DIR] [--keep]\n"
    "      generates from sentences about combinations the model has never seen, and scores what comes out\n"
    "  sheet --kinora PROGRAM --model MODEL -o SHEET.png [--dtype D] [--steps N] [--guidance G] [--seed S]\n"
    "        [--jobs N] [--work DIR] [--keep] [--drawn]\n"
    "      a picture of 16 sentences and what is generated from them (--drawn: what they describe)\n";

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"clips", world_cmd_clips},
        {"check", world_cmd_check},
        {"bench", world_cmd_bench},
        {"sheet", world_cmd_sheet},
    };
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 1)
        fprintf(stderr, "world: no command '%s'\n", argv[1]);
    fputs(usage, stderr);
    return 2;
}
