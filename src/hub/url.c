#include "hub/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/libs.h"

void kn_url_escape(kn_buf *b, const char *text, const char *keep)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text) || strchr(keep, *text))
            kn_buf_append(b, text, 1);
        else
            kn_buf_printf(b, "%%%02X", (unsigned char)*text);
    }
}

/* NULL: no address, no memory, or no libcurl. */
static CURLU *parse(const char *url)
{
    CURLU *u = kn_hub_libs_load(NULL) ? NULL : curl_url();
    if (u && curl_url_set(u, CURLUPART_URL, url, 0)) {
        curl_url_cleanup(u);
        u = NULL;
    }
    return u;
}

/* Both may be NULL. */
static void drop(CURLU *u, char *part)
{
    if (part)
        curl_free(part);
    if (u)
        curl_url_cleanup(u);
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = NULL, *y = NULL;
    bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && curl_strequal(x, y);
    curl_free(x);
    curl_free(y);
    return same;
}

bool kn_url_same_origin(const char *a, const char *b)
{
    CURLU *x = parse(a), *y = parse(b);
    bool same = x && y && same_part(x, y, CURLUPART_SCHEME) && same_part(x, y, CURLUPART_HOST) &&
                same_part(x, y, CURLUPART_PORT);
    drop(x, NULL);
    drop(y, NULL);
    return same;
}

bool kn_url_has_scheme(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);
    return strncasecmp(url, scheme, n) == 0 && strncmp(url + n, "://", 3) == 0;
}

static bool has_user(CURLU *u)
{
    char *user = NULL;
    bool has = curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK;
    curl_free(user);
    return has;
}

static int check_redirect(CURLU *u, bool https_only, char **ret_url, kn_err *err)
{
    char *url = NULL;
    if (curl_url_get(u, CURLUPART_URL, &url, 0))
        return kn_fail(err, KN_EFORMAT, "redirected to no address");
    int rc = 0;
    bool is_http = kn_url_has_scheme(url, "https") || (!https_only && kn_url_has_scheme(url, "http"));
    if (!is_http)
        rc = kn_fail(err, KN_EFORMAT, "redirected to \"%.32s...\", expected %s", url,
                     https_only ? "https" : "http or https");
    else if (has_user(u))
        rc = kn_fail(err, KN_EFORMAT, "redirected to an address with a user's name in it");
    else if (!(*ret_url = kn_strdup(url)))
        rc = kn_fail(err, KN_ENOMEM, "no memory for an address");
    curl_free(url);
    return rc;
}

int kn_url_follow(const char *base, const char *location, bool https_only, char **ret, kn_err *err)
{
    CURLU *u = parse(base);
    int rc = u && curl_url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK
                 ? check_redirect(u, https_only, ret, err)
                 : kn_fail(err, KN_EFORMAT, "redirected to \"%.32s\", expected an address of http or https",
                           location);
    drop(u, NULL);
    return rc;
}

void kn_url_host(const char *url, char *buf, size_t size)
{
    char *host = NULL;
    CURLU *u = parse(url);
    bool has = u && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    snprintf(buf, size, "%s", has ? host : "?");
    drop(u, host);
}

char *kn_url_query(const char *url, const char *name)
{
    char *query = NULL, *value = NULL;
    size_t n = strlen(name);
    CURLU *u = parse(url);
    if (u && curl_url_get(u, CURLUPART_QUERY, &query, 0) == CURLUE_OK)
        for (const char *p = query; p && !value; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL)
            if (strncmp(p, name, n) == 0 && p[n] == '=') {
                int size = 0;
                char *text = curl_easy_unescape(NULL, p + n + 1, (int)strcspn(p + n + 1, "&"), &size);
                value = text ? kn_strndup(text, (size_t)size) : NULL;
                curl_free(text);
            }
    drop(u, query);
    return value;
}
