/* A running `kinora serve`, and a client that talks to it as curl would. */
#ifndef KN_TESTS_API_STUDIO_H
#define KN_TESTS_API_STUDIO_H

#include "program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/mem.h"

enum { MAX_REPLY_BYTES = 16 << 20, REPLY_S = 60 };

typedef struct studio {
    started program;
    int port;
    char data[PATH_BYTES + 8];
} studio;

typedef struct reply {
    int status;
    char *head, *body; /* NUL-terminated */
    size_t size;       /* of the body */
    json_t *json;      /* NULL: it is none */
} reply;

static inline void reply_done(reply *r)
{
    free(r->head);
    free(r->body);
    json_decref(r->json);
    *r = (reply){0};
}

/* ---- the server ---- */

static inline int port_of(const started *s)
{
    char text[256] = "";
    wait_for(s, "Kinora is at http://127.0.0.1:");
    for (int i = 0; i < 100 && !strchr(text, '\n'); i++) {
        ssize_t n = pread(fileno(s->out), text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    }
    return (int)strtol(strrchr(text, ':') + 1, NULL, 10);
}

/* option may be NULL. */
static inline studio studio_start_with(const char *data, const char *option, const char *value)
{
    studio s = {0};
    snprintf(s.data, sizeof s.data, "%s", data);
    s.program = start_args(NULL, ARGS("serve", "--port", "0", "--data-dir", s.data, option, value));
    s.port = port_of(&s.program);
    return s;
}

static inline studio studio_start(const char *data)
{
    return studio_start_with(data, NULL, NULL);
}

/* In the test's folder. */
static inline studio studio_in(const place *p)
{
    char data[PATH_BYTES + 8];
    snprintf(data, sizeof data, "%s/data", p->dir);
    return studio_start(data);
}

static inline void studio_stop(studio *s)
{
    kill(s->program.pid, SIGTERM);
    outcome o = finish(s->program);
    if (o.code)
        fail_msg("the server ended with %d: %s", o.code, o.err);
    outcome_done(&o);
}

static inline void studio_kill(studio *s)
{
    kill(s->program.pid, SIGKILL);
    outcome o = finish(s->program);
    outcome_done(&o);
}

/* One for all tests of a program: for cmocka_run_group_tests. */
static studio server;

static inline int server_make(void **state)
{
    if (place_make(state))
        return -1;
    server = studio_in(*state);
    return 0;
}

static inline int server_stop(void **state)
{
    studio_stop(&server);
    return place_remove(state);
}

/* ---- the client ---- */

static inline int dial(int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = REPLY_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends bytes as they are and reads until the server closes. Status 0: it cannot be reached, or went away. */
static inline reply talk(int port, const void *bytes, size_t size)
{
    reply r = {0};
    int fd = dial(port);
    if (fd < 0)
        return r;
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* it may answer before it has read all */
        sent += (size_t)n;
    }
    kn_buf in;
    char chunk[1 << 16];
    kn_buf_init(&in, MAX_REPLY_BYTES);
    for (ssize_t n; (n = recv(fd, chunk, sizeof chunk, 0)) > 0;)
        kn_buf_append(&in, chunk, (size_t)n);
    close(fd);
    char *end = in.data ? strstr(in.data, "\r\n\r\n") : NULL;
    if (end) {
        r.status = (int)strtol(in.data + strlen("HTTP/1.1 "), NULL, 10);
        r.head = kn_strndup(in.data, (size_t)(end - in.data));
        r.size = in.size - (size_t)(end + 4 - in.data);
        r.body = calloc(1, r.size + 1);
        memcpy(r.body, end + 4, r.size);
        kn_json_parse(r.body, r.size, "reply", &r.json, NULL);
    }
    kn_buf_done(&in);
    return r;
}

static inline reply call(const studio *s, const char *method, const char *path, const char *more_headers,
                         const void *body, size_t size)
{
    kn_buf out;
    kn_buf_init(&out, MAX_REPLY_BYTES);
    kn_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n%s", method, path,
                  s->port, more_headers);
    if (body)
        kn_buf_printf(&out, "Content-Length: %zu\r\n", size);
    kn_buf_puts(&out, "\r\n");
    if (body)
        kn_buf_append(&out, body, size);
    reply r = talk(s->port, out.data, out.size);
    kn_buf_done(&out);
    return r;
}

static inline reply get(const studio *s, const char *path)
{
    return call(s, "GET", path, "", NULL, 0);
}

static inline reply send_json(const studio *s, const char *method, const char *path, const char *json)
{
    return call(s, method, path, "Content-Type: application/json\r\n", json, strlen(json));
}

static inline void expect(const reply *r, int status)
{
    if (r->status != status)
        fail_msg("status %d, expected %d: %.400s", r->status, status, r->body ? r->body : "no reply");
}

static inline const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

/* ---- jobs ---- */

/* Puts a request in line; the id is copied into `id` (of 64 bytes). */
static inline void submit(const studio *s, const char *request, char *id)
{
    reply r = send_json(s, "POST", "/api/v1/jobs", request);
    expect(&r, 201);
    snprintf(id, 64, "%s", text_of(r.json, "id"));
    reply_done(&r);
}

/* The job as it is now; for json_decref. NULL: the server cannot be reached. */
static inline json_t *job_now(const studio *s, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    reply r = get(s, path);
    if (r.status)
        expect(&r, 200);
    json_t *job = json_incref(r.json);
    reply_done(&r);
    return job;
}

static inline bool is_one_of(const char *state, const char *states)
{
    const char *at = *state ? strstr(states, state) : NULL;
    return at && (at == states || at[-1] == ' ') && strchr(" ", at[strlen(state)]);
}

/* Waits until the job is in one of the states ("completed failed"); fails after two minutes, or at a final state. */
static inline json_t *wait_job(const studio *s, const char *id, const char *states)
{
    for (int i = 0; i < 6000; i++) {
        json_t *job = job_now(s, id);
        const char *state = text_of(job, "state");
        if (is_one_of(state, states))
            return job;
        if (is_one_of(state, "completed failed cancelled")) {
            char *text = json_dumps(job, JSON_COMPACT);
            fail_msg("%s is %s, expected %s: %.600s", id, state, states, text);
        }
        json_decref(job);
        usleep(20000);
    }
    fail_msg("%s was not %s in two minutes", id, states);
    return NULL;
}

static inline reply act(const studio *s, const char *id, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s/%s", id, what);
    return send_json(s, "POST", path, "{}");
}

#endif
