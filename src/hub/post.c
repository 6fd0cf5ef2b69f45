#define _GNU_SOURCE
#include "hub/post.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "hub/ip.h"
#include "hub/url.h"

struct kn_posts {
    CURLM *multi;
    int timeout_ms;
};

static const char PRIVATE[] =
    "is an address of this machine or of a private network; the setting webhook_allow_private allows those";

/* ---- what curl calls ---- */

/* Here and not when the name is looked up, so that a name that means something else the next time does not help. */
static curl_socket_t on_open(void *ud, curlsocktype purpose, struct curl_sockaddr *a)
{
    kn_post *post = ud;
    (void)purpose;
    if (!post->allow_private && !kn_ip_is_public(&a->addr)) {
        post->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t on_body(char *data, size_t size, size_t n, void *ud)
{
    kn_post *post = ud;
    (void)data;
    post->n_read += size * n;
    return post->n_read > KN_LIMIT_WEBHOOK_ANSWER_BYTES ? CURL_WRITEFUNC_ERROR : size * n;
}

/* ---- a request ---- */

static int add_line(kn_post *post, const char *line, kn_err *err)
{
    struct curl_slist *more = curl_slist_append(post->lines, line);
    if (!more)
        return kn_fail(err, KN_ENOMEM, "no memory for a request");
    post->lines = more;
    return 0;
}

static bool set_up(const kn_posts *p, kn_post *post)
{
    CURL *e = post->easy;
    return !curl_easy_setopt(e, CURLOPT_URL, post->url) &&
           !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) &&
           /* a proxy would connect where nobody looks */
           !curl_easy_setopt(e, CURLOPT_PROXY, "") && !curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L) &&
           !curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) &&
           !curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open) &&
           !curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, post) && !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
           /* a name that cannot be looked up must not hold up the others when it is given up */
           !curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) &&
           !curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms) &&
           !curl_easy_setopt(e, CURLOPT_USERAGENT, "kinora/" KN_VERSION) &&
           !curl_easy_setopt(e, CURLOPT_POSTFIELDS, post->body) &&
           !curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->size) &&
           !curl_easy_setopt(e, CURLOPT_HTTPHEADER, post->lines) &&
           !curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(e, CURLOPT_WRITEDATA, post) && !curl_easy_setopt(e, CURLOPT_PRIVATE, post);
}

static void clean_up(kn_post *post)
{
    curl_easy_cleanup(post->easy);
    curl_slist_free_all(post->lines);
    post->easy = NULL;
    post->lines = NULL;
}

int kn_posts_begin(kn_posts *p, kn_post *post, kn_err *err)
{
    int rc = 0;
    post->status = 0;
    post->n_read = 0;
    post->is_refused = false;
    post->why = (kn_err){0};
    post->retry_after_s = 0;
    post->began_ns = kn_clock_ns();
    post->easy = curl_easy_init();
    if (!post->easy)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = add_line(post, "Expect:", err); /* it would wait for a word that most never say */
    for (const char *const *h = post->headers; !rc && h && *h; h++)
        rc = add_line(post, *h, err);
    if (!rc && !set_up(p, post))
        rc = kn_fail(err, KN_EINTERNAL, "libcurl %s refuses an option", curl_version());
    if (!rc && curl_multi_add_handle(p->multi, post->easy))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a request");
    if (rc)
        clean_up(post);
    return rc;
}

/* ---- its end ---- */

static void settle(kn_post *post, CURLcode code)
{
    long status = 0;
    curl_off_t wait_s = 0;
    curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &wait_s);
    post->took_ms = (kn_clock_ns() - post->began_ns) / 1000000;
    /* Whoever said how it went has it, whatever comes after. */
    post->status = status >= 200 && status <= 999 ? (int)status : 0;
    post->retry_after_s = wait_s > 0 ? wait_s : 0;
    if (post->status)
        return;
    if (post->is_refused)
        kn_fail(&post->why, KN_EINVAL, "it %s", PRIVATE);
    else
        kn_fail(&post->why, KN_EIO, "%s", code ? curl_easy_strerror(code) : "no answer");
}

static kn_post *one_that_is_over(kn_posts *p)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(p->multi, &left));) {
        kn_post *post = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &post) || !post)
            continue;
        settle(post, code);
        kn_posts_drop(p, post);
        return post;
    }
    return NULL;
}

int kn_posts_wait(kn_posts *p, int wait_ms, kn_post **ret, kn_err *err)
{
    int running = 0;
    for (int turn = 0; turn < 2; turn++) {
        if (curl_multi_perform(p->multi, &running))
            return kn_fail(err, KN_EINTERNAL, "libcurl cannot go on");
        *ret = one_that_is_over(p);
        if (*ret || turn)
            break;
        if (curl_multi_poll(p->multi, NULL, 0, wait_ms, NULL))
            return kn_fail(err, KN_EINTERNAL, "libcurl cannot wait");
    }
    return 0;
}

void kn_posts_wake(kn_posts *p)
{
    curl_multi_wakeup(p->multi);
}

void kn_posts_drop(kn_posts *p, kn_post *post)
{
    curl_multi_remove_handle(p->multi, post->easy);
    clean_up(post);
}

int kn_posts_new(int timeout_ms, kn_posts **ret, kn_err *err)
{
    int rc = kn_hub_libs_load(err);
    if (rc)
        return rc;
    kn_posts *p = kn_calloc(1, sizeof *p);
    if (p)
        *p = (kn_posts){curl_multi_init(), timeout_ms};
    if (!p || !p->multi) {
        free(p);
        return kn_fail(err, KN_ENOMEM, "no memory for requests");
    }
    *ret = p;
    return 0;
}

void kn_posts_free(kn_posts *p)
{
    if (!p)
        return;
    curl_multi_cleanup(p->multi);
    free(p);
}

/* ---- addresses ---- */

int kn_post_check_url(const char *url, bool allow_private, kn_err *err)
{
    struct sockaddr_storage a;
    char *seen = NULL, host[256];
    size_t n = strlen(url);
    if (n > KN_LIMIT_WEBHOOK_URL_BYTES)
        return kn_fail(err, KN_ELIMIT, "url: %zu bytes, at most %d are taken", n, KN_LIMIT_WEBHOOK_URL_BYTES);
    bool ok = kn_url_has_scheme(url, "https") || kn_url_has_scheme(url, "http");
    for (size_t i = 0; i < n; i++)
        ok &= url[i] > ' ' && url[i] < 0x7f;
    ok = ok && kn_url_follow(url, "", false, &seen, NULL) == 0;
    kn_url_host(ok ? seen : "", host, sizeof host);
    free(seen);
    if (!ok || !strcmp(host, "?"))
        return kn_fail(err, KN_EINVAL,
                       "url: expected an address of http or https, without a user's name, as "
                       "https://example.org/hook");
    if (!allow_private && kn_ip_parse(host, &a) && !kn_ip_is_public((struct sockaddr *)&a))
        return kn_fail(err, KN_EINVAL, "url: %.64s %s", host, PRIVATE);
    return 0;
}
