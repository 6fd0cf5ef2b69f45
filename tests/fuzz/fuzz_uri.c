/* A URL as it comes: its path finds a route or none, its query has parameters or is refused.  What comes out is UTF-8 without
 * a NUL, a {name} is one name, and a {name*} never leads out of a folder. */
#include <stdint.h>
#include <string.h>

#include "server/route.h"
#include "server/utf8_scan.h"

static int none(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq, (void)reply, (void)err;
    return 0;
}

static const kn_route routes[] = {
    {"GET", "/", 0, none, "", false},          {"GET", "/{file}", 0, none, "", false},
    {"GET", "/a/{id}", 0, none, "", false},    {"GET", "/a/{id}/v", 0, none, "", false},
    {"GET", "/t/{rest*}", 0, none, "", false}, {0},
};

static void check_text(const char *s)
{
    KN_ASSERT(kn_utf8_is_valid(s, strlen(s)));
}

static void check_rest(const char *s)
{
    while (s) {
        size_t n = strcspn(s, "/");
        KN_ASSERT(n > 0 && !(n == 1 && *s == '.') && !(n == 2 && s[0] == '.' && s[1] == '.'));
        s = s[n] ? s + n + 1 : NULL;
    }
}

static void find(const char *text, size_t size)
{
    const kn_route_table table = {routes, NULL};
    kn_uri_path path;
    kn_route_match m;
    kn_err err = {0};
    if (kn_uri_path_parse(&path, text, size, &err))
        return;
    for (int i = 0; i < path.n; i++)
        check_text(path.segments[i]);
    if (!kn_route_find(&table, 1, "GET", &path, &m, &err)) {
        KN_ASSERT((m.route != NULL) == (m.allow[0] != '\0'));
        for (int i = 0; i < m.n_params; i++) {
            check_rest(m.params[i].value);
            KN_ASSERT(m.route->pattern[1] == 't' || !strchr(m.params[i].value, '/'));
        }
        kn_route_match_done(&m);
    }
    kn_uri_path_done(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *mark = size ? memchr(text, '?', size) : NULL;
    size_t path_size = mark ? (size_t)(mark - text) : size;
    kn_uri_query q;
    kn_err err = {0};
    find(text, path_size);
    if (!mark || kn_uri_query_parse(&q, mark + 1, size - path_size - 1, "the query", &err))
        return 0;
    for (int i = 0; i < q.n; i++) {
        check_text(q.items[i].name);
        check_text(q.items[i].value);
        KN_ASSERT(kn_uri_query_get(&q, q.items[i].name) == q.items[i].value);
    }
    kn_uri_query_done(&q);
    return 0;
}
