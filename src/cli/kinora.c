/* kinora: the program. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const kn_command kn_commands[] = {
    {"generate", "make a video from text and pictures", kn_cmd_generate, NULL},
    {"plan", "say what a video will cost, without reading weights", kn_cmd_plan, NULL},
    {"models", "list model families and fetched models, describe or remove one", kn_cmd_models, NULL},
    {"pull", "fetch a model from Hugging Face, or search there", kn_cmd_pull, NULL},
    {"info", "show what a video file says of how it was made", kn_cmd_info, NULL},
    {"doctor", "show this machine: processor, libraries, encoders, advice", kn_cmd_doctor, NULL},

    {"serve", "the studio: queue, HTTP API and page", kn_cmd_serve, NULL},
    {"queue", "list the studio's jobs, put one in line, watch and change them", kn_cmd_queue,
     kn_queue_commands},
    {"cleanup", "remove old jobs and their videos, as the studio's settings say", kn_cmd_cleanup, NULL},
    {"logs", "show the last lines of the studio's log", kn_cmd_logs, NULL},
    {"bench", "measure the denoiser and the VAE at real sizes with random weights", kn_cmd_bench, NULL},
    {"worker", NULL, kn_cmd_worker, NULL},
    {"docs", NULL, kn_cmd_docs, NULL},
    {NULL, NULL, NULL, NULL},
};

void kn_commands_print(FILE *out, const kn_command *table)
{
    for (const kn_command *c = table; c->name; c++)
        if (c->summary)
            fprintf(out, "  %-10s %s\n", c->name, c->summary);
}

static void help(FILE *out)
{
    fprintf(out, "kinora %s: local AI video studio\n\nusage: kinora COMMAND [OPTIONS]\n\ncommands:\n",
            KN_VERSION);
    kn_commands_print(out, kn_commands);
    fprintf(out, "\n`kinora COMMAND --help` lists its options.  A first video:\n"
                 "  kinora generate --model demo --prompt \"a red ball rolling to the right\" -o "
                 "ball.mp4\n\nexit codes:\n");
#define X(sym, value, http, exit_code, text) fprintf(out, "  %3d  %s\n", exit_code, text);
    KN_ERR_LIST(X)
#undef X
}

const kn_command *kn_command_find(const kn_command *table, const char *name)
{
    for (const kn_command *c = table; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static int unknown_command(const kn_command *table, const char *name)
{
    const char *best = NULL;
    int best_distance = 3;
    for (const kn_command *c = table; c->name; c++)
        if (c->summary && kn_edit_distance(name, c->name) < best_distance)
            best = c->name, best_distance = kn_edit_distance(name, c->name);
    fprintf(stderr, "kinora: unknown command \"%.64s\"; %s%s%s`kinora help%s` lists them\n", name,
            best ? "did you mean " : "", best ? best : "", best ? "? " : "",
            table == kn_commands ? "" : " COMMAND");
    return kn_err_exit(KN_EINVAL);
}

/* The command of argv[0], or of argv[1] where that is one of its own. */
static int run(int argc, char **argv)
{
    const kn_command *c = kn_command_find(kn_commands, argv[0]);
    if (!c)
        return unknown_command(kn_commands, argv[0]);
    if (c->subs && argc > 1 && argv[1][0] != '-') {
        const kn_command *sub = kn_command_find(c->subs, argv[1]);
        return sub ? sub->run(&(kn_args){.argc = argc - 1, .argv = argv + 1})
                   : unknown_command(c->subs, argv[1]);
    }
    return c->run(&(kn_args){.argc = argc, .argv = argv});
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
    if (!strcmp(name, "help") && argc > 2)
        return argc > 3 ? run(3, (char *[]){argv[2], argv[3], "--help", NULL})
                        : run(2, (char *[]){argv[2], "--help", NULL});
    if (!*name || !strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        help(*name ? stdout : stderr);
        return *name ? 0 : kn_err_exit(KN_EINVAL);
    }
    return run(argc - 1, argv + 1);
}
