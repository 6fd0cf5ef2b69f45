#include "server/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef enum part_kind { PART_REST, PART_NAME, PART_WORD } part_kind; /* ascending: what is more exact */

typedef struct part {
    part_kind kind;
    const char *text; /* a word, or the name in braces */
    size_t size;
} part;

/* The part of a pattern at *s, which goes behind the next '/'; false at the end. */
static bool next_part(const char **s, part *ret)
{
    if (!*s)
        return false;
    size_t n = strcspn(*s, "/");
    *ret = (part){PART_WORD, *s, n};
    if (n > 2 && **s == '{' && (*s)[n - 1] == '}') {
        bool is_rest = (*s)[n - 2] == '*';
        *ret = (part){is_rest ? PART_REST : PART_NAME, *s + 1, n - 2 - is_rest};
    }
    *s = (*s)[n] ? *s + n + 1 : NULL;
    return true;
}

static bool is_dots(const char *s)
{
    return strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
}

static bool fits_segment(const part *p, const char *segment)
{
    if (p->kind == PART_WORD)
        return strlen(segment) == p->size && memcmp(segment, p->text, p->size) == 0;
    return *segment && !strchr(segment, '/') && !is_dots(segment);
}

/* Whether the pattern fits; how exact each of its parts is goes into `score`, for strcmp. */
static bool fits(const char *pattern, const kn_uri_path *path, char score[KN_LIMIT_PATH_SEGMENTS + 1])
{
    const char *s = pattern + 1;
    part p;
    int i = 0;
    for (; next_part(&s, &p); i++) {
        if (i == path->n)
            return false;
        score[i] = (char)('0' + p.kind);
        score[i + 1] = '\0';
        if (p.kind == PART_REST)
            return true;
        if (!fits_segment(&p, path->segments[i]))
            return false;
    }
    return i == path->n;
}

static void add_allowed(char *allow, size_t size, const char *method)
{
    size_t n = strlen(allow), m = strlen(method);
    for (const char *s = allow; (s = strstr(s, method)); s += m)
        if ((s == allow || s[-1] == ' ') && (s[m] == ',' || !s[m]))
            return;
    snprintf(allow + n, size - n, "%s%s", n ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_allowed(allow, size, "HEAD");
}

/* The segments from i on, joined again. */
static int join_rest(const kn_uri_path *path, int i, char **ret, kn_err *err)
{
    kn_buf b;
    kn_buf_init(&b, KN_LIMIT_URL_BYTES);
    for (int k = i; k < path->n; k++)
        kn_buf_printf(&b, "%s%s", k > i ? "/" : "", path->segments[k]);
    char *rest = kn_buf_take(&b);
    if (!rest)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    for (const char *s = rest; s;) {
        size_t n = strcspn(s, "/");
        if (n == 0 || (n <= 2 && strspn(s, ".") >= n)) {
            int rc =
                kn_fail(err, KN_EINVAL, "the path ends with \"%.128s\", expected names without \"..\"", rest);
            free(rest);
            return rc;
        }
        s = s[n] ? s + n + 1 : NULL;
    }
    *ret = rest;
    return 0;
}

static int take_params(kn_route_match *m, const kn_uri_path *path, kn_err *err)
{
    const char *s = m->route->pattern + 1;
    part p;
    int rc = 0;
    for (int i = 0; !rc && next_part(&s, &p); i++) {
        char *value = NULL;
        if (p.kind == PART_WORD)
            continue;
        KN_ASSERT(m->n_params < KN_ROUTE_PARAMS);
        if (p.kind == PART_REST)
            rc = join_rest(path, i, &value, err);
        else if (!(value = kn_strdup(path->segments[i])))
            rc = kn_fail(err, KN_ENOMEM, "no memory for a path");
        if (rc)
            return rc;
        m->params[m->n_params].name = p.text;
        m->params[m->n_params].name_size = p.size;
        m->params[m->n_params++].value = value;
    }
    return rc;
}

int kn_route_find(const kn_route_table *tables, int n_tables, const char *method, const kn_uri_path *path,
                  kn_route_match *ret, kn_err *err)
{
    char best[KN_LIMIT_PATH_SEGMENTS + 1] = "", score[KN_LIMIT_PATH_SEGMENTS + 1];
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    kn_route_match m = {0};
    for (int t = 0; t < n_tables; t++)
        for (const kn_route *r = tables[t].routes; r->pattern; r++) {
            if (!fits(r->pattern, path, score))
                continue;
            add_allowed(m.allow, sizeof m.allow, r->method);
            if (strcmp(r->method, wanted) != 0 || strcmp(score, best) <= 0)
                continue;
            m.route = r;
            m.ud = tables[t].ud;
            snprintf(best, sizeof best, "%s", score);
        }
    int rc = m.route ? take_params(&m, path, err) : 0;
    if (rc)
        kn_route_match_done(&m);
    else
        *ret = m;
    return rc;
}

void kn_route_match_done(kn_route_match *m)
{
    for (int i = 0; i < m->n_params; i++)
        free(m->params[i].value);
    *m = (kn_route_match){0};
}
