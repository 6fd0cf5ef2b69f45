/* A hub inside the test: a small HTTP server on a port of its own that has one repository and misbehaves as it is told. */
#ifndef KN_TESTS_HUB_STAND_IN_H
#define KN_TESTS_HUB_STAND_IN_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "hub/digest.h"
#include "hub/hub.h"

#define HUB_ID     "acme/tiny"
#define HUB_COMMIT "0123456789abcdef0123456789abcdef01234567"

enum { MAX_FILES = 24, MAX_RULES = 64, MAX_LOG = 512, MAX_CONNECTIONS = 512, LINE = 2048 };

typedef enum wrong {
    ANSWER,       /* the status `n`, with the header lines `text` */
    SILENCE,      /* the connection is closed without a word */
    CUT_HEADERS,  /* ... in the middle of the headers */
    CUT,          /* ... after n bytes of the body */
    STALL,        /* nothing more after n bytes of the body, the connection stays */
    STALL_BEFORE, /* not even headers */
    DRIP,         /* a byte now and then */
    LENGTH,       /* Content-Length says n */
    MORE,         /* n bytes too many, without a length */
    NO_LENGTH,    /* the end of the connection is the end of the body, after n bytes */
    CORRUPT,      /* one byte is another */
    NO_RANGE,     /* always the whole */
    BAD_RANGE,    /* Content-Range begins n bytes later than was asked for */
    ETAG,         /* another ETag: text */
    HEADERS,      /* as it should be, with the header lines `text` */
} wrong;

typedef struct rule {
    const char *path; /* a part of the address */
    wrong what;
    long n;
    const char *text;
    int times; /* 0: always */
} rule;

typedef struct hub_file {
    const char *path;
    char *data;
    size_t size;
    bool is_lfs;
} hub_file;

typedef struct asked {
    char path[LINE], token[256], range[64], if_range[256];
} asked;

typedef struct stand_in {
    int listener, port;
    char url[64];
    pthread_t thread, connections[MAX_CONNECTIONS];
    int n_connections;
    atomic_bool stop;
    pthread_mutex_t lock;
    hub_file files[MAX_FILES];
    int n_files;
    rule rules[MAX_RULES];
    int n_rules;
    const char *etag; /* of files */
    const char *api;  /* the whole answer for the model; NULL: from the files */
    asked log[MAX_LOG];
    int n_log;
} stand_in;

typedef struct conversation {
    stand_in *s;
    int fd;
} conversation;

/* ---- sending ---- */

static inline bool send_all(int fd, const void *data, size_t size)
{
    for (const char *p = data; size;) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static inline bool say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool say(int fd, const char *fmt, ...)
{
    char text[3 * LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return send_all(fd, text, (size_t)n);
}

static inline void pause_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000l}, NULL);
}

/* Until the other side has gone or the test is over. */
static inline void hold(stand_in *s, int fd)
{
    char c;
    while (!atomic_load(&s->stop)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 10) > 0 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0)
            return;
    }
}

static inline void drip(stand_in *s, int fd, const char *data, size_t size)
{
    for (size_t i = 0; i < size && !atomic_load(&s->stop) && send_all(fd, data + i, 1); i++)
        pause_ms(20);
}

/* ---- the repository ---- */

static inline void digest_of(const hub_file *f, char hex[KN_DIGEST_HEX])
{
    kn_digest *d = NULL;
    if (kn_digest_new(f->is_lfs ? KN_DIGEST_SHA256 : KN_DIGEST_GIT_SHA1, f->size, &d, NULL) ||
        kn_digest_add(d, f->data, f->size, NULL) || kn_digest_hex(d, hex, NULL))
        abort();
    kn_digest_free(d);
}

static inline char *model_answer(stand_in *s)
{
    char hex[KN_DIGEST_HEX];
    json_t *list = json_array();
    for (int i = 0; i < s->n_files; i++) {
        const hub_file *f = &s->files[i];
        digest_of(f, hex);
        json_t *o = json_pack("{s:s, s:I}", "rfilename", f->path, "size", (json_int_t)f->size);
        if (f->is_lfs)
            json_object_set_new(
                o, "lfs",
                json_pack("{s:s, s:I, s:i}", "sha256", hex, "size", (json_int_t)f->size, "pointerSize", 134));
        else
            json_object_set_new(o, "blobId", json_string(hex));
        json_array_append_new(list, o);
    }
    json_t *o = json_pack("{s:s, s:s, s:b, s:s, s:[s, s], s:o}", "id", HUB_ID, "sha", HUB_COMMIT, "gated", 0,
                          "library_name", "diffusers", "tags", "diffusers", "diffusers:WanPipeline",
                          "siblings", list);
    char *text = json_dumps(o, 0);
    json_decref(o);
    return text;
}

static inline void send_body(stand_in *s, int fd, const char *etag, const rule *r, const char *data,
                             size_t size, const asked *q)
{
    wrong what = r ? r->what : HEADERS;
    size_t begin = *q->range && what != NO_RANGE ? strtoul(q->range, NULL, 10) : 0, length = size - begin;
    if (what == ETAG)
        etag = r->text;
    if (*q->if_range && strcmp(q->if_range, etag) != 0)
        begin = 0, length = size;
    if (begin > size || (begin && begin == size)) {
        say(fd, "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    say(fd, "HTTP/1.1 %s\r\nETag: %s\r\n", begin ? "206 Part" : "200 OK", etag);
    if (begin)
        say(fd, "Content-Range: bytes %zu-%zu/%zu\r\n", begin + (what == BAD_RANGE ? (size_t)r->n : 0),
            size - 1, size);
    if (what == LENGTH)
        say(fd, "Content-Length: %ld\r\n", r->n);
    else if (what != MORE && what != NO_LENGTH)
        say(fd, "Content-Length: %zu\r\n", length);
    if (what == CUT_HEADERS)
        return;
    say(fd, "%sConnection: close\r\n\r\n", what == HEADERS && r ? r->text : "");
    if (what == DRIP) {
        drip(s, fd, data + begin, length);
        return;
    }
    size_t n =
        (what == CUT || what == STALL || what == NO_LENGTH) && (size_t)r->n < length ? (size_t)r->n : length;
    char *copy = malloc(length + 1);
    memcpy(copy, data + begin, length);
    if (what == CORRUPT)
        copy[length / 2] ^= 1;
    send_all(fd, copy, n);
    free(copy);
    for (long i = 0; what == MORE && i < r->n; i++)
        send_all(fd, "!", 1);
    if (what == STALL)
        hold(s, fd);
}

static inline bool take_rule(stand_in *s, const char *path, rule *ret)
{
    for (int i = 0; i < s->n_rules; i++) {
        rule *r = &s->rules[i];
        if (!strstr(path, r->path) || r->times < 0)
            continue;
        *ret = *r;
        if (r->times && !--r->times)
            r->times = -1;
        return true;
    }
    return false;
}

static inline void answer(stand_in *s, int fd, const asked *q)
{
    static const char resolve[] = "/" HUB_ID "/resolve/" HUB_COMMIT "/";
    rule r;
    pthread_mutex_lock(&s->lock);
    bool is_wrong = take_rule(s, q->path, &r);
    pthread_mutex_unlock(&s->lock);
    if (is_wrong && r.what == SILENCE)
        return;
    if (is_wrong && r.what == STALL_BEFORE) {
        hold(s, fd);
        return;
    }
    if (is_wrong && r.what == ANSWER) {
        say(fd, "HTTP/1.1 %ld Word\r\nContent-Length: 4\r\n%s\r\nword", r.n, r.text ? r.text : "");
        return;
    }
    if (strncmp(q->path, "/api/models", 11) == 0) {
        char *text = s->api ? kn_strdup(s->api) : model_answer(s);
        send_body(s, fd, "\"api\"", is_wrong ? &r : NULL, text, strlen(text), q);
        free(text);
        return;
    }
    const char *name = strncmp(q->path, resolve, sizeof resolve - 1) ? q->path : q->path + sizeof resolve - 1;
    name += strncmp(name, "/store/", 7) ? 0 : 7;
    for (int i = 0; i < s->n_files; i++)
        if (strcmp(s->files[i].path, name) == 0) {
            send_body(s, fd, s->etag, is_wrong ? &r : NULL, s->files[i].data, s->files[i].size, q);
            return;
        }
    say(fd, "HTTP/1.1 404 Not Found\r\nX-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n\r\n");
}

/* ---- listening ---- */

static inline void header_of(const char *head, const char *name, const char *prefix, char *to, size_t size)
{
    for (const char *p = strstr(head, "\r\n"); p; p = strstr(p + 2, "\r\n")) {
        size_t n = strlen(name);
        if (strncasecmp(p + 2, name, n) || p[2 + n] != ':')
            continue;
        const char *v = p + 2 + n + 1 + strspn(p + 2 + n + 1, " ");
        v += strncmp(v, prefix, strlen(prefix)) ? 0 : strlen(prefix);
        snprintf(to, size, "%.*s", (int)strcspn(v, "\r\n"), v);
    }
}

static inline void *converse(void *ud)
{
    conversation t = *(conversation *)ud;
    char head[8192] = "";
    size_t n = 0;
    asked q = {{0}, {0}, {0}, {0}};
    free(ud);
    while (n + 1 < sizeof head && !strstr(head, "\r\n\r\n")) {
        ssize_t got = recv(t.fd, head + n, sizeof head - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        head[n] = '\0';
    }
    if (strstr(head, "\r\n\r\n") && strncmp(head, "GET ", 4) == 0) {
        snprintf(q.path, sizeof q.path, "%.*s", (int)strcspn(head + 4, " "), head + 4);
        header_of(head, "Authorization", "Bearer ", q.token, sizeof q.token);
        header_of(head, "Range", "bytes=", q.range, sizeof q.range);
        header_of(head, "If-Range", "", q.if_range, sizeof q.if_range);
        pthread_mutex_lock(&t.s->lock);
        if (t.s->n_log < MAX_LOG)
            t.s->log[t.s->n_log++] = q;
        pthread_mutex_unlock(&t.s->lock);
        answer(t.s, t.fd, &q);
    }
    shutdown(t.fd, SHUT_WR);
    char rest[512]; /* so that closing does not reset what was sent */
    struct pollfd p = {t.fd, POLLIN, 0};
    while (poll(&p, 1, 50) > 0 && recv(t.fd, rest, sizeof rest, 0) > 0)
        ;
    close(t.fd);
    return NULL;
}

static inline void *listen_on(void *ud)
{
    stand_in *s = ud;
    while (!atomic_load(&s->stop)) {
        struct pollfd p = {s->listener, POLLIN, 0};
        int fd = poll(&p, 1, 10) > 0 ? accept(s->listener, NULL, NULL) : -1;
        conversation *t = fd >= 0 && s->n_connections < MAX_CONNECTIONS ? malloc(sizeof *t) : NULL;
        if (t) {
            *t = (conversation){s, fd};
            if (pthread_create(&s->connections[s->n_connections], NULL, converse, t) == 0)
                s->n_connections++;
        } else if (fd >= 0) {
            close(fd);
        }
    }
    return NULL;
}

static inline stand_in *stand_in_new(void)
{
    stand_in *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    setenv("no_proxy", "*", 1);
    s->etag = "\"one\"";
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&a, sizeof a) || listen(s->listener, 64) ||
        getsockname(s->listener, (struct sockaddr *)&a, &n))
        abort();
    s->port = ntohs(a.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    if (pthread_create(&s->thread, NULL, listen_on, s))
        abort();
    return s;
}

static inline void stand_in_free(stand_in *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_connections; i++)
        pthread_join(s->connections[i], NULL);
    close(s->listener);
    for (int i = 0; i < s->n_files; i++)
        free(s->files[i].data);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- what it has, how it misbehaves, what it was asked ---- */

static inline void has_bytes(stand_in *s, const char *path, const void *data, size_t size, bool is_lfs)
{
    hub_file *f = NULL;
    for (int i = 0; i < s->n_files; i++)
        f = strcmp(s->files[i].path, path) ? f : &s->files[i];
    f = f ? f : &s->files[s->n_files++];
    free(f->data);
    *f = (hub_file){path, malloc(size + 1), size, is_lfs};
    memcpy(f->data, data, size);
}

static inline void has_text(stand_in *s, const char *path, const char *text)
{
    has_bytes(s, path, text, strlen(text), false);
}

/* Weights: bytes that no other file has. */
static inline void has_weights(stand_in *s, const char *path, size_t size, unsigned seed)
{
    char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 24);
    has_bytes(s, path, data, size, true);
    free(data);
}

static inline void misbehave(stand_in *s, rule r)
{
    pthread_mutex_lock(&s->lock);
    s->rules[s->n_rules++] = r;
    pthread_mutex_unlock(&s->lock);
}

static inline void behave(stand_in *s)
{
    pthread_mutex_lock(&s->lock);
    s->n_rules = s->n_log = 0;
    pthread_mutex_unlock(&s->lock);
}

/* Its repository holds a model of three files, of 3 MB, and a LoRA. */
static inline stand_in *stand_in_with_model(void)
{
    stand_in *s = stand_in_new();
    has_text(s, "model_index.json", "{\"_class_name\": \"X\", \"vae\": [\"d\", \"V\"]}");
    has_text(s, "vae/config.json", "{}");
    has_weights(s, "vae/model.safetensors", 3000000, 1);
    has_weights(s, "lora.safetensors", 5000, 2);
    return s;
}

/* The nth (from 0) request whose address has `path` in it; false: it was not made. */
static inline bool nth_asked(stand_in *s, const char *path, int nth, asked *ret)
{
    bool found = false;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->n_log && !found; i++)
        if (strstr(s->log[i].path, path) && nth-- == 0) {
            *ret = s->log[i];
            found = true;
        }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static inline int count_asked(stand_in *s, const char *path)
{
    int n = 0;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->n_log; i++)
        n += strstr(s->log[i].path, path) != NULL;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Little patience, but enough for a machine that is busy. */
static inline kn_hub_config config_of(const stand_in *s)
{
    return (kn_hub_config){.endpoint = s->url,
                           .patience = {.connect_ms = 10000,
                                        .stall_ms = 10000,
                                        .stall_bytes = 100,
                                        .n_tries = 4,
                                        .backoff_ms = 1,
                                        .backoff_max_ms = 4,
                                        .wait_max_ms = 2000,
                                        .progress_ms = 1}};
}

#endif
