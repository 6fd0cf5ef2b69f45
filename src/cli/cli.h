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

typedef struct kn_command {
    const char *name, *summary;        /* summary NULL: not for people, not listed */
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand; returns the exit code */
} kn_command;

int kn_cmd_generate(int argc, char **argv);
int kn_cmd_plan(int argc, char **argv);
int kn_cmd_models(int argc, char **argv);
int kn_cmd_info(int argc, char **argv);
int kn_cmd_doctor(int argc, char **argv);
int kn_cmd_bench(int argc, char **argv);
int kn_cmd_serve(int argc, char **argv);
int kn_cmd_worker(int argc, char **argv);
int kn_cmd_pull(int argc, char **argv);

/* kinora bench --quality. */
int kn_bench_quality(kn_request *rq, bool json, kn_err *err);

/* Prints "kinora: <message>" on stderr and returns the exit code of the error. */
int kn_cli_fail(const kn_err *err);
/* What a program that reads the JSON lines learns of a failure, on standard output. */
void kn_cli_print_error(const kn_err *err);
/* Ctrl-C and SIGTERM set what is returned; a second one ends the program. */
const atomic_bool *kn_cli_catch_signals(void);

/* Letters to insert, drop or change between two words (capped at 40): for "did you mean". */
int kn_edit_distance(const char *a, const char *b);

/* Switches that a subcommand has beside the request's parameters. */
typedef struct kn_switch {
    const char *name;    /* "json" */
    const char *metavar; /* NULL: takes no value */
    const char *help;
    bool *flag;         /* set to true, or */
    const char **value; /* set to the value */
} kn_switch;

/* Parses `--name value`, `--name=value`, `-o FILE`, `--help`. rq may be NULL (only switches).
 * Positional arguments are KN_EINVAL unless `positional` is given. *ret_help: help was asked for. */
int kn_args_parse(int argc, char **argv, kn_request *rq, const kn_switch *switches, const char **positional,
                  bool *ret_help, kn_err *err);
void kn_args_help(FILE *out, const char *usage, const kn_switch *switches, bool request_params);

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
