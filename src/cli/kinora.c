/* kinora: the program. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const kn_command commands[] = {
    {"generate", "make a video from text and pictures", kn_cmd_generate},
    {"plan", "say what a video will cost, without reading weights", kn_cmd_plan},
    {"models", "list model families, or describe a model", kn_cmd_models},
    {"pull", "fetch a model from Hugging Face, or search there", kn_cmd_pull},
    {"info", "show what a video file says of how it was made", kn_cmd_info},
    {"doctor", "show this machine: processor, libraries, encoders, advice", kn_cmd_doctor},

    {"serve", "the studio: queue, HTTP API and page", kn_cmd_serve},
    {"bench", "measure the denoiser and the VAE at real sizes with random weights", kn_cmd_bench},
    {"worker", NULL, kn_cmd_worker},
    {NULL, NULL, NULL},
};

static void help(FILE *out)
{
    fprintf(out, "kinora %s: local AI video studio\n\nusage: kinora COMMAND [OPTIONS]\n\ncommands:\n",
            KN_VERSION);
    for (const kn_command *c = commands; c->name; c++)
        if (c->summary)
            fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fprintf(out, "\n`kinora COMMAND --help` lists its options.  A first video:\n"
                 "  kinora generate --model demo --prompt \"a red ball rolling to the right\" -o "
                 "ball.mp4\n\nexit codes:\n");
#define X(sym, value, http, exit_code, text) fprintf(out, "  %3d  %s\n", exit_code, text);
    KN_ERR_LIST(X)
#undef X
}

static const kn_command *find(const char *name)
{
    for (const kn_command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *best = NULL;
    int best_distance = 3;
    for (const kn_command *c = commands; c->name; c++)
        if (c->summary && kn_edit_distance(name, c->name) < best_distance)
            best = c->name, best_distance = kn_edit_distance(name, c->name);
    fprintf(stderr, "kinora: unknown command \"%.64s\"; %s%s%s`kinora help` lists them\n", name,
            best ? "did you mean " : "", best ? best : "", best ? "? " : "");
    return kn_err_exit(KN_EINVAL);
}

int main(int argc, char **argv)
{
    /* glibc raises this threshold as it sees large blocks freed and then keeps gigabytes of freed weights; fixed, what a
     * phase frees goes back to the system, as plans promise. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--version") || !strcmp(name, "-V") || !strcmp(name, "version")) {
        printf("kinora %s\n", KN_VERSION);
        return 0;
    }
    if (!strcmp(name, "help") && argc > 2) {
        const kn_command *c = find(argv[2]);
        return c ? c->run(2, (char *[]){argv[2], "--help", NULL}) : unknown_command(argv[2]);
    }
    if (!*name || !strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        help(*name ? stdout : stderr);
        return *name ? 0 : kn_err_exit(KN_EINVAL);
    }
    const kn_command *c = find(name);
    return c ? c->run(argc - 1, argv + 1) : unknown_command(name);
}
