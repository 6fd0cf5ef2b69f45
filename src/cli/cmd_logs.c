/* kinora logs */
#include <stdlib.h>

#include "cli/queue.h"
#include "server/logs.h"

enum { DEFAULT_LINES = 50, ASK_AT_LEAST = 10, LINE_CHARS = 1000 };

static int parse_lines(const char *text, long *ret, kn_err *err)
{
    char *end = NULL;
    long v = text ? strtol(text, &end, 10) : DEFAULT_LINES;
    if (text && (end == text || *end || v < 1 || v > KN_LOG_LINES))
        return kn_fail(err, KN_EINVAL, "--lines: \"%.32s\", expected 1 to %d", text, KN_LOG_LINES);
    *ret = v;
    return 0;
}

static int show(kn_client *c, long n, kn_err *err)
{
    json_t *answer = NULL;
    char path[64], line[4 * LINE_CHARS + 64];
    snprintf(path, sizeof path, "/api/logs/recent?lines=%ld", n < ASK_AT_LEAST ? (long)ASK_AT_LEAST : n);
    int rc = kn_client_call(c, "GET", path, NULL, &answer, err);
    if (rc)
        return rc;
    const json_t *lines = json_object_get(answer, "lines");
    size_t size = json_array_size(lines);
    for (size_t i = size > (size_t)n ? size - (size_t)n : 0; i < size; i++)
        printf("%s\n",
               kn_cli_one_line(json_string_value(json_array_get(lines, i)), LINE_CHARS, line, sizeof line));
    if (!size)
        fprintf(stderr, "the log is empty: %s\n", kn_queue_text(answer, "log_file"));
    json_decref(answer);
    return 0;
}

int kn_cmd_logs(const kn_args *a)
{
    bool help = false;
    const char *lines = NULL;
    long n = 0;
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"lines", "N", "how many of the last lines, also -n N (default: 50)", NULL, &lines},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"logs [-n N]", switches, false, NULL, NULL});
        return 0;
    }
    if (!rc)
        rc = parse_lines(lines, &n, &err);
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc)
        rc = show(c, n, &err);
    return kn_client_end(c, rc, false, &err);
}
