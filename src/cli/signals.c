/* Ctrl-C: a first one asks for an orderly end, a second one does not wait for it. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

#include "cli/cli.h"

/* Signal handlers can reach nothing but a global. */
static atomic_bool cancelled;

static void on_signal(int sig)
{
    (void)sig;
    if (atomic_exchange(&cancelled, true)) /* a second Ctrl-C does not wait for the running operation */
        _Exit(kn_err_exit(KN_ECANCELLED));
}

const atomic_bool *kn_cli_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of write(), not a death */
    return &cancelled;
}
