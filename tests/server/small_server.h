/* A server with a few routes of every kind, on a port the system chooses. */
#ifndef KN_TESTS_SERVER_SMALL_SERVER_H
#define KN_TESTS_SERVER_SMALL_SERVER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "client.h"
#include "server/http.h"

typedef struct small_server {
    kn_http *http;
    kn_route_table table;
    kn_feed *feed;
    int port;
    char dir[64], file[96];
    pthread_mutex_t lock; /* of all below */
    char log[4096];       /* lines, one after the other */
    struct {
        int64_t id;
        char *json;
    } kept[4096]; /* what the feed gives again */
    int n_kept;
    void (*during_replay)(struct small_server *s); /* called once in the middle of giving again */
} small_server;

KN_UNUSED static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- handlers ---- */

static int get_health(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    return kn_reply_json(reply, 200, json_pack("{s:s}", "status", "ok"), err);
}

/* What it understood. */
static int get_echo(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"q", "n", NULL};
    int64_t n = 0;
    (void)ud;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "n", 7, -5, 100, &n, err);
    if (rc) {
        kn_reply_param(reply, "n");
        return rc;
    }
    return kn_reply_json(reply, 200,
                         json_pack("{s:s?, s:s?, s:s?, s:I}", "q", kn_http_query(rq, "q"), "id",
                                   kn_http_param(rq, "id"), "name", kn_http_param(rq, "name"), "n",
                                   (json_int_t)n),
                         err);
}

/* The fields, and of the files everything, their bytes too. */
static int post_any(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    json_t *files = json_array();
    (void)ud;
    for (int i = 0; i < kn_http_n_files(rq); i++) {
        const kn_http_file *f = kn_http_file_at(rq, i);
        struct stat st;
        char *data = NULL;
        size_t size = 0;
        int rc = kn_file_read(f->path, 1 << 24, &data, &size, err);
        if (rc || stat(f->path, &st)) {
            json_decref(files);
            return rc ? rc : KN_EIO;
        }
        json_array_append_new(files,
                              json_pack("{s:s, s:s, s:s, s:I, s:i, s:o*}", "name", f->name, "filename",
                                        f->filename, "type", f->type, "size", (json_int_t)f->size, "mode",
                                        (int)(st.st_mode & 0777), "text", json_stringn(data, size)));
        free(data);
    }
    return kn_reply_json(reply, 201, json_pack("{s:O?, s:o}", "json", kn_http_json(rq), "files", files), err);
}

static int post_keep(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    small_server *s = ud;
    char kept[128];
    snprintf(kept, sizeof kept, "%s/kept", s->dir);
    if (rename(kn_http_file_at(rq, 0)->path, kept))
        return kn_fail(err, KN_EIO, "cannot rename");
    return kn_reply_json(reply, 200, json_object(), err);
}

static int get_file(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    small_server *s = ud;
    return kn_reply_file(reply, s->file, "video/mp4", kn_http_query(rq, "download"), err);
}

static int get_missing(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    return kn_reply_file(reply, "/nowhere/at/all", "video/mp4", NULL, err);
}

static int get_static(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    return kn_reply_static(reply, "text/css", "zipped", 6, true, "\"v1\"", err);
}

static int get_busy(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    kn_reply_bytes(reply, 200, "text/plain", "dropped", 7, err);
    kn_reply_param(reply, "steps");
    return kn_fail(err, KN_EBUSY, "steps: the queue is full, \xff\xc3");
}

static int get_nothing(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq, (void)reply, (void)err;
    return 0;
}

static int get_events(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    small_server *s = ud;
    const char *last = kn_http_header(rq, "Last-Event-ID");
    return kn_reply_events(reply, s->feed, last ? strtoll(last, NULL, 10) : -1, err);
}

static int get_ws(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    small_server *s = ud;
    (void)rq;
    return kn_reply_websocket(reply, s->feed, json_pack("{s:s}", "type", "hello"), err);
}

static const kn_route routes[] = {
    {"GET", "/api/health", KN_BODY_NONE, get_health, "", false},
    {"GET", "/open", KN_BODY_NONE, get_health, "", true},
    {"GET", "/", KN_BODY_NONE, get_health, "", false},
    {"GET", "/echo", KN_BODY_NONE, get_echo, "", false},
    {"GET", "/items/{id}", KN_BODY_NONE, get_echo, "", false},
    {"PATCH", "/items/{id}", KN_BODY_JSON, post_any, "", false},
    {"DELETE", "/items/{id}", KN_BODY_NONE, get_echo, "", false},
    {"GET", "/items/{id}/tree/{name*}", KN_BODY_NONE, get_echo, "", false},
    {"POST", "/json", KN_BODY_JSON, post_any, "", false},
    {"PUT", "/json", KN_BODY_JSON, post_any, "", false},
    {"POST", "/form", KN_BODY_FORM, post_any, "", false},
    {"POST", "/raw", KN_BODY_RAW, post_any, "", false},
    {"POST", "/keep", KN_BODY_RAW, post_keep, "", false},
    {"POST", "/none", KN_BODY_NONE, get_echo, "", false},
    {"GET", "/file", KN_BODY_NONE, get_file, "", false},
    {"GET", "/missing", KN_BODY_NONE, get_missing, "", false},
    {"GET", "/static", KN_BODY_NONE, get_static, "", false},
    {"GET", "/busy", KN_BODY_NONE, get_busy, "", false},
    {"GET", "/nothing", KN_BODY_NONE, get_nothing, "", false},
    {"GET", "/events", KN_BODY_NONE, get_events, "", false},
    {"GET", "/ws", KN_BODY_NONE, get_ws, "", false},
    {0},
};

/* ---- the server ---- */

static void on_log(void *ud, const char *line)
{
    small_server *s = ud;
    pthread_mutex_lock(&s->lock);
    size_t n = strlen(s->log);
    if (n + strlen(line) + 2 < sizeof s->log)
        snprintf(s->log + n, sizeof s->log - n, "%s\n", line);
    pthread_mutex_unlock(&s->lock);
}

KN_UNUSED static void keep_and_publish(small_server *s, int64_t id, const char *json)
{
    pthread_mutex_lock(&s->lock);
    s->kept[s->n_kept].id = id;
    s->kept[s->n_kept++].json = kn_strdup(json);
    pthread_mutex_unlock(&s->lock);
    kn_feed_publish(s->feed, id, NULL, json);
}

static void replay(void *ud, int64_t last_id, void (*put_one)(void *to, int64_t id, const char *json),
                   void *to)
{
    small_server *s = ud;
    pthread_mutex_lock(&s->lock);
    int n = s->n_kept;
    void (*during)(small_server *) = s->during_replay;
    s->during_replay = NULL;
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < n; i++) { /* what is kept stays as it is */
        if (during && i == n / 2)
            during(s);
        if (s->kept[i].id > last_id)
            put_one(to, s->kept[i].id, s->kept[i].json);
    }
}

KN_UNUSED static small_server *server_start(kn_http_opts opts)
{
    small_server *s = calloc(1, sizeof *s);
    kn_err err = {0};
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    strcpy(s->dir, "/tmp/kn-test-http-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->file, sizeof s->file, "%s/file.mp4", s->dir);
    FILE *f = fopen(s->file, "w");
    assert_non_null(f);
    fputs("0123456789abcdefghij", f);
    fclose(f);
    s->feed = kn_feed_new(replay, s);
    assert_non_null(s->feed);
    s->table = (kn_route_table){routes, s};
    opts.host = opts.host ? opts.host : "127.0.0.1";
    opts.upload_dir = s->dir;
    opts.log = on_log;
    opts.log_ud = s;
    int rc = kn_http_start(&opts, &s->table, 1, &s->http, &err);
    if (rc)
        fail_msg("%s", err.msg);
    s->port = kn_http_port(s->http);
    return s;
}

/* Files in the upload folder, beside the one that is served. */
KN_UNUSED static int server_n_files(const small_server *s)
{
    int n = -1;
    DIR *d = opendir(s->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Something that happens in another thread. */
KN_UNUSED static void server_wait_n_files(const small_server *s, int n)
{
    int found = server_n_files(s); /* not looked at again afterwards: the next file may be there by then */
    for (int i = 0; i < PATIENCE_S * 100 && found != n; i++) {
        nap_ms(10);
        found = server_n_files(s);
    }
    assert_int_equal(found, n);
}

KN_UNUSED static void server_wait_listeners(const small_server *s, int n)
{
    for (int i = 0; i < PATIENCE_S * 100 && kn_feed_n_listeners(s->feed) != n; i++)
        nap_ms(10);
    assert_int_equal(kn_feed_n_listeners(s->feed), n);
}

KN_UNUSED static void assert_alive(const small_server *s)
{
    answer a = ask_for(s->port, "/api/health", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"status\":\"ok\"}");
    answer_done(&a);
}

KN_UNUSED static void server_stop(small_server *s)
{
    kn_http_stop(s->http);
    kn_feed_free(s->feed);
    unlink(s->file);
    assert_int_equal(rmdir(s->dir), 0); /* nothing else was left behind */
    for (int i = 0; i < s->n_kept; i++)
        free(s->kept[i].json);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* One server for all tests of a program. */
KN_UNUSED static int server_setup(void **state)
{
    *state = server_start((kn_http_opts){0});
    return 0;
}

KN_UNUSED static int server_teardown(void **state)
{
    server_stop(*state);
    return 0;
}

#endif
