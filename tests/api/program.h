/* Running the built program as a user does, and looking at what it printed and left behind. */
#ifndef KN_TESTS_API_PROGRAM_H
#define KN_TESTS_API_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

#define FIXTURE(path) KN_FIXTURES "/" path
/* A size every Wan fixture takes, in well under a second. */
#define TINY "--width", "64", "--height", "32", "--frames", "5", "--steps", "2", "--seed", "7"

enum { MAX_ARGS = 64, MAX_OUTPUT_BYTES = 4 << 20, PATH_BYTES = 512, N_PATHS = 16 };

typedef struct outcome {
    int code; /* exit code; 128 + signal */
    char *out, *err;
    double seconds;
} outcome;

/* What a test file's programs run in: an own folder, their working directory. */
typedef struct place {
    char dir[PATH_BYTES], state[PATH_BYTES + 8], cache[PATH_BYTES + 8], paths[N_PATHS][PATH_BYTES];
    int n_paths;
} place;

#define must(call)                                                                                           \
    do {                                                                                                     \
        kn_err must_err_ = {0}, *err = &must_err_;                                                           \
        (void)err;                                                                                           \
        if (call)                                                                                            \
            fail_msg("%s: %s", #call, must_err_.msg);                                                        \
    } while (0)

static inline int place_make(void **state)
{
    place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    if (!p)
        return -1;
    snprintf(p->dir, sizeof p->dir, "%s/kinora-api-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(p->dir) || chdir(p->dir)) {
        free(p);
        return -1;
    }
    snprintf(p->state, sizeof p->state, "%s/state", p->dir);
    setenv("KINORA_STATE_DIR", p->state, 1);
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->dir);
    setenv("KINORA_CACHE_DIR", p->cache, 1);
    *state = p;
    return 0;
}

static inline void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void shell(const char *fmt, ...)
{
    char command[4 * PATH_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    if (system(command))
        fail_msg("failed: %s", command);
}

static inline int place_remove(void **state)
{
    place *p = *state;
    shell("cd / && chmod -R u+rwX '%s' && rm -rf '%s'", p->dir, p->dir);
    free(p);
    return 0;
}

/* "<dir>/<name>", valid for the next N_PATHS calls. */
static inline const char *path_in(place *p, const char *name)
{
    char *s = p->paths[p->n_paths++ % N_PATHS];
    snprintf(s, PATH_BYTES, "%.300s/%.200s", p->dir, name);
    return s;
}

/* ---- running ---- */

typedef struct started {
    pid_t pid;
    FILE *out, *err;
    double began_s;
} started;

/* Environment and limits of the child; NULL: as they are. */
typedef void (*prepare_fn)(void);

static inline started start_args(prepare_fn prepare, const char *const *args)
{
    started s = {.out = tmpfile(), .err = tmpfile(), .began_s = kn_clock_s()};
    assert_non_null(s.out);
    assert_non_null(s.err);
    fflush(NULL);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid)
        return s;
    dup2(fileno(s.out), STDOUT_FILENO);
    dup2(fileno(s.err), STDERR_FILENO);
    if (prepare)
        prepare();
    execv(args[0], (char **)(uintptr_t)args);
    _exit(127);
}

static inline char *whole(FILE *f)
{
    char *text = calloc(1, MAX_OUTPUT_BYTES + 1);
    assert_non_null(text);
    rewind(f);
    size_t n = fread(text, 1, MAX_OUTPUT_BYTES, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

/* Waits until the program has printed `text` among its first 256 kB. */
static inline void wait_for(const started *s, const char *text)
{
    char buf[1 << 18];
    for (int i = 0; i < 6000; i++) {
        ssize_t n = pread(fileno(s->out), buf, sizeof buf - 1, 0);
        buf[n > 0 ? n : 0] = '\0';
        if (strstr(buf, text))
            return;
        usleep(10000);
    }
    kill(s->pid, SIGKILL);
    fail_msg("\"%s\" was not printed in a minute", text);
}

static inline outcome finish(started s)
{
    int status = 0;
    outcome o = {0};
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    o.seconds = kn_clock_s() - s.began_s;
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    o.out = whole(s.out);
    o.err = whole(s.err);
    return o;
}

#define ARGS(...) ((const char *const[]){KN_PROGRAM, __VA_ARGS__, NULL})
#define run(...)  finish(start_args(NULL, ARGS(__VA_ARGS__)))

static inline void outcome_done(outcome *o)
{
    free(o->out);
    free(o->err);
    *o = (outcome){0};
}

/* ---- checking ---- */

static inline void must_succeed(outcome *o)
{
    if (o->code)
        fail_msg("exit code %d: %s", o->code, o->err);
}

/* The exit code, and that standard error has each of the texts. */
static inline void must_fail(outcome *o, int code, const char *const *texts)
{
    if (o->code != code)
        fail_msg("exit code %d, expected %d: %s", o->code, code, o->err);
    for (; *texts; texts++)
        if (!strstr(o->err, *texts))
            fail_msg("\"%s\" is not in: %s", *texts, o->err);
}

#define check_fails(outcome_of, code, ...)                                                                   \
    do {                                                                                                     \
        outcome o_ = outcome_of;                                                                             \
        must_fail(&o_, code, (const char *const[]){__VA_ARGS__, NULL});                                      \
        outcome_done(&o_);                                                                                   \
    } while (0)

#define check_runs(outcome_of)                                                                               \
    do {                                                                                                     \
        outcome o_ = outcome_of;                                                                             \
        must_succeed(&o_);                                                                                   \
        outcome_done(&o_);                                                                                   \
    } while (0)

/* Files of a folder, not counting "." and ".."; those left half-written end in ".part". */
static inline int count_files(const char *dir, const char *suffix)
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        size_t a = strlen(e->d_name), b = strlen(suffix);
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && a >= b &&
             strcmp(e->d_name + a - b, suffix) == 0;
    }
    closedir(d);
    return n;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static inline json_t *parse_json(const char *text)
{
    json_t *j = NULL;
    must(kn_json_parse(text, strlen(text), "output", &j, err));
    return j;
}

#endif
