/* Options: the request's parameters and a command's own switches. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

int kn_cli_fail(const kn_err *err)
{
    fprintf(stderr, "kinora: %s\n", err->msg);
    return kn_err_exit(err->code);
}

void kn_cli_print_error(const kn_err *err)
{
    json_t *o = json_pack("{s:s, s:s}", "event", "error", "code", kn_err_name(err->code));
    json_object_set_new(o, "message", json_string(err->msg)); /* left out if a file's name is not UTF-8 */
    char *text = json_dumps(o, JSON_COMPACT | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{\"event\":\"error\"}");
    free(text);
    json_decref(o);
}

void kn_cli_print(json_t *take)
{
    char *text = json_dumps(take, JSON_COMPACT | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    fflush(stdout);
    free(text);
    json_decref(take);
}

const char *kn_cli_one_line(const char *text, int most, char *buf, size_t size)
{
    size_t n = 0;
    int n_chars = 0;
    for (const char *p = text ? text : ""; *p && n + 8 < size; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c & 0xc0) != 0x80 && n_chars++ == most) {
            n += (size_t)snprintf(buf + n, size - n, "...");
            break;
        }
        bool is_c1 = c == 0xc2 && (unsigned char)p[1] < 0xa0; /* control characters in two bytes */
        buf[n++] = c < 0x20 || c == 0x7f || is_c1 ? ' ' : *p;
        p += is_c1 && p[1];
    }
    buf[n] = '\0';
    return buf;
}

static const kn_switch *find_switch(const kn_switch *s, const char *name)
{
    for (; s && s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

int kn_edit_distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    int row[MAX + 1];
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > MAX || m > MAX)
        return MAX;
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int insert = row[j - 1] + 1, drop = row[j] + 1;
            row[j] = change < insert ? change : insert;
            row[j] = row[j] < drop ? row[j] : drop;
        }
    }
    return row[m];
}

static int unknown_option(const char *name, const kn_request *rq, const kn_switch *switches, kn_err *err)
{
    const char *best = NULL;
    int best_distance = 3;
    for (const kn_switch *s = switches; s && s->name; s++)
        if (kn_edit_distance(name, s->name) < best_distance)
            best = s->name, best_distance = kn_edit_distance(name, s->name);
    for (const kn_param *p = kn_params; rq && p->name; p++)
        if (kn_edit_distance(name, p->name) < best_distance)
            best = p->name, best_distance = kn_edit_distance(name, p->name);
    if (!best)
        return kn_fail(err, KN_EINVAL, "unknown option --%.64s; --help lists the options", name);
    char dashed[64];
    snprintf(dashed, sizeof dashed, "%s", best);
    for (char *c = dashed; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return kn_fail(err, KN_EINVAL, "unknown option --%.64s; did you mean --%s?", name, dashed);
}

/* The value of an option: after '=', or the next argument. */
static const char *value_of(const kn_args *a, int *i, const char *equals, const char *name, kn_err *err)
{
    if (equals)
        return equals + 1;
    if (*i + 1 >= a->argc) {
        kn_fail(err, KN_EINVAL, "--%s needs a value", name);
        return NULL;
    }
    return a->argv[++*i];
}

/* "-o" is "--output"; NULL: no option. */
static const char *long_name(const char *arg)
{
    static const char *const names[][2] = {{"-o", "--output"}, {"-h", "--help"}, {"-n", "--lines"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(arg, names[i][0]) == 0)
            return names[i][1];
    return arg[0] == '-' && arg[1] == '-' && arg[2] ? arg : NULL;
}

static int parse_option(const kn_args *a, int *i, kn_request *rq, const kn_switch *switches, bool *ret_help,
                        kn_err *err)
{
    char name[64];
    const char *arg = long_name(a->argv[*i]);
    const char *equals = strchr(arg, '=');
    size_t n = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), arg + 2);
    if (strcmp(name, "help") == 0) {
        *ret_help = true;
        return 0;
    }
    const kn_switch *s = find_switch(switches, name);
    if (s && !s->metavar) {
        if (equals)
            return kn_fail(err, KN_EINVAL, "--%s takes no value", name);
        *s->flag = true;
        return 0;
    }
    if (!s && !(rq && kn_param_find(name)))
        return unknown_option(name, rq, switches, err);
    const char *value = value_of(a, i, equals, name, err);
    if (!value)
        return KN_EINVAL;
    if (s) {
        *s->value = value;
        return 0;
    }
    return kn_request_set(rq, name, value, err);
}

int kn_args_parse(const kn_args *a, kn_request *rq, const kn_switch *switches, const char **positional,
                  int n_words, bool *ret_help, kn_err *err)
{
    int n = 0;
    *ret_help = false;
    for (int i = 1; i < a->argc; i++) {
        int rc = 0;
        if (long_name(a->argv[i]))
            rc = parse_option(a, &i, rq, switches, ret_help, err);
        else if (n < n_words && a->argv[i][0] != '-')
            positional[n++] = a->argv[i];
        else
            rc = kn_fail(err, KN_EINVAL, "unexpected argument \"%.64s\"; options begin with --", a->argv[i]);
        if (rc || *ret_help)
            return rc;
    }
    return 0;
}

static void help_line(const char *name, const char *metavar, const char *help, const char *choices)
{
    char left[96];
    snprintf(left, sizeof left, "--%s %s", name, metavar ? metavar : "");
    for (char *c = left; *c && *c != ' '; c++)
        *c = *c == '_' ? '-' : *c;
    printf("  %-34s %s%s%s%s\n", left, help, choices ? " (" : "", choices ? choices : "", choices ? ")" : "");
}

void kn_args_help(const kn_args *a, const kn_usage *u)
{
    if (a->describe) {
        a->describe(a->ud, u);
        return;
    }
    printf("usage: kinora %s\n\noptions:\n", u->usage);
    for (const kn_param *p = kn_params; u->has_params && p->name; p++)
        help_line(p->name, p->metavar, p->help, p->choices);
    for (const kn_switch *s = u->switches; s && s->name; s++)
        help_line(s->name, s->metavar, s->help, NULL);
    help_line("help", NULL, "this text", NULL);
    if (u->subs)
        printf("\nfurther commands:\n");
    if (u->subs)
        kn_commands_print(stdout, u->subs);
    if (u->notes)
        printf("\n%s\n", u->notes);
}
