#define _GNU_SOURCE
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "hub/libs.h"
#include "hub/url.h"
#include "server/address.h"
#include "server/studio.h"

struct kn_client {
    char *url, *token;
    kn_studio *own; /* NULL: a server runs */
    CURL *easy;
};

/* ---- which server ---- */

int kn_cli_token(const char *file, char **ret, kn_err *err)
{
    const char *env = getenv("KINORA_TOKEN");
    char *text = NULL;
    size_t size;
    if (!file) {
        *ret = kn_strdup(env);
        return env && !*ret ? kn_fail(err, KN_ENOMEM, "no memory for a token") : 0;
    }
    int rc = kn_file_read(file, KN_LIMIT_TOKEN_BYTES, &text, &size, err);
    if (rc)
        return rc;
    text[strcspn(text, "\r\n")] = '\0';
    *ret = text;
    return 0;
}

static int check_token(const char *token, kn_err *err)
{
    for (const char *p = token ? token : ""; *p; p++)
        if (*p <= ' ' || *p > '~')
            return kn_fail(
                err, KN_EINVAL,
                "the token has a character that no header takes; expected letters, digits and signs");
    return 0;
}

static int use_url(kn_client *c, const char *url, kn_err *err)
{
    char host[256];
    kn_url_host(url, host, sizeof host);
    if ((!kn_url_has_scheme(url, "http") && !kn_url_has_scheme(url, "https")) || strcmp(host, "?") == 0 ||
        strpbrk(url, "?#@ \\"))
        return kn_fail(err, KN_EINVAL, "--server: \"%.100s\", expected an address like http://127.0.0.1:8188",
                       url);
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    c->url = kn_strndup(url, n);
    return c->url ? 0 : kn_fail(err, KN_ENOMEM, "no memory for an address");
}

static int make_token(kn_client *c, kn_err *err)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return kn_fail(err, KN_EIO, "the system gave no random token");
    free(c->token);
    c->token = kn_calloc(1, 2 * sizeof random + 1);
    for (size_t i = 0; c->token && i < sizeof random; i++)
        snprintf(c->token + 2 * i, 3, "%02x", random[i]);
    return c->token ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a token");
}

static int use_own(kn_client *c, const char *data, kn_err *err)
{
    char *given = c->token;
    c->token = NULL;
    int rc = make_token(c, err);
    if (!rc)
        rc = kn_studio_open(
            &(kn_studio_opts){.data_dir = data, .token = c->token, .program = "kinora", .is_idle = true},
            &c->own, err);
    if (rc) {
        free(c->token);
        c->token = given;
        return rc;
    }
    free(given);
    c->url = kn_asprintf("http://127.0.0.1:%d", kn_studio_port(c->own));
    return c->url ? 0 : kn_fail(err, KN_ENOMEM, "no memory for an address");
}

/* How long a server may take to say where it is. */
enum { TRIES = 200, PAUSE_MS = 50 };

static int fail_unknown(const char *data, kn_err *err)
{
    return kn_fail(err, KN_EBUSY, "whoever uses %s does not say where it listens; say --server URL", data);
}

/* Who has the folder's lock is a server that says where it is, one that is about to, or a command that is soon done. */
static int use_folder(kn_client *c, const char *data, kn_err *err)
{
    int rc = KN_EBUSY;
    for (int i = 0; rc == KN_EBUSY && i < TRIES; i++) {
        if (i)
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
        rc = use_own(c, data, err);
        if (rc == KN_EBUSY && kn_address_read(data, &c->url, NULL) == 0)
            return 0;
    }
    return rc == KN_EBUSY ? fail_unknown(data, err) : rc;
}

/* *ret_is_served is set where whoever has the folder says where it is. A command that has it is soon done. */
static int find_served(kn_client *c, const char *data, bool *ret_is_served, kn_err *err)
{
    for (int i = 0; kn_studio_is_open(data); i++) {
        if (kn_address_read(data, &c->url, NULL) == 0) {
            *ret_is_served = true;
            return 0;
        }
        if (i == TRIES)
            return fail_unknown(data, err);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    return 0;
}

/* *ret_is_there is set where a server runs that is wanted only if it does. */
static int find_server(kn_client *c, const kn_client_opts *o, bool *ret_is_there, kn_err *err)
{
    const char *env = getenv("KINORA_SERVER");
    const char *url = o->server ? o->server : !o->data_dir && env && *env ? env : NULL;
    if (o->server && o->data_dir)
        return kn_fail(err, KN_EINVAL, "--server and --data-dir exclude each other");
    if (url) {
        *ret_is_there = true;
        return use_url(c, url, err);
    }
    char *data = o->data_dir ? kn_strdup(o->data_dir) : kn_dir_data();
    int rc = 0;
    if (o->only_served)
        rc = data ? find_served(c, data, ret_is_there, err) : 0;
    else if (!data)
        rc = kn_fail(err, KN_EINVAL, "no home folder for the data; say --data-dir DIR or --server URL");
    else if (!o->may_create && !kn_path_is_dir(data))
        rc = kn_fail(err, KN_ENOTFOUND,
                     "there is no data folder %s; start kinora serve, or say --data-dir DIR or --server URL",
                     data);
    if (!rc && !o->only_served)
        rc = use_folder(c, data, err);
    free(data);
    return rc;
}

int kn_client_open(const kn_client_opts *opts, kn_client **ret, kn_err *err)
{
    kn_client *c = kn_calloc(1, sizeof *c);
    bool is_there = !opts->only_served;
    if (!c)
        return kn_fail(err, KN_ENOMEM, "no memory for a client");
    int rc = kn_cli_token(opts->token_file, &c->token, err);
    if (!rc)
        rc = check_token(c->token, err);
    if (!rc)
        rc = find_server(c, opts, &is_there, err);
    if (!rc && is_there)
        rc = kn_hub_libs_load(err);
    if (!rc && is_there && !(c->easy = curl_easy_init()))
        rc = kn_fail(err, KN_ENOMEM, "no memory for libcurl");
    if (rc || !is_there)
        kn_client_close(c);
    if (!rc)
        *ret = is_there ? c : NULL;
    return rc;
}

void kn_client_close(kn_client *c)
{
    if (!c)
        return;
    if (c->easy) /* else the library may not be there either */
        curl_easy_cleanup(c->easy);
    kn_studio_close(c->own);
    free(c->url);
    free(c->token);
    free(c);
}

bool kn_client_is_alone(const kn_client *c)
{
    return c->own != NULL;
}

/* ---- one request ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ud)
{
    kn_buf *b = ud;
    kn_buf_append(b, data, size * n);
    return b->failed ? CURL_WRITEFUNC_ERROR : size * n;
}

static struct curl_slist *make_headers(const kn_client *c, const char *type)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *more = list;
    char *lines[] = {c->token ? kn_asprintf("Authorization: Bearer %s", c->token) : NULL,
                     type ? kn_asprintf("Content-Type: %s", type) : NULL};
    bool failed = !list || (c->token && !lines[0]) || (type && !lines[1]);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!failed && lines[i] && !(more = curl_slist_append(list, lines[i])))
            failed = true;
        free(lines[i]);
    }
    if (!failed)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

/* Proxies are for the world outside: the token must not go to one. */
static bool set_up(kn_client *c, const char *method, const char *url, struct curl_slist *headers, kn_buf *in)
{
    enum { CONNECT_S = 15, SILENCE_S = 300 };
    CURL *e = c->easy;
    curl_easy_reset(e); /* connections stay */
    return !curl_easy_setopt(e, CURLOPT_URL, url) &&
           !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L) && /* ".." in a name is a name's */
           !curl_easy_setopt(e, CURLOPT_PROXY, "") && !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) &&
           !curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) &&
           !curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L) &&
           !curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S) &&
           !curl_easy_setopt(e, CURLOPT_USERAGENT, "kinora/" KN_VERSION) &&
           !curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) &&
           !curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(e, CURLOPT_WRITEDATA, in);
}

static int fail_status(const kn_client *c, long status, const json_t *answer, kn_err *err)
{
    const json_t *e = json_object_get(answer, "error");
    const char *code = json_string_value(json_object_get(e, "code"));
    const char *message = json_string_value(json_object_get(e, "message"));
    if (!message)
        return kn_fail(err, KN_EIO, "%s answered with status %ld; expected a Kinora server there", c->url,
                       status);
    return kn_fail(err, kn_err_code(code ? code : ""), "%s%s", message,
                   status == 401 ? " (KINORA_TOKEN, or --token-file FILE)" : "");
}

static int read_answer(kn_client *c, CURLcode code, const kn_buf *in, json_t **ret, kn_err *err)
{
    long status = 0;
    json_t *answer = NULL;
    if (in->failed)
        return kn_fail(err, KN_ELIMIT, "%s answered with more than %llu bytes", c->url,
                       (unsigned long long)KN_LIMIT_ANSWER_BYTES);
    if (code)
        return kn_fail(err, KN_EIO, "%s: %s", c->url, curl_easy_strerror(code));
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    int rc = kn_json_parse(in->data ? in->data : "", in->size, "the answer", &answer, err);
    if (status >= 300)
        rc = fail_status(c, status, answer, err);
    else if (rc)
        kn_err_prefix(err, "%s", c->url);
    if (!rc && ret)
        *ret = json_incref(answer);
    json_decref(answer);
    return rc;
}

/* What is sent: text, or a file. */
typedef struct payload {
    const char *type; /* NULL: nothing is sent */
    const char *text;
    FILE *file;
    int64_t size;
} payload;

static size_t on_read(char *data, size_t size, size_t n, void *ud)
{
    return fread(data, 1, size * n, ud);
}

static bool set_payload(kn_client *c, const payload *p)
{
    CURL *e = c->easy;
    if (!p->type)
        return true;
    return !curl_easy_setopt(e, CURLOPT_POST, 1L) &&
           !curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->size) &&
           (p->file ? !curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read) &&
                          !curl_easy_setopt(e, CURLOPT_READDATA, p->file)
                    : !curl_easy_setopt(e, CURLOPT_POSTFIELDS, p->text));
}

static int ask(kn_client *c, const char *method, const char *path, const payload *p, json_t **ret,
               kn_err *err)
{
    kn_buf in;
    int rc = 0;
    char *url = kn_asprintf("%s%s", c->url, path);
    struct curl_slist *headers = make_headers(c, p->type);
    kn_buf_init(&in, KN_LIMIT_ANSWER_BYTES);
    if (!url || !headers)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a request");
    else if (!set_up(c, method, url, headers, &in) || !set_payload(c, p))
        rc = kn_fail(err, KN_EINTERNAL, "libcurl %s refuses an option", curl_version());
    else
        rc = read_answer(c, curl_easy_perform(c->easy), &in, ret, err);
    kn_buf_done(&in);
    curl_slist_free_all(headers);
    free(url);
    return rc;
}

int kn_client_call(kn_client *c, const char *method, const char *path, const json_t *body, json_t **ret,
                   kn_err *err)
{
    bool is_bare = !body && (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0);
    char *text = is_bare ? NULL : body ? json_dumps(body, JSON_COMPACT) : kn_strdup("{}");
    payload p = {0};
    if (!is_bare && !text)
        return kn_fail(err, KN_ENOMEM, "no memory for a request");
    if (text)
        p = (payload){.type = "application/json", .text = text, .size = (int64_t)strlen(text)};
    int rc = ask(c, method, path, &p, ret, err);
    free(text);
    return rc;
}

int kn_client_upload(kn_client *c, const char *file, char **ret_id, kn_err *err)
{
    struct stat st;
    json_t *answer = NULL;
    payload p = {.type = "application/octet-stream", .file = fopen(file, "rbe")};
    int rc = 0;
    if (!p.file || fstat(fileno(p.file), &st))
        rc = kn_fail(err, KN_ENOTFOUND, "%s: cannot be read", file);
    else if (!S_ISREG(st.st_mode))
        rc = kn_fail(err, KN_EINVAL, "%s: expected a picture or a clip in one file", file);
    else if ((uint64_t)st.st_size > KN_LIMIT_UPLOAD_BYTES)
        rc = kn_fail(err, KN_ELIMIT, "%s: %lld bytes, at most %llu are taken", file, (long long)st.st_size,
                     (unsigned long long)KN_LIMIT_UPLOAD_BYTES);
    if (!rc) {
        p.size = st.st_size;
        rc = ask(c, "POST", "/api/v1/uploads", &p, &answer, err);
        if (rc)
            kn_err_prefix(err, "%s", file);
    }
    const char *id = json_string_value(json_object_get(answer, "id"));
    if (!rc && (!id || !(*ret_id = kn_strdup(id))))
        rc = kn_fail(err, KN_EIO, "%s: the server gave no id for it", file);
    json_decref(answer);
    if (p.file)
        fclose(p.file);
    return rc;
}
