#define _GNU_SOURCE
#include "hub/transfer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/url.h"

/* ---- what curl calls ---- */

static size_t on_header(char *data, size_t size, size_t n, void *ud)
{
    return kn_transfer_read_header(ud, data, size * n) ? size * n : CURL_WRITEFUNC_ERROR;
}

static int take(kn_transfer *t, const void *data, size_t size)
{
    uint64_t most = t->size == KN_SIZE_UNKNOWN ? t->max_bytes : t->size;
    if (size > most - t->have)
        return kn_fail(&t->why, t->size == KN_SIZE_UNKNOWN ? KN_ELIMIT : KN_EFORMAT,
                       "%s: the server sends more than the %llu bytes %s", t->name, (unsigned long long)most,
                       t->size == KN_SIZE_UNKNOWN ? "that are taken" : "it should have");
    int rc = t->sink.write(t->sink.ud, data, size, &t->why);
    if (!rc)
        t->have += size;
    return rc;
}

static size_t on_body(char *data, size_t size, size_t n, void *ud)
{
    kn_transfer *t = ud;
    if (t->outcome != KN_OUTCOME_BODY)
        return CURL_WRITEFUNC_ERROR;
    t->window_bytes += size * n;
    if (take(t, data, size * n)) {
        t->outcome = KN_OUTCOME_FAIL;
        return CURL_WRITEFUNC_ERROR;
    }
    return size * n;
}

/* Workers that are started meanwhile must not keep the connection. */
static int on_socket(void *ud, curl_socket_t fd, curlsocktype purpose)
{
    (void)ud, (void)purpose;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) ? CURL_SOCKOPT_ERROR : CURL_SOCKOPT_OK;
}

/* ---- a request ---- */

static int add_header(kn_transfer *t, const char *fmt, const char *value, kn_err *err)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    char *line = kn_asprintf(fmt, value);
#pragma GCC diagnostic pop
    struct curl_slist *more = line ? curl_slist_append(t->headers, line) : NULL;
    free(line);
    if (!more)
        return kn_fail(err, KN_ENOMEM, "no memory for a request");
    t->headers = more;
    return 0;
}

/* A weak tag says that two files mean the same, not that they are. */
static bool is_strong(const char *etag)
{
    return *etag == '"';
}

static int add_headers(kn_transfer *t, kn_err *err)
{
    const char *token = t->config->token;
    int rc = add_header(t, "Accept-Encoding: %s", "identity", err);
    if (!rc && token && *token && kn_url_same_origin(t->at ? t->at : t->url, t->config->endpoint))
        rc = add_header(t, "Authorization: Bearer %s", token, err);
    if (!rc && t->have && is_strong(t->etag))
        rc = add_header(t, "If-Range: %s", t->etag, err);
    return rc;
}

static int value_or(int v, int fallback)
{
    return v ? v : fallback;
}

static bool set_up(kn_transfer *t)
{
    CURL *e = t->easy;
    char range[32];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)t->have);
    return !curl_easy_setopt(e, CURLOPT_URL, t->at ? t->at : t->url) &&
           !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) &&
           !curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket) &&
           !curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS,
                             1L) && /* a proxy's answer is not the server's */
           !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                             (long)value_or(t->config->patience.connect_ms, 30000)) &&
           !curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256l << 10) &&
           !curl_easy_setopt(e, CURLOPT_USERAGENT, "kinora/" KN_VERSION) &&
           !curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers) &&
           !curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) &&
           !curl_easy_setopt(e, CURLOPT_HEADERDATA, t) &&
           !curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(e, CURLOPT_WRITEDATA, t) && !curl_easy_setopt(e, CURLOPT_PRIVATE, t) &&
           (!t->have || !curl_easy_setopt(e, CURLOPT_RANGE, range));
}

int kn_transfer_begin(kn_transfer *t, kn_err *err)
{
    kn_transfer_drop(t);
    t->outcome = KN_OUTCOME_NONE;
    t->why = (kn_err){0};
    t->status = 0;
    t->retry_after_ms = 0; /* an answer that never comes says nothing either */
    t->easy = curl_easy_init();
    int rc = t->easy ? add_headers(t, err) : kn_fail(err, KN_ENOMEM, "no memory for a request");
    if (!rc && !set_up(t))
        rc = kn_fail(err, KN_EINTERNAL, "libcurl %s refuses an option", curl_version());
    t->window_ns = kn_clock_ns();
    t->window_bytes = 0;
    return rc;
}

/* ---- its end ---- */

/* What will be the same next time. */
static bool is_permanent(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY:
        return true;
    default:
        return false;
    }
}

static void end_without_answer(kn_transfer *t, const char *how, bool permanent)
{
    char host[128];
    kn_url_host(t->at ? t->at : t->url, host, sizeof host);
    kn_fail(&t->why, KN_EIO, "%s: %s: %s", t->name, host, how);
    t->outcome = permanent ? KN_OUTCOME_FAIL : KN_OUTCOME_RETRY;
}

void kn_transfer_settle(kn_transfer *t, CURLcode code)
{
    bool is_cut = code != CURLE_OK || (t->size != KN_SIZE_UNKNOWN && t->have < t->size);
    if (t->outcome == KN_OUTCOME_NONE)
        end_without_answer(t, code ? curl_easy_strerror(code) : "no answer", is_permanent(code));
    else if (t->outcome == KN_OUTCOME_BODY && is_cut)
        end_without_answer(t, code ? curl_easy_strerror(code) : "the answer ended early", false);
    kn_transfer_drop(t);
}

void kn_transfer_drop(kn_transfer *t)
{
    if (t->easy) /* else the library may not be there either */
        curl_easy_cleanup(t->easy);
    if (t->headers)
        curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
}

void kn_transfer_done(kn_transfer *t)
{
    kn_transfer_drop(t);
    free(t->at);
    t->at = NULL;
}
