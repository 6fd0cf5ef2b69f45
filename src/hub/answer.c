/* The headers of an answer, and what they mean for the transfer. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "hub/transfer.h"
#include "hub/url.h"

/* ---- reading ---- */

static void forget_answer(kn_transfer *t)
{
    t->status = 0;
    *t->answer_etag = *t->location = *t->error_code = *t->error_text = '\0';
    t->length = t->range_total = KN_SIZE_UNKNOWN;
    t->has_range = t->is_encoded = false;
    t->retry_after_ms = 0;
}

/* Digits only; anything else, or too many, is not known. */
static uint64_t read_number(const char *s, const char **ret_end)
{
    uint64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return KN_SIZE_UNKNOWN;
    if (ret_end)
        *ret_end = p;
    else if (*p)
        return KN_SIZE_UNKNOWN;
    return p == s ? KN_SIZE_UNKNOWN : v;
}

/* "bytes 10-99/100" */
static void read_range(kn_transfer *t, const char *value)
{
    const char *p = NULL;
    if (strncasecmp(value, "bytes ", 6))
        return;
    uint64_t begin = read_number(value + 6, &p);
    if (begin == KN_SIZE_UNKNOWN || *p != '-')
        return;
    uint64_t end = read_number(p + 1, &p);
    if (end == KN_SIZE_UNKNOWN || *p != '/' || end < begin)
        return;
    uint64_t total = read_number(p + 1, NULL);
    t->range_begin = begin;
    t->range_total = total;
    t->has_range = total != KN_SIZE_UNKNOWN && end == total - 1;
}

/* Seconds, or a date. */
static int64_t read_retry_after(const char *value)
{
    enum { MOST_S = 1 << 30 };
    uint64_t s = read_number(value, NULL);
    if (s != KN_SIZE_UNKNOWN)
        return (int64_t)(s < MOST_S ? s : MOST_S) * 1000;
    time_t at = curl_getdate(value, NULL);
    int64_t left = at < 0 ? 0 : (int64_t)at - kn_clock_unix();
    return left <= 0 ? 0 : (left < MOST_S ? left : MOST_S) * 1000;
}

/* <URL>; rel="next" */
static void read_link(kn_transfer *t, const char *value)
{
    const char *end = *value == '<' ? strchr(value, '>') : NULL;
    if (end && strstr(end, "rel=\"next\"") && (size_t)(end - value) < sizeof t->next)
        snprintf(t->next, sizeof t->next, "%.*s", (int)(end - value - 1), value + 1);
}

/* For people: of a server's text only what is harmless on a terminal. */
static void keep_text(char *to, size_t size, const char *value)
{
    snprintf(to, size, "%s", value);
    for (char *p = to; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            *p = '?';
}

/* What does not fit is as if it were not there. */
static void keep(char *to, size_t size, const char *value)
{
    size_t n = strlen(value);
    *to = '\0';
    if (n < size)
        memcpy(to, value, n + 1);
}

static void read_field(kn_transfer *t, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0)
        t->length = read_number(value, NULL);
    else if (strcasecmp(name, "content-range") == 0)
        read_range(t, value);
    else if (strcasecmp(name, "content-encoding") == 0)
        t->is_encoded = strcasecmp(value, "identity") != 0;
    else if (strcasecmp(name, "etag") == 0)
        keep(t->answer_etag, sizeof t->answer_etag, value);
    else if (strcasecmp(name, "location") == 0)
        keep(t->location, sizeof t->location, value);
    else if (strcasecmp(name, "retry-after") == 0)
        t->retry_after_ms = read_retry_after(value);
    else if (strcasecmp(name, "link") == 0)
        read_link(t, value);
    else if (strcasecmp(name, "x-error-code") == 0)
        keep_text(t->error_code, sizeof t->error_code, value);
    else if (strcasecmp(name, "x-error-message") == 0)
        keep_text(t->error_text, sizeof t->error_text, value);
}

/* ---- deciding ---- */

static kn_outcome fail(kn_transfer *t, int code, const char *what)
{
    kn_fail(&t->why, code, "%s: %s", t->name, what);
    return KN_OUTCOME_FAIL;
}

static kn_outcome retry(kn_transfer *t, const char *what)
{
    char host[128];
    kn_url_host(t->at ? t->at : t->url, host, sizeof host);
    kn_fail(&t->why, KN_EIO, "%s: %s %s", t->name, host, what);
    return KN_OUTCOME_RETRY;
}

static kn_outcome restart(kn_transfer *t, const char *what)
{
    kn_err err = {0};
    *t->etag = '\0';
    t->have = 0;
    if (t->sink.restart(t->sink.ud, &err)) {
        t->why = err;
        return KN_OUTCOME_FAIL;
    }
    return retry(t, what);
}

/* Whether it is not the hub that answers, but a storage to which it has sent us. */
static bool is_elsewhere(const kn_transfer *t)
{
    return t->at && !kn_url_same_origin(t->at, t->url);
}

static kn_outcome decide_refused(kn_transfer *t)
{
    char what[512];
    bool has_token = t->config->token && *t->config->token;
    if (is_elsewhere(t)) /* a link to the storage has run out: the hub gives a new one */
        return retry(t, "refuses a link that the hub gave");
    if (strcasecmp(t->error_code, "GatedRepo") == 0)
        snprintf(what, sizeof what, "is gated: accept its terms on its page at the hub%s",
                 has_token
                     ? " with the account that the token is of"
                     : ", then give a token of that account (HF_TOKEN, or the setting huggingface_token)");
    else if (has_token)
        snprintf(what, sizeof what, "is refused (%ld): the token has no access to it, or is not valid%s%s",
                 t->status, *t->error_text ? "; the hub says: " : "", t->error_text);
    else
        snprintf(
            what, sizeof what,
            "is refused (%ld): it is private, gated, or does not exist; if it is there, give a token that "
            "has access (HF_TOKEN, or the setting huggingface_token)",
            t->status);
    return fail(t, KN_EINVAL, what);
}

static kn_outcome decide_redirect(kn_transfer *t)
{
    enum { MAX_HOPS = 8 };
    kn_err err = {0};
    char *to = NULL;
    if (!*t->location)
        return fail(t, KN_EFORMAT, "redirected without an address");
    if (t->n_hops >= MAX_HOPS)
        return fail(t, KN_ELIMIT, "redirected more than 8 times");
    bool https_only = kn_url_has_scheme(t->url, "https");
    if (kn_url_follow(t->at ? t->at : t->url, t->location, https_only, &to, &err))
        return fail(t, err.code, err.msg);
    free(t->at);
    t->at = to;
    t->n_hops++;
    return KN_OUTCOME_REDIRECT;
}

static void take_etag(kn_transfer *t)
{
    bool is_new = strcmp(t->etag, t->answer_etag) != 0;
    snprintf(t->etag, sizeof t->etag, "%s", t->answer_etag);
    if (is_new && t->sink.tag)
        t->sink.tag(t->sink.ud);
}

static kn_outcome decide_whole(kn_transfer *t)
{
    kn_err err = {0};
    char what[160];
    if (t->size != KN_SIZE_UNKNOWN && t->length != KN_SIZE_UNKNOWN && t->length != t->size) {
        snprintf(what, sizeof what, "the server announces %llu bytes, expected %llu",
                 (unsigned long long)t->length, (unsigned long long)t->size);
        return fail(t, KN_EFORMAT, what);
    }
    if (t->length != KN_SIZE_UNKNOWN && t->length > t->max_bytes) {
        snprintf(what, sizeof what, "the server announces %llu bytes, at most %llu are taken",
                 (unsigned long long)t->length, (unsigned long long)t->max_bytes);
        return fail(t, KN_ELIMIT, what);
    }
    if (t->have && t->sink.restart(t->sink.ud, &err)) {
        t->why = err;
        return KN_OUTCOME_FAIL;
    }
    t->have = 0;
    take_etag(t);
    return KN_OUTCOME_BODY;
}

static kn_outcome decide_part(kn_transfer *t)
{
    if (!t->have)
        return fail(t, KN_EFORMAT, "the server gives a part (206), expected the whole");
    if (!t->has_range || t->range_begin != t->have || t->range_total != t->size ||
        (t->length != KN_SIZE_UNKNOWN && t->length != t->size - t->have))
        return restart(t, "gives another part than was asked for");
    if (*t->etag && *t->answer_etag && strcmp(t->etag, t->answer_etag))
        return restart(t, "has another file now");
    take_etag(t);
    return KN_OUTCOME_BODY;
}

static kn_outcome decide(kn_transfer *t)
{
    char what[96];
    snprintf(what, sizeof what, "answers %ld", t->status);
    if ((t->status == 200 || t->status == 206) && t->is_encoded)
        return fail(t, KN_EFORMAT, "the server sends it compressed, which was not asked for");
    switch (t->status) {
    case 200:
        return decide_whole(t);
    case 206:
        return decide_part(t);
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return decide_redirect(t);
    case 401:
    case 403:
        return decide_refused(t);
    case 404:
    case 410:
        if (is_elsewhere(t))
            return retry(t, "does not have what the hub says it has");
        snprintf(what, sizeof what, "not found at the hub%s%s", *t->error_code ? ": " : "", t->error_code);
        return fail(t, KN_ENOTFOUND, what);
    case 416:
        return t->have ? restart(t, "does not have the rest (416)") : retry(t, what);
    case 408:
    case 425:
    case 429:
        return retry(t, what);
    default:
        return t->status >= 500 && t->status < 600 ? retry(t, what) : fail(t, KN_EFORMAT, what);
    }
}

static void decide_once(kn_transfer *t)
{
    if (t->status >= 200 && t->outcome == KN_OUTCOME_NONE)
        t->outcome = decide(t);
}

static void split_field(kn_transfer *t, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return;
    *colon = '\0';
    read_field(t, line, colon + 1 + strspn(colon + 1, " \t"));
}

bool kn_transfer_read_header(kn_transfer *t, const char *line, size_t size)
{
    char text[KN_NEXT_BYTES + 64];
    while (size && strchr("\r\n \t", line[size - 1]))
        size--;
    if (t->outcome != KN_OUTCOME_NONE) /* what follows the body is not read */
        return t->outcome == KN_OUTCOME_BODY;
    if (size >= sizeof text || memchr(line, '\0', size))
        return true;
    memcpy(text, line, size);
    text[size] = '\0';
    if (strncmp(text, "HTTP/", 5) == 0) {
        const char *space = strchr(text, ' ');
        forget_answer(t);
        t->status = space ? strtol(space, NULL, 10) : 0;
    } else if (!size) {
        decide_once(t);
    } else {
        split_field(t, text);
    }
    return t->outcome == KN_OUTCOME_NONE || t->outcome == KN_OUTCOME_BODY;
}
