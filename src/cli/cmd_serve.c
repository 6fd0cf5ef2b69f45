/* kinora serve: the studio. */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "server/studio.h"

enum { DEFAULT_PORT = 8188, MAX_HOSTS = 16 };

static void log_line(void *ud, const char *line)
{
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    (void)ud;
    if (localtime_r(&now, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    fprintf(stderr, "%s  %s\n", when, line);
}

static int parse_port(const char *text, int *ret, kn_err *err)
{
    char *end = NULL;
    long v = text ? strtol(text, &end, 10) : DEFAULT_PORT;
    if (text && (end == text || *end || v < 0 || v > 65535))
        return kn_fail(err, KN_EINVAL, "--port: \"%.32s\", expected 0 to 65535 (0: any free one)", text);
    *ret = (int)v;
    return 0;
}

/* "studio.local,box": a list for the Host check. */
static void split_hosts(char *text, const char *hosts[MAX_HOSTS + 1])
{
    int n = 0;
    for (char *p = text; p && *p && n < MAX_HOSTS;) {
        char *comma = strchr(p, ',');
        if (comma)
            *comma = '\0';
        hosts[n++] = p;
        p = comma ? comma + 1 : NULL;
    }
}

/* "5,30,120.5": seconds, as milliseconds that end with 0. */
static int parse_delays(const char *text, int delays_ms[KN_WEBHOOK_TRIES], kn_err *err)
{
    enum { DAY_S = 86400 };
    int n = 0;
    for (const char *p = text; p && *p;) {
        char *end = NULL;
        double s = strtod(p, &end);
        if (end == p || (*end && (*end != ',' || !end[1])) || !(s >= 0.001 && s <= DAY_S) ||
            n == KN_WEBHOOK_TRIES - 1)
            return kn_fail(
                err, KN_EINVAL,
                "--webhook-delays: \"%.64s\", expected at most %d numbers of seconds up to %d, as 5,30,120",
                text, KN_WEBHOOK_TRIES - 1, DAY_S);
        delays_ms[n++] = (int)(s * 1000 + 0.5);
        p = *end ? end + 1 : end;
    }
    delays_ms[n] = 0;
    return 0;
}

/* Blocked in every thread that is started from here on; taken by wait_for_end. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return set;
}

static int serve(kn_studio_opts *opts, kn_err *err)
{
    kn_studio *studio = NULL;
    char program[PATH_MAX];
    int signal_number = 0;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return kn_fail(err, KN_EIO, "cannot tell where the program is");
    program[n] = '\0';
    opts->program = program;
    sigset_t set = block_signals();
    int rc = kn_studio_open(opts, &studio, err);
    if (rc)
        return rc;
    const char *host = opts->host ? opts->host : "127.0.0.1";
    printf("Kinora is at http://%s%s%s:%d\n", strchr(host, ':') ? "[" : "", host,
           strchr(host, ':') ? "]" : "", kn_studio_port(studio));
    fflush(stdout);
    sigwait(&set, &signal_number);
    log_line(NULL, "stopping; running jobs go on where they are when the server is started again");
    kn_studio_close(studio);
    return 0;
}

int kn_cmd_serve(const kn_args *a)
{
    bool help = false;
    const char *host = NULL, *port = NULL, *data = NULL, *names = NULL, *token_file = NULL, *delays = NULL;
    int delays_ms[KN_WEBHOOK_TRIES];
    const kn_switch switches[] = {
        {"host", "ADDRESS", "address to listen on (default: 127.0.0.1); others need a token", NULL, &host},
        {"port", "N", "port (default: 8188; 0: any free one)", NULL, &port},
        {"data-dir", "DIR", "where the queue, videos and models are (default: ~/.local/share/kinora)", NULL,
         &data},
        {"token-file", "FILE",
         "file with the token that clients must show (default: what KINORA_TOKEN holds)", NULL, &token_file},
        {"webhook-delays", "S,S,...",
         "seconds between the tries of a webhook (default: 5,30,120,600,3600,21600)", NULL, &delays},
        {"names", "A,B", "more names under which browsers reach the server", NULL, &names},
        {0},
    };
    kn_err err = {0};
    kn_studio_opts opts = {.log = log_line};
    const char *hosts[MAX_HOSTS + 1] = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"serve", switches, false,
                                    "Where there is a token, every client must show it.", NULL});
        return 0;
    }
    char *token = NULL, *own_data = data ? NULL : kn_dir_data(), *own_names = kn_strdup(names);
    split_hosts(own_names, hosts);
    opts.host = host;
    opts.hosts = hosts;
    opts.data_dir = data ? data : own_data;
    if (!rc)
        rc = parse_port(port, &opts.port, &err);
    if (!rc)
        rc = kn_cli_token(token_file, &token, &err);
    opts.token = token;
    if (!rc)
        rc = parse_delays(delays, delays_ms, &err);
    opts.webhook_delays_ms = delays ? delays_ms : NULL;
    if (!rc && !opts.data_dir)
        rc = kn_fail(&err, KN_EINVAL, "no home folder for the data; say --data-dir DIR");
    if (!rc)
        rc = serve(&opts, &err);
    free(token);
    free(own_data);
    free(own_names);
    return rc ? kn_cli_fail(&err) : 0;
}
