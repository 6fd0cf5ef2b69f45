/* A crowd for `kinora serve`: clients that listen, and clients that ask.
 *
 *   bench-clients PORT PID N_LISTENING N_ASKING REQUESTS_PER_SECOND SECONDS
 *
 * Half of those that listen do so over WebSockets (/ws/progress), half over server-sent events (/api/v1/events). Each of those
 * that ask has a connection of its own and reads the queue so often that together they come to the rate. Prints one line of
 * JSON: how many got through, the times of answers, the memory of process PID, the processor time of the clients themselves. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { MAX_LISTENING = 4096, MAX_ASKING = 256, MAX_TIMES = 1 << 20, CHUNK = 1 << 16 };

static int port;
static double until_s, pause_s;
static int n_asking;
static atomic_int n_errors, n_times, n_begun;
static atomic_llong bytes_heard;
static float times[MAX_TIMES];
static int sockets[MAX_LISTENING], n_sockets;

static int dial(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool say(int fd, const char *text)
{
    size_t n = strlen(text);
    return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* ---- those that listen ---- */

static int listen_in(bool socket)
{
    char text[512];
    int fd = dial();
    snprintf(text, sizeof text,
             socket ? "GET /ws/progress HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: "
                      "Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    : "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
             port);
    if (fd < 0 || !say(fd, text)) {
        n_errors++;
        return -1;
    }
    if (socket)
        sockets[n_sockets++] = fd;
    return fd;
}

/* That a WebSocket is still there, as browsers answer pings: an empty frame, masked. */
static void say_alive(void)
{
    static const char pong[] = "\x8a\x80\0\0\0";
    for (int i = 0; i < n_sockets; i++)
        if (send(sockets[i], pong, sizeof pong, MSG_NOSIGNAL) != sizeof pong)
            n_errors++;
}

static void *hear(void *arg)
{
    enum { ALIVE_S = 20 };
    int epoll_fd = *(int *)arg;
    char chunk[CHUNK];
    double alive_s = kn_clock_s() + ALIVE_S;
    while (kn_clock_s() < until_s) {
        if (kn_clock_s() >= alive_s) {
            say_alive();
            alive_s += ALIVE_S;
        }
        struct epoll_event e[256];
        int n = epoll_wait(epoll_fd, e, 256, 200);
        for (int i = 0; i < n; i++) {
            ssize_t got = recv(e[i].data.fd, chunk, sizeof chunk, MSG_DONTWAIT);
            if (got > 0) {
                bytes_heard += got;
            } else if (got == 0 || errno != EAGAIN) {
                n_errors++;
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, e[i].data.fd, NULL);
            }
        }
    }
    return NULL;
}

/* ---- those that ask ---- */

/* One answer: its head says how long it is. */
static bool read_answer(int fd, char *buf, size_t size)
{
    size_t n = 0, wanted = 0;
    do {
        ssize_t got = recv(fd, buf + n, size - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        buf[n] = '\0';
        char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length:");
        if (end && length)
            wanted = (size_t)(end + 4 - buf) + strtoul(length + strlen("content-length:"), NULL, 10);
    } while (!wanted || n < wanted);
    return strncmp(buf, "HTTP/1.1 200", 12) == 0;
}

static void nap(double s)
{
    if (s > 0)
        nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
}

/* They begin one after the other: clients do not know of each other. */
static void *ask(void *arg)
{
    nap(pause_s * n_begun++ / n_asking);
    char text[256], *buf = malloc(1 << 20);
    int fd = dial();
    (void)arg;
    snprintf(text, sizeof text, "GET /api/v1/queue HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
    while (buf && kn_clock_s() < until_s) {
        double begin = kn_clock_s();
        if (fd < 0 || !say(fd, text) || !read_answer(fd, buf, 1 << 20)) {
            n_errors++;
            break;
        }
        double took = kn_clock_s() - begin;
        int i = n_times++;
        if (i < MAX_TIMES)
            times[i] = (float)took;
        nap(pause_s - took);
    }
    if (fd >= 0)
        close(fd);
    free(buf);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double resident_mb(int pid)
{
    char path[64];
    long pages = 0, size = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%ld %ld", &size, &pages) != 2)
            pages = 0;
        fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static double own_cpu_s(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u))
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: bench-clients PORT PID N_LISTENING N_ASKING REQUESTS_PER_SECOND SECONDS\n");
        return 2;
    }
    port = (int)strtol(argv[1], NULL, 10);
    int pid = (int)strtol(argv[2], NULL, 10), n_listening = (int)strtol(argv[3], NULL, 10);
    n_asking = (int)strtol(argv[4], NULL, 10);
    if (n_listening > MAX_LISTENING || n_asking > MAX_ASKING)
        return 2;
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){MAX_LISTENING + 512, MAX_LISTENING + 512});
    pause_s = n_asking / strtod(argv[5], NULL);
    until_s = kn_clock_s() + strtod(argv[6], NULL);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), n_open = 0;
    for (int i = 0; i < n_listening; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = listen_in(i % 2)};
        n_open += e.data.fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e.data.fd, &e) == 0;
    }
    fprintf(stderr, "%d are connected\n", n_open);
    pthread_t hearing, asking[MAX_ASKING];
    if (pthread_create(&hearing, NULL, hear, &epoll_fd))
        return 1;
    for (int i = 0; i < n_asking; i++)
        if (pthread_create(&asking[i], NULL, ask, NULL))
            return 1;
    for (int i = 0; i < n_asking; i++)
        pthread_join(asking[i], NULL);
    double memory = resident_mb(pid);
    pthread_join(hearing, NULL);
    int n = n_times < MAX_TIMES ? n_times : MAX_TIMES;
    qsort(times, (size_t)n, sizeof *times, by_size);
    printf("{\"listening\": %d, \"asking\": %d, \"requests\": %d, \"errors\": %d, \"p50_ms\": %.2f, "
           "\"p99_ms\": %.2f, "
           "\"heard_bytes\": %lld, \"server_mb\": %.1f, \"cpu_s\": %.2f}\n",
           n_open, n_asking, n, n_errors, n ? (double)times[n / 2] * 1e3 : 0,
           n ? (double)times[n * 99 / 100] * 1e3 : 0, bytes_heard, memory, own_cpu_s());
    return n_errors ? 1 : 0;
}
