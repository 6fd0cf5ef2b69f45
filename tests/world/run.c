/* Running the program for many sentences, a few at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "world/commands.h"

enum { MAX_JOBS = 16, MAX_ARGS = 40, MAX_LOG_BYTES = 1 << 20 };

typedef struct job {
    pid_t pid; /* 0: free */
    int order;
    char *folder, *log;
} job;

typedef struct runner {
    const world_program *p;
    const char *work;
    const world_order *orders;
    job jobs[MAX_JOBS];
    uint8_t *rgb;
    bool keep;
} runner;

static void job_done(job *j, bool keep)
{
    if (j->folder && !keep)
        world_folder_remove(j->folder);
    if (j->log && !keep)
        unlink(j->log);
    free(j->folder);
    free(j->log);
    *j = (job){0};
}

/* In the child; does not return. */
static _Noreturn void become_program(const world_program *p, const world_order *o, const char *folder,
                                     const char *log)
{
    char seed[32], side[16], frames[16], out[4096];
    const char *args[MAX_ARGS] = {p->path,    "generate", "--model", p->model, "--prompt", o->prompt,
                                  "--seed",   seed,       "--width", side,     "--height", side,
                                  "--frames", frames,     "-o",      out};
    int n = 16;
    const char *const optional[][2] = {
        {"--image", o->image}, {"--dtype", p->dtype},       {"--steps", p->steps},
        {"--speed", p->speed}, {"--guidance", p->guidance}, {"--threads", p->n_jobs > 1 ? "1" : NULL}};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    snprintf(side, sizeof side, "%d", WORLD_SIDE);
    snprintf(frames, sizeof frames, "%d", WORLD_FRAMES);
    snprintf(out, sizeof out, "%s/", folder);
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (optional[i][1]) {
            args[n++] = optional[i][0];
            args[n++] = optional[i][1];
        }
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execvp(args[0], (char **)(uintptr_t)args);
    fprintf(stderr, "cannot run %s: %s\n", args[0], strerror(errno));
    _exit(127);
}

static int begin(runner *r, job *j, int order, kn_err *err)
{
    j->order = order;
    j->folder = kn_asprintf("%s/clip-%05d", r->work, order);
    j->log = kn_asprintf("%s/clip-%05d.log", r->work, order);
    if (!j->folder || !j->log)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    world_folder_remove(j->folder); /* of an earlier run in the same place */
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return kn_fail(err, KN_EIO, "cannot start %s: %s", r->p->path, strerror(errno));
    if (pid == 0)
        become_program(r->p, &r->orders[order], j->folder, j->log);
    j->pid = pid;
    return 0;
}

/* The last line of what a program printed. */
static int explain(const runner *r, const job *j, int status, kn_err *err)
{
    char *text = NULL;
    size_t size = 0;
    kn_file_read(j->log, MAX_LOG_BYTES, &text, &size, NULL);
    while (text && size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    const char *line = text ? strrchr(text, '\n') : NULL;
    int rc = kn_fail(err, KN_EIO, "\"%s\": %s ended with %d: %.300s", r->orders[j->order].prompt, r->p->path,
                     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                     line   ? line + 1
                     : text ? text
                            : "");
    free(text);
    return rc;
}

/* Waits for one of the running programs to end. */
static job *wait_for_one(runner *r, int *ret_status)
{
    for (;;) {
        pid_t pid = waitpid(-1, ret_status, 0);
        if (pid < 0 && errno != EINTR)
            return NULL;
        for (int i = 0; i < MAX_JOBS && pid > 0; i++)
            if (r->jobs[i].pid == pid)
                return &r->jobs[i];
    }
}

/* Hands on what the next program to end has made. */
static int end_one(runner *r, world_made_fn made, void *ud, kn_err *err)
{
    int status = 0;
    job *j = wait_for_one(r, &status);
    if (!j)
        return kn_fail(err, KN_EIO, "cannot wait for %s: %s", r->p->path, strerror(errno));
    int rc = status ? explain(r, j, status, err) : world_frames_load(j->folder, r->rgb, err);
    if (!rc)
        rc = made(ud, j->order, r->rgb, err);
    job_done(j, r->keep);
    return rc;
}

static job *free_job(runner *r)
{
    for (int i = 0; i < r->p->n_jobs && i < MAX_JOBS; i++)
        if (!r->jobs[i].pid)
            return &r->jobs[i];
    return NULL;
}

int world_generate(const world_program *p, const char *work, bool keep, const world_order *orders, int n,
                   world_made_fn made, void *ud, kn_err *err)
{
    runner r = {.p = p, .work = work, .orders = orders, .keep = keep};
    int rc = 0, n_ended = 0, next = 0;
    r.rgb = kn_calloc(WORLD_FRAMES, WORLD_FRAME_BYTES);
    if (!r.rgb)
        return kn_fail(err, KN_ENOMEM, "no memory for a clip");
    while (!rc && n_ended < n) {
        job *j = next < n ? free_job(&r) : NULL;
        if (j) {
            rc = begin(&r, j, next++, err);
        } else {
            rc = end_one(&r, made, ud, err);
            n_ended++;
        }
    }
    for (int i = 0; i < MAX_JOBS; i++) { /* after a failure: no program outlives this one */
        if (r.jobs[i].pid)
            waitpid(r.jobs[i].pid, NULL, 0);
        job_done(&r.jobs[i], keep);
    }
    free(r.rgb);
    return rc;
}
