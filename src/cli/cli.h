/* The command line: one file a subcommand, each an entry of the table in kinora.c. */
#ifndef KN_CLI_CLI_H
#define KN_CLI_CLI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/generate.h"
#include "models/models.h"

/* Numbers in printed JSON: 15 digits keep what a user typed as it was typed (0.1, not 0.10000000000000001). */
#define KN_JSON_DIGITS JSON_REAL_PRECISION(15)

/* Switches that a subcommand has beside the request's parameters. */
typedef struct kn_switch {
    const char *name;    /* "json" */
    const char *metavar; /* NULL: takes no value */
    const char *help;
    bool *flag;         /* set to true, or */
    const char **value; /* set to the value */
} kn_switch;

/* What a command says of itself. */
typedef struct kn_usage {
    const char *usage; /* "models [NAME|DIR|FILE]"; further lines begin with "       kinora " */
    const kn_switch *switches;
    bool has_params;               /* takes the request's parameters, too */
    const char *notes;             /* a paragraph below the options; may be NULL */
    const struct kn_command *subs; /* words that may follow the command; may be NULL */
} kn_usage;

/* A command line. With `describe` (and --help as the only argument) the usage is handed there instead of being printed: from
 * it come the man page and the shells' completions. */
typedef struct kn_args {
    int argc;
    char **argv; /* argv[0] is the command */
    void (*describe)(void *ud, const kn_usage *u);
    void *ud;
} kn_args;

typedef struct kn_command {
    const char *name, *summary;    /* summary NULL: not for people, not listed */
    int (*run)(const kn_args *a);  /* returns the exit code */
    const struct kn_command *subs; /* of a word that follows; without one of them `run` */
} kn_command;

extern const kn_command kn_commands[], kn_queue_commands[]; /* end with name NULL */
const kn_command *kn_command_find(const kn_command *table, const char *name);

int kn_cmd_generate(const kn_args *a);
int kn_cmd_plan(const kn_args *a);
int kn_cmd_models(const kn_args *a);
int kn_cmd_info(const kn_args *a);
int kn_cmd_doctor(const kn_args *a);
int kn_cmd_bench(const kn_args *a);
int kn_cmd_serve(const kn_args *a);
int kn_cmd_worker(const kn_args *a);
int kn_cmd_pull(const kn_args *a);
int kn_cmd_queue(const kn_args *a);
int kn_cmd_cleanup(const kn_args *a);
int kn_cmd_logs(const kn_args *a);
int kn_cmd_docs(const kn_args *a);

/* kinora bench --quality. */
int kn_bench_quality(kn_request *rq, bool json, kn_err *err);

/* Prints "kinora: <message>" on stderr and returns the exit code of the error. */
int kn_cli_fail(const kn_err *err);
/* What a program that reads the JSON lines learns of a failure, on standard output. */
void kn_cli_print_error(const kn_err *err);
/* One JSON line on standard output; consumes it. */
void kn_cli_print(json_t *take);
/* Text of others, for one line of a terminal: at most `most` characters, without control characters. */
const char *kn_cli_one_line(const char *text, int most, char *buf, size_t size);
/* Ctrl-C and SIGTERM set what is returned; a second one ends the program. */
const atomic_bool *kn_cli_catch_signals(void);

/* Letters to insert, drop or change between two words (capped at 40): for "did you mean". */
int kn_edit_distance(const char *a, const char *b);

/* Parses `--name value`, `--name=value`, `-o FILE`, `--help`. rq may be NULL (only switches). Words that are no options go
 * into positional, which has room for n_words; more are KN_EINVAL. *ret_help: help was asked for. */
int kn_args_parse(const kn_args *a, kn_request *rq, const kn_switch *switches, const char **positional,
                  int n_words, bool *ret_help, kn_err *err);
void kn_args_help(const kn_args *a, const kn_usage *u);
/* A line for each that is for people. */
void kn_commands_print(FILE *out, const kn_command *table);

/* Progress: a bar on a terminal, lines elsewhere, JSON lines with --json. */
typedef struct kn_progress {
    FILE *out;
    bool json, terminal;
    double last_s; /* when something was last printed */
    int width;     /* of the line on the terminal */
} kn_progress;
void kn_progress_init(kn_progress *p, bool json);
void kn_progress_event(void *ud, const kn_event *e);
void kn_progress_clear(kn_progress *p); /* leaves the terminal's line empty */

/* "3:05", "1:02:03", "12.3 s" into buf. */
const char *kn_format_seconds(double s, char *buf, size_t size);
const char *kn_format_bytes(double n, char *buf, size_t size);

#endif
