/* What the files of the HTTP layer share. */
#ifndef KN_SERVER_HTTP_INTERNAL_H
#define KN_SERVER_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "base/mem.h"
#include "server/guard.h"
#include "server/http.h"
#include "server/multipart.h"
#include "server/part_file.h"
#include "server/route.h"
#include "server/uri.h"

typedef struct kn_sse kn_sse;
typedef struct kn_socket kn_socket;
typedef struct kn_loop kn_loop;

/* ---- the server ---- */

/* A client's connection, while it is open. */
typedef struct kn_http_conn {
    struct kn_http_conn *prev, *next;
    int fd;
    int64_t waiting_ns; /* since when its next request's headers are awaited; 0: they are here */
    bool is_reading;    /* the rest of a request is awaited */
    bool has_ended;     /* the client had nothing more to send when last looked at */
} kn_http_conn;

struct kn_http {
    kn_http_opts opts;
    const kn_route_table *tables;
    int n_tables;
    kn_route_table own; /* /login, /logout */
    kn_guard guard;
    struct MHD_Daemon *daemon;
    kn_loop *loop;
    pthread_mutex_t lock; /* of all below; before the lock of a feed */
    kn_http_conn *conns;
    bool is_stopping;
};

/* Every second, from the loop's thread: cuts off who takes too long. */
void kn_http_tick(kn_http *h);

extern const kn_route kn_login_routes[]; /* ud: the kn_http */

/* ---- a reply ---- */

typedef enum kn_reply_kind {
    KN_REPLY_NONE,
    KN_REPLY_BYTES,  /* data, heap */
    KN_REPLY_STATIC, /* data, borrowed */
    KN_REPLY_FILE,
    KN_REPLY_MADE,
    KN_REPLY_STREAM,
    KN_REPLY_SOCKET,
} kn_reply_kind;

struct kn_reply {
    kn_http_request *rq;
    kn_reply_kind kind;
    int status;
    char *type, *etag, *disposition; /* heap, may be NULL */
    const void *data;
    size_t size;
    bool is_gzip;
    int fd;
    uint64_t file_size; /* also of what is made */
    kn_made *made;      /* heap */
    kn_sse *stream;
    kn_socket *socket;
    char *param;
    int n_headers;
    struct {
        char *name, *value;
    } headers[KN_LIMIT_REPLY_HEADERS];
};

void kn_reply_init(kn_reply *r, kn_http_request *rq);
void kn_reply_done(kn_reply *r);
/* {"error": ...} in place of what the reply had. */
void kn_reply_error(kn_reply *r, int status, const kn_err *err);
void kn_made_free(kn_made *m); /* accepts NULL */
/* Gives it to the client. MHD_NO: the connection is to be closed. */
enum MHD_Result kn_reply_send(kn_reply *r);

/* ---- a request ---- */

typedef enum kn_sink {
    KN_SINK_NONE,
    KN_SINK_TEXT, /* JSON, or a form that is url-encoded */
    KN_SINK_FILE,
    KN_SINK_FORM,
} kn_sink;

/* What is read of a body. */
typedef struct kn_intake {
    kn_sink sink;
    bool is_json; /* of KN_SINK_TEXT */
    kn_buf text;  /* the body, or a form's field */
    kn_multipart *form;
    char *field; /* the form's text field that is being read; NULL: a file */
    kn_part_file parts[KN_LIMIT_FORM_PARTS];
    kn_http_file files[KN_LIMIT_FORM_PARTS]; /* names are heap */
    int n_files;
    uint64_t n_field_bytes;
} kn_intake;

struct kn_http_request {
    kn_http *h;
    struct MHD_Connection *connection;
    char *uri; /* as it came */
    char method[16];
    bool has_begun, has_ended;
    bool has_body, is_chunked, wants_continue;
    uint64_t body_size; /* as it was announced; 0 if chunked */
    int64_t began_ns;
    uint64_t n_received, n_discarded;
    int refused; /* status; 0: not */
    int wait_s;  /* of 429 */
    kn_err err;  /* why */
    kn_uri_query query;
    kn_route_match match;
    kn_intake *intake; /* NULL: nothing to read */
    json_t *json;
    kn_reply reply;
};

kn_http_request *kn_request_new(kn_http *h, struct MHD_Connection *connection, const char *uri);
void kn_request_free(kn_http_request *rq);
/* All but what a stream or a WebSocket still needs. */
void kn_request_release(kn_http_request *rq);
/* The three things that happen to it: its headers, pieces of its body, its end. */
enum MHD_Result kn_request_begin(kn_http_request *rq, const char *method);
enum MHD_Result kn_request_take(kn_http_request *rq, const char *data, size_t size);
enum MHD_Result kn_request_end(kn_http_request *rq);
/* The first one counts; returns `code`. */
int kn_request_refuse(kn_http_request *rq, int status, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define KN_TOO_MANY_GUESSES "too many wrong tokens from this address; the next one is looked at in %d s"
/* Who is at the other end, for those who guess. */
kn_guesser kn_request_guesser(const kn_http_request *rq);

/* The body, by what the route takes; they refuse what does not fit. */
int kn_intake_begin(kn_http_request *rq);
int kn_intake_feed(kn_http_request *rq, const char *data, size_t size);
int kn_intake_end(kn_http_request *rq);
void kn_intake_free(kn_intake *in);

/* ---- streams ---- */

kn_sse *kn_sse_new(kn_http *h, struct MHD_Connection *connection, kn_feed *feed, int64_t last_id);
void kn_sse_free(kn_sse *s);
struct MHD_Response *kn_sse_response(kn_sse *s); /* takes it, unless it is NULL */

/* ---- WebSockets ---- */

/* Listens from now on; greeting may be NULL (copied). NULL without memory. */
kn_socket *kn_socket_new(kn_http *h, kn_feed *feed, const char *greeting);
void kn_socket_free(kn_socket *s);
/* The loop takes it. */
void kn_socket_hand_over(kn_socket *s, int fd, struct MHD_UpgradeResponseHandle *urh, const char *extra,
                         size_t extra_size);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; false: it is no key (RFC 6455, 4.2.1). */
bool kn_socket_accept_key(const char *key, char ret[29]);

#endif
