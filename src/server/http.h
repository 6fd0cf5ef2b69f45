/* HTTP for the studio: the one place that knows libmicrohttpd.  A route is a row of a table; a handler is a plain function
 * that runs in one of the server's threads, gets a whole, bounded request and fills a reply.
 *
 * A handler that returns an error code is answered with that code's status and
 *     {"error": {"code": "KN_EINVAL", "type": "invalid_request_error", "param": "steps" or null, "message": "..."}} */
#ifndef KN_SERVER_HTTP_H
#define KN_SERVER_HTTP_H

#include "base/json.h"
#include "server/feed.h"

typedef struct kn_http kn_http;
typedef struct kn_http_request kn_http_request;
typedef struct kn_reply kn_reply;

typedef int (*kn_handler)(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err);

typedef enum kn_body {
    KN_BODY_NONE, /* a body is refused */
    KN_BODY_JSON, /* application/json, an object; absent: {} */
    KN_BODY_FORM, /* multipart/form-data, application/x-www-form-urlencoded or application/json */
    KN_BODY_RAW,  /* any bytes, into a file of the upload folder; multipart/form-data is read as a form */
} kn_body;

typedef struct kn_route {
    const char *method;  /* "GET" (answers HEAD too), "POST", "PUT", "PATCH", "DELETE" */
    const char *pattern; /* "/api/v1/jobs/{id}/video": {name} is one segment, {name*} the rest, without "..";
                          * where several patterns fit, words win over {name} and {name} over {name*} */
    kn_body body;
    kn_handler handler;
    const char *summary; /* for the API document */
    bool is_open;        /* needs no token: what a browser loads to ask for it */
} kn_route;

typedef struct kn_http_opts {
    const char *host; /* "127.0.0.1", "::1", "0.0.0.0" */
    int port;         /* 0: the system chooses */
    const char *
        token; /* bearer token that every request must show (header, or the cookie that POST /login gives); NULL: none,
                          allowed on loopback only (KN_EINVAL); /api/health and open routes need none */
    const char *upload_dir; /* for bodies that are files; exists */
    const char *const *
        hosts; /* more names the server goes by, beside its address and localhost: "studio.example" (its own port
                * or none), "studio.example:8443"; NULL-terminated; may be NULL */
    int n_threads; /* 0: 4 */
    int timeout_s; /* 0: 60; how long a client may say nothing, or take for its headers */
    int ping_s;    /* 0: 15; between the pings of a quiet stream */
    void (*log)(void *ud, const char *line); /* one line a request that failed; never a secret; may be NULL */
    void *log_ud;
} kn_http_opts;

/* Routes are tables that end with {0}; both they and `ud` are borrowed until stop. Listens when it returns.
 * POST /login {"token"} (or a form) and POST /logout come with it.  A log line has method, path, status and message. */
typedef struct kn_route_table {
    const kn_route *routes;
    void *ud;
} kn_route_table;
int kn_http_start(const kn_http_opts *opts, const kn_route_table *tables, int n_tables, kn_http **ret,
                  kn_err *err);
int kn_http_port(const kn_http *h);
/* Ends streams and WebSockets, waits for handlers. */
void kn_http_stop(kn_http *h);

/* ---- what a handler reads; strings live as long as the request ---- */
const char *kn_http_param(const kn_http_request *rq,
                          const char *name); /* of the pattern, decoded; never NULL for its names */
const char *kn_http_query(const kn_http_request *rq, const char *name); /* decoded; NULL: absent */
/* KN_EINVAL names the value and the range. */
int kn_http_query_int(const kn_http_request *rq, const char *name, int64_t fallback, int64_t min, int64_t max,
                      int64_t *ret, kn_err *err);
/* KN_EINVAL names the first query parameter that is not in the list (NULL-terminated). */
int kn_http_query_only(const kn_http_request *rq, const char *const *names, kn_err *err);
const char *kn_http_header(const kn_http_request *rq, const char *name);
const char *kn_http_target(const kn_http_request *rq); /* path and query, as they came */
json_t *kn_http_json(const kn_http_request *rq);       /* borrowed; an object; of a form: its text fields */
/* An uploaded file of a form (or the raw body: name "") in the upload folder; removed with the request unless it is taken
 * (renamed away by the handler). */
typedef struct kn_http_file {
    const char *name;     /* of the field */
    const char *filename; /* as the client called it; not a path to trust */
    const char *type;     /* as the client says */
    const char *path;
    uint64_t size;
} kn_http_file;
int kn_http_n_files(const kn_http_request *rq);
const kn_http_file *kn_http_file_at(const kn_http_request *rq, int i);

/* ---- what it answers; the last call wins ---- */
int kn_reply_json(kn_reply *r, int status, json_t *take,
                  kn_err *err); /* consumes, also on failure; NULL is KN_ENOMEM */
int kn_reply_bytes(kn_reply *r, int status, const char *type, const void *data, size_t size,
                   kn_err *err); /* copied */
/* JSON that is text already; heap, consumed, also on failure. */
int kn_reply_text(kn_reply *r, int status, char *take_json, kn_err *err);
/* What kn_reply_json made of it; NULL: the reply is something else. */
const char *kn_reply_json_text(const kn_reply *r);
/* Bytes that live as long as the program; gzip: they are gzipped (406 for a client that refuses it). etag may be NULL. */
int kn_reply_static(kn_reply *r, const char *type, const void *data, size_t size, bool gzip, const char *etag,
                    kn_err *err);
/* A file, with Range, If-Range, ETag and If-None-Match. download_name: an attachment; NULL: shown in place. KN_ENOTFOUND. */
int kn_reply_file(kn_reply *r, const char *path, const char *type, const char *download_name, kn_err *err);
/* A body of `size` bytes that is made while it is sent, from its beginning to its end. */
typedef struct kn_made {
    /* The next bytes, at most n; an error or none before the end: the connection is closed. */
    int (*read)(void *ud, void *buf, size_t n, size_t *ret_n, kn_err *err);
    void (*done)(void *ud);
    void *ud;
} kn_made;
/* `take` is done with later, or at once on failure. download_name as above. */
int kn_reply_made(kn_reply *r, const char *type, uint64_t size, kn_made take, const char *download_name,
                  kn_err *err);
int kn_reply_header(kn_reply *r, const char *name, const char *value, kn_err *err);
/* Says which parameter an error is about: "param" of the error. */
void kn_reply_param(kn_reply *r, const char *name);
/* A stream of server-sent events from the feed; those after `last_id` come first (kn_feed's replay); below 0: none.
 * "event:" is the message's "type". */
int kn_reply_events(kn_reply *r, kn_feed *feed, int64_t last_id, kn_err *err);
/* A WebSocket that pushes the feed's messages as text; `greeting` (may be NULL; consumed) is sent first. KN_EINVAL if the
 * request is no upgrade. */
int kn_reply_websocket(kn_reply *r, kn_feed *feed, json_t *greeting, kn_err *err);

#endif
