#include "hub/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "hub/libs.h"
#include "hub/url.h"

static const char ID_CHARS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

const char *kn_hub_env_token(void)
{
    const char *token = getenv("HF_TOKEN");
    return token && *token ? token : NULL;
}

const char *kn_hub_phase_name(kn_hub_phase p)
{
    static const char *const names[] = {"asking", "checking", "fetching", "finishing"};
    return names[p];
}

/* ---- what comes from users ---- */

static bool is_id_part(const char *s, size_t n)
{
    enum { MOST = 96 };
    if (!n || n > MOST || strchr("-.", s[0]) || strchr("-.", s[n - 1]))
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if (strchr("-.", s[i]) && s[i + 1] == s[i])
            return false;
    return strspn(s, ID_CHARS) >= n;
}

int kn_hub_check_id(const char *id, kn_err *err)
{
    const char *slash = id ? strchr(id, '/') : NULL;
    if (slash && is_id_part(id, (size_t)(slash - id)) && is_id_part(slash + 1, strlen(slash + 1)))
        return 0;
    return kn_fail(err, KN_EINVAL, "\"%.100s\" is no model's name; expected OWNER/NAME, as on Hugging Face",
                   id ? id : "");
}

static int check_revision(const char *revision, kn_err *err)
{
    enum { MOST = 200 };
    bool ok = *revision && strlen(revision) <= MOST && !strstr(revision, "..");
    for (const char *p = revision; *p; p++)
        ok &= strchr(ID_CHARS, *p) || (*p == '/' && p != revision && p[1] != '\0');
    if (ok)
        return 0;
    return kn_fail(err, KN_EINVAL, "\"%.100s\" is no revision; expected a branch, a tag or a commit",
                   revision);
}

int kn_hub_check_endpoint(const char *url, kn_err *err)
{
    enum { MOST = 500 };
    int rc = kn_hub_libs_load(err);
    if (rc)
        return rc;
    char *seen = NULL, host[256];
    size_t n = strlen(url);
    bool ok = n <= MOST && (kn_url_has_scheme(url, "https") || kn_url_has_scheme(url, "http")) &&
              !strpbrk(url, "?#@ \\") && kn_url_follow(url, "", false, &seen, NULL) == 0;
    for (size_t i = 0; i < n; i++)
        ok &= url[i] > ' ' && url[i] < 0x7f;
    free(seen);
    kn_url_host(url, host, sizeof host);
    return ok && strcmp(host, "?")
               ? 0
               : kn_fail(err, KN_EINVAL, "\"%.100s\" is no address of a hub; expected one like %s", url,
                         KN_HUB_ENDPOINT);
}

/* ---- the client ---- */

static char *trimmed(const char *s, const char *at_end)
{
    size_t n = strlen(s);
    while (n && strchr(at_end, s[n - 1]))
        n--;
    return kn_strndup(s, n);
}

/* A token goes into a header line. */
static int check_token(const char *token, kn_err *err)
{
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p > '~')
            return kn_fail(err, KN_EINVAL,
                           "the token has a character that no token has; expected something like hf_...");
    return 0;
}

int kn_hub_client_init(kn_hub_client *h, const kn_hub_config *c, const atomic_bool *cancel, kn_err *err)
{
    const char *env = getenv("HF_ENDPOINT");
    const char *endpoint = c->endpoint && *c->endpoint ? c->endpoint : env && *env ? env : KN_HUB_ENDPOINT;
    *h = (kn_hub_client){.config = *c};
    h->endpoint = trimmed(endpoint, "/ \r\n");
    h->token = c->token ? trimmed(c->token, " \t\r\n") : NULL;
    if (!h->endpoint || (c->token && !h->token)) {
        kn_hub_client_done(h);
        return kn_fail(err, KN_ENOMEM, "no memory for an address");
    }
    int rc = kn_hub_check_endpoint(h->endpoint, err);
    if (!rc && h->token)
        rc = check_token(h->token, err);
    h->config.endpoint = h->endpoint;
    h->config.token = h->token && *h->token ? h->token : NULL;
    h->fetch = (kn_fetch_opts){.config = &h->config, .cancel = cancel, .n_parallel = 1};
    if (rc)
        kn_hub_client_done(h);
    return rc;
}

void kn_hub_client_done(kn_hub_client *h)
{
    free(h->endpoint);
    free(h->token);
    *h = (kn_hub_client){0};
}

/* ---- a repository ---- */

static char *repo_url(const kn_hub_client *h, const char *id, const char *revision)
{
    kn_buf b;
    kn_buf_init(&b, 4096);
    kn_buf_printf(&b, "%s/api/models/%s/revision/", h->endpoint, id);
    kn_url_escape(&b, revision, "");
    kn_buf_puts(&b, "?blobs=true");
    return kn_buf_take(&b);
}

int kn_hub_ask(const kn_hub_client *h, const char *id, const char *revision, json_t **ret_answer,
               kn_hub_repo *ret, kn_err *err)
{
    json_t *answer = NULL;
    char *url = NULL;
    int rc = kn_hub_check_id(id, err);
    if (!rc)
        rc = check_revision(revision ? revision : "main", err);
    if (!rc && !(url = repo_url(h, id, revision ? revision : "main")))
        rc = kn_fail(err, KN_ENOMEM, "no memory for an address");
    if (!rc)
        rc = kn_hub_get_json(&h->fetch, id, url, KN_LIMIT_HUB_ANSWER_BYTES, &answer, NULL, err);
    if (!rc)
        rc = kn_hub_repo_read(answer, id, ret, err);
    if (!rc && ret_answer)
        *ret_answer = json_incref(answer);
    json_decref(answer);
    free(url);
    return rc;
}

char *kn_hub_file_url(const kn_hub_client *h, const char *id, const char *commit, const char *path)
{
    kn_buf b;
    kn_buf_init(&b, 8192);
    kn_buf_printf(&b, "%s/%s/resolve/%s/", h->endpoint, id, commit);
    kn_url_escape(&b, path, "/");
    return kn_buf_take(&b);
}

int kn_hub_ask_index(const kn_hub_client *h, const char *id, const kn_hub_repo *r, json_t **ret, kn_err *err)
{
    static const char name[] = "model_index.json";
    *ret = NULL;
    if (!kn_hub_repo_find(r, name))
        return 0;
    char *url = kn_hub_file_url(h, id, r->commit, name);
    int rc = url ? kn_hub_get_json(&h->fetch, name, url, KN_LIMIT_HUB_INDEX_BYTES, ret, NULL, err)
                 : kn_fail(err, KN_ENOMEM, "no memory for an address");
    if (!rc && !json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        rc = kn_fail(err, KN_EFORMAT, "%s: model_index.json is no object", id);
    }
    free(url);
    return rc;
}
