#define _GNU_SOURCE
#include "jobs/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobs/worker.h"

extern char **environ;

static int spawn_with(const char *program, int fd, pid_t *ret, kn_err *err)
{
    char *const argv[] = {(char *)"kinora", (char *)"worker", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none; /* the server's threads block the signals that its main thread waits for */
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    /* the copy does not close on exec, unlike what it is a copy of; dup2 of a number to itself would */
    posix_spawn_file_actions_adddup2(&actions, fd, KN_WORKER_FD);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO); /* stray prints of libraries */
    int e = posix_spawn(ret, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return e ? kn_fail(err, KN_EIO, "cannot start a worker (%s): %s", program, strerror(e)) : 0;
}

int kn_child_start(kn_child *c, const char *program, kn_err *err)
{
    int pair[2];
    *c = (kn_child){0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return kn_fail(err, KN_EIO, "no socket for a worker: %s", strerror(errno));
    /* above KN_WORKER_FD, so that the copy is one */
    int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, KN_WORKER_FD + 1);
    int rc = theirs < 0 ? kn_fail(err, KN_EIO, "no socket for a worker: %s", strerror(errno)) : 0;
    if (!rc)
        rc = spawn_with(program, theirs, &c->pid, err);
    close(pair[1]);
    if (theirs >= 0)
        close(theirs);
    if (rc) {
        close(pair[0]);
        c->pid = 0;
        return rc;
    }
    kn_wire_init(&c->wire, pair[0]);
    c->heard_s = c->busy_s = kn_clock_s();
    return 0;
}

static int say_death(kn_child *c, kn_err *err)
{
    int status = 0;
    pid_t pid = c->pid;
    c->pid = 0;
    close(c->wire.fd);
    kn_wire_done(&c->wire);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return kn_fail(err, KN_EIO,
                       "the worker was killed; if nobody did, the system was out of memory: set "
                       "memory_budget lower");
    if (WIFSIGNALED(status))
        return kn_fail(err, KN_EIO, "the worker died: %s", strsignal(WTERMSIG(status)));
    return kn_fail(err, KN_EIO, "the worker ended with exit code %d", WEXITSTATUS(status));
}

static int check_health(kn_child *c, bool is_working, kn_err *err)
{
    double now = kn_clock_s(), silent = now - c->heard_s, idle = now - c->busy_s;
    if (silent <= KN_LIMIT_WORKER_SILENCE_S && (!is_working || idle <= KN_LIMIT_WORKER_HANG_S))
        return 0;
    kn_child_kill(c);
    return silent > KN_LIMIT_WORKER_SILENCE_S
               ? kn_fail(err, KN_EIO, "the worker said nothing for %.0f s and was ended", silent)
               : kn_fail(err, KN_EIO, "the worker did nothing for %.0f s and was ended", idle);
}

static void note_beat(kn_child *c, const json_t *message)
{
    double cpu_s = json_number_value(json_object_get(message, "cpu_s"));
    c->heard_s = kn_clock_s();
    if (cpu_s > c->cpu_s || !json_object_get(message, "cpu_s"))
        c->busy_s = c->heard_s;
    if (cpu_s > c->cpu_s)
        c->cpu_s = cpu_s;
}

int kn_child_receive(kn_child *c, int wake_fd, int timeout_ms, bool is_working, json_t **ret, kn_err *err)
{
    struct pollfd p[2] = {{.fd = c->wire.fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int rc = kn_wire_next(&c->wire, ret, err);
    if (!rc && !*ret && poll(p, 2, timeout_ms) > 0 && p[0].revents) {
        bool is_gone = kn_wire_fill(&c->wire, err) != 0;
        rc = kn_wire_next(&c->wire, ret, err); /* what it said before it died counts */
        if (!rc && !*ret && is_gone)
            return say_death(c, err);
    }
    if (rc) { /* it talks nonsense */
        kn_child_kill(c);
        return kn_fail(err, KN_EIO, "the worker sent what is no message, and was ended");
    }
    if (*ret)
        note_beat(c, *ret);
    return *ret ? 0 : check_health(c, is_working, err);
}

void kn_child_kill(kn_child *c)
{
    if (!c->pid)
        return;
    kill(c->pid, SIGKILL);
    say_death(c, NULL);
}

void kn_child_end(kn_child *c, int wait_ms)
{
    if (!c->pid)
        return;
    kn_wire_send(&c->wire, json_pack("{s:s}", "do", "quit"), NULL);
    for (int waited = 0; waited < wait_ms; waited += 10) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kn_child_kill(c);
}
