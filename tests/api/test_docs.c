/* The man page and the completions: whole, and of a kind that their programs take. */
#include "program.h"

#include "base/err.h"
#include "engine/request.h"

static const char *const kinds[] = {"man", "bash", "zsh", "fish"};
static const char *const commands[] = {"generate", "plan",  "models",  "pull", "info", "doctor",
                                       "serve",    "queue", "cleanup", "logs", "bench"};
static const char *const subcommands[] = {"add",   "show",   "watch", "cancel",
                                          "pause", "resume", "retry", "remove"};
static const char *const own_options[] = {"resume",   "encoder", "token-file", "dry-run",
                                          "priority", "watch",   "search",     "lines"};

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %.4000s", part, text);
}

static bool is_there(const char *program)
{
    char command[128];
    const char *args[] = {"/bin/sh", "-c", command, NULL};
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    outcome o = finish(start_args(NULL, args));
    bool is = o.code == 0;
    if (!is)
        print_message("%s is not here: what it would check is skipped\n", program);
    outcome_done(&o);
    return is;
}

/* The document in a file of its kind's name. */
static char *make(const char *kind)
{
    outcome o = run("docs", kind);
    must_succeed(&o);
    assert_string_equal(o.err, "");
    write_text(kind, o.out);
    char *text = o.out;
    free(o.err);
    return text;
}

/* "--negative-prompt" is "\-\-negative\-prompt" in a man page, and "-l negative-prompt" in fish. */
static void option(const char *kind, const char *name, char *buf, size_t size)
{
    size_t n = (size_t)snprintf(buf, size, "%s",
                                strcmp(kind, "man") == 0    ? "\\-\\-"
                                : strcmp(kind, "fish") == 0 ? "-l "
                                                            : "--");
    for (; *name && n + 3 < size; name++) {
        bool is_dash = *name == '_' || *name == '-';
        n += (size_t)snprintf(buf + n, size - n, "%s%c", is_dash && strcmp(kind, "man") == 0 ? "\\" : "",
                              is_dash ? '-' : *name);
    }
}

static void test_all_is_there(void **state)
{
    char text[128];
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char *doc = make(kinds[k]);
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            has(doc, commands[i]);
        for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
            has(doc, subcommands[i]);
        for (const kn_param *p = kn_params; p->name; p++) {
            option(kinds[k], p->name, text, sizeof text);
            has(doc, text);
        }
        for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++) {
            option(kinds[k], own_options[i], text, sizeof text);
            has(doc, text);
        }
        has(doc, strcmp(kinds[k], "man") ? "f32 bf16 int8" : "f32|bf16|int8");
        assert_null(strstr(doc, "worker ")); /* not for people */
        free(doc);
    }
}

/* Every command that --help lists is in the lists above, so that a new one is not forgotten here. */
static void test_lists_are_whole(void **state)
{
    (void)state;
    outcome o = run("help");
    must_succeed(&o);
    const char *line = strstr(o.out, "commands:\n") + strlen("commands:\n");
    size_t n = 0;
    for (; line[0] == ' '; line = strchr(line, '\n') + 1, n++) {
        assert_true(n < sizeof commands / sizeof *commands);
        size_t size = strlen(commands[n]);
        if (strncmp(line + 2, commands[n], size) || line[2 + size] != ' ')
            fail_msg("expected %s at: %.40s", commands[n], line);
    }
    assert_int_equal(n, sizeof commands / sizeof *commands);
    outcome_done(&o);
}

static void quiet(const char *command)
{
    const char *args[] = {"/bin/sh", "-c", command, NULL};
    outcome o = finish(start_args(NULL, args));
    if (o.code || *o.err)
        fail_msg("%s: %d: %s", command, o.code, o.err);
    outcome_done(&o);
}

static void test_man_page_is_sound(void **state)
{
    (void)state;
    free(make("man"));
    if (is_there("groff"))
        quiet("groff -man -Tascii -ww -z man");
    if (is_there("man"))
        quiet("MANWIDTH=80 man --warnings -l ./man >/dev/null");
}

static void test_scripts_are_sound(void **state)
{
    (void)state;
    for (size_t k = 1; k < sizeof kinds / sizeof *kinds; k++) {
        char command[64];
        free(make(kinds[k]));
        snprintf(command, sizeof command, "%s -n %s", kinds[k], kinds[k]);
        if (is_there(kinds[k]))
            quiet(command);
    }
}

/* What bash would offer for words, the last of which is being typed. */
static void offers(const char *words, const char *expected)
{
    char command[512];
    const char *args[] = {"/bin/bash", "-c", command, NULL};
    snprintf(
        command, sizeof command,
        ". ./bash; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kinora; echo \"${COMPREPLY[*]}\"",
        words);
    outcome o = finish(start_args(NULL, args));
    must_succeed(&o);
    assert_string_equal(o.err, "");
    o.out[strcspn(o.out, "\n")] = '\0';
    if (strcmp(o.out, expected))
        fail_msg("%s: \"%s\", expected \"%s\"", words, o.out, expected);
    outcome_done(&o);
}

static void test_bash(void **state)
{
    (void)state;
    if (!is_there("bash"))
        return;
    free(make("bash"));
    write_text("clip.mp4", "");
    offers("kinora gen", "generate");
    offers("kinora generate --dt", "--dtype");
    offers("kinora generate --dtype ''", "f32 bf16 int8");
    offers("kinora generate --dtype b", "bf16");
    offers("kinora generate --dtype = i", "int8");
    offers("kinora generate --image cl", "clip.mp4");
    offers("kinora generate -o cl", "clip.mp4");
    offers("kinora generate --seed ''", "");
    offers("kinora generate --model testsr", "testsrc");
    offers("kinora info cl", "clip.mp4");
    offers("kinora queue ''", "add show watch cancel pause resume retry remove");
    offers("kinora queue ca", "cancel");
    offers("kinora queue --las", "--last");
    offers("kinora queue add --pri", "--priority");
    offers("kinora queue add --scheduler ''", "unipc euler");
    offers("kinora queue cancel --pri", "");
    offers("kinora help qu", "queue");
}

static void test_refused(void **state)
{
    (void)state;
    check_fails(run("docs"), kn_err_exit(KN_EINVAL), "expected man, bash, zsh or fish");
    check_fails(run("docs", "powershell"), kn_err_exit(KN_EINVAL), "powershell");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_there),
        cmocka_unit_test(test_lists_are_whole),
        cmocka_unit_test(test_man_page_is_sound),
        cmocka_unit_test(test_scripts_are_sound),
        cmocka_unit_test(test_bash),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
