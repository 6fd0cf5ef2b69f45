#include "server/uri.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/utf8_scan.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte at text[*i], decoded; *i goes to its last character. -1: a bad escape, or what must be escaped. */
static int decode_byte(const char *text, size_t size, size_t *i, bool plus_is_space)
{
    unsigned char c = (unsigned char)text[*i];
    if (c == '+' && plus_is_space)
        return ' ';
    if (c != '%')
        return c <= ' ' || c == 0x7f ? -1 : c;
    if (size - *i < 3 || hex(text[*i + 1]) < 0 || hex(text[*i + 2]) < 0)
        return -1;
    int value = hex(text[*i + 1]) << 4 | hex(text[*i + 2]);
    *i += 2;
    return value == 0 ? -1 : value;
}

int kn_uri_decode(const char *text, size_t size, bool plus_is_space, const char *what, char **ret,
                  kn_err *err)
{
    char *out = malloc(size + 1);
    size_t n = 0;
    if (!out)
        return kn_fail(err, KN_ENOMEM, "no memory for the %zu bytes of %s", size, what);
    for (size_t i = 0; i < size; i++) {
        int c = decode_byte(text, size, &i, plus_is_space);
        if (c < 0) {
            free(out);
            return kn_fail(err, KN_EINVAL,
                           "%s: \"%.*s\" at byte %zu, expected text whose special characters are "
                           "percent-encoded, without a NUL",
                           what, size - i < 16 ? (int)(size - i) : 16, text + i, i);
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    if (!kn_utf8_is_valid(out, n)) {
        free(out);
        return kn_fail(err, KN_EINVAL, "%s is not UTF-8 when it is decoded", what);
    }
    *ret = out;
    return 0;
}

int kn_uri_path_parse(kn_uri_path *p, const char *text, size_t size, kn_err *err)
{
    const char *end = text + size;
    kn_uri_path path = {.n = 0};
    int rc = 0;
    if (size == 0 || *text != '/')
        return kn_fail(err, KN_EINVAL, "the path is \"%.*s\", expected it to begin with /",
                       size < 64 ? (int)size : 64, text);
    for (const char *s = text + 1; !rc && s;) {
        const char *slash = memchr(s, '/', (size_t)(end - s));
        if (path.n == KN_LIMIT_PATH_SEGMENTS)
            rc = kn_fail(err, KN_EINVAL, "the path has more than %d segments", KN_LIMIT_PATH_SEGMENTS);
        else
            rc = kn_uri_decode(s, (size_t)((slash ? slash : end) - s), false, "the path",
                               &path.segments[path.n], err);
        path.n += !rc;
        s = slash ? slash + 1 : NULL;
    }
    if (rc)
        kn_uri_path_done(&path);
    else
        *p = path;
    return rc;
}

void kn_uri_path_done(kn_uri_path *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->segments[i]);
    p->n = 0;
}

/* One "name=value" of the query. */
static int parse_item(kn_uri_query *q, const char *text, size_t size, const char *what, kn_err *err)
{
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals ? (size_t)(equals - text) : size;
    char *name = NULL, *value = NULL;
    int rc = kn_uri_decode(text, name_size, true, what, &name, err);
    if (!rc && q->n == KN_LIMIT_QUERY_PARAMS)
        rc = kn_fail(err, KN_EINVAL, "%s has more than %d parameters", what, KN_LIMIT_QUERY_PARAMS);
    if (!rc && (!*name || kn_uri_query_get(q, name)))
        rc = kn_fail(err, KN_EINVAL, "%s: \"%.64s\" %s", what, name,
                     *name ? "is there twice, expected it once" : "is no name of a parameter");
    if (!rc)
        rc = equals ? kn_uri_decode(equals + 1, size - name_size - 1, true, what, &value, err)
                    : kn_uri_decode("", 0, true, what, &value, err);
    if (rc) {
        free(name);
        return rc;
    }
    q->items[q->n].name = name;
    q->items[q->n++].value = value;
    return 0;
}

int kn_uri_query_parse(kn_uri_query *q, const char *text, size_t size, const char *what, kn_err *err)
{
    int rc = 0;
    q->n = 0;
    while (!rc && size) {
        const char *amp = memchr(text, '&', size);
        size_t n = amp ? (size_t)(amp - text) : size;
        if (n)
            rc = parse_item(q, text, n, what, err);
        n += amp != NULL;
        text += n;
        size -= n;
    }
    if (rc)
        kn_uri_query_done(q);
    return rc;
}

void kn_uri_query_done(kn_uri_query *q)
{
    for (int i = 0; i < q->n; i++) {
        free(q->items[i].name);
        free(q->items[i].value);
    }
    q->n = 0;
}

const char *kn_uri_query_get(const kn_uri_query *q, const char *name)
{
    for (int i = 0; i < q->n; i++)
        if (strcmp(q->items[i].name, name) == 0)
            return q->items[i].value;
    return NULL;
}
