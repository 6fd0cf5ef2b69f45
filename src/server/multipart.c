#define _GNU_SOURCE
#include "server/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/utf8_scan.h"

enum state { PREAMBLE, HEAD, BODY, EPILOGUE };

/* ---- header values ---- */

/* A parameter value at *s, quoted or a token, into buf; *s goes behind it. Clients write a quote inside as \" or %22. */
static bool read_value(const char **s, char *buf, size_t size)
{
    const char *p = *s;
    size_t n = 0;
    bool is_quoted = *p == '"';
    p += is_quoted;
    for (; *p && (is_quoted ? *p != '"' : !strchr("; \t\"", *p)); p++) {
        if (is_quoted && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (n + 1 >= size)
            return false;
        buf[n++] = *p;
    }
    if (is_quoted && *p++ != '"')
        return false;
    buf[n] = '\0';
    *s = p;
    return is_quoted || n;
}

/* The parameter `key` of "type; a=b; c=\"d\"". 1: found, 0: not there, -1: malformed, twice, or too long. */
static int find_param(const char *value, const char *key, char *buf, size_t size)
{
    char found[KN_LIMIT_PART_HEADER_BYTES];
    int n_found = 0;
    const char *s = value + strcspn(value, ";");
    while (*s == ';') {
        s += 1 + strspn(s + 1, " \t");
        if (!*s)
            break;
        size_t n = strcspn(s, "=; \t");
        const char *name = s;
        if (n == 0 || s[n] != '=')
            return -1;
        s += n + 1;
        if (!read_value(&s, found, sizeof found))
            return -1;
        s += strspn(s, " \t");
        if (*s && *s != ';')
            return -1;
        if (n != strlen(key) || strncasecmp(name, key, n) != 0)
            continue;
        if (n_found++ || strlen(found) >= size)
            return -1;
        memcpy(buf, found, strlen(found) + 1);
    }
    return n_found;
}

int kn_multipart_init(kn_multipart *m, const char *content_type, const kn_multipart_fns *fns, void *ud,
                      kn_err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'()+_,-./:=? ";
    char boundary[KN_MULTIPART_BOUNDARY_BYTES + 1];
    if (find_param(content_type, "boundary", boundary, sizeof boundary) != 1 || !*boundary ||
        boundary[strspn(boundary, letters)] || boundary[strlen(boundary) - 1] == ' ')
        return kn_fail(err, KN_EINVAL, "Content-Type: \"%.128s\", expected a boundary of 1 to %d characters",
                       content_type, KN_MULTIPART_BOUNDARY_BYTES);
    *m = (kn_multipart){.fns = fns, .ud = ud, .state = PREAMBLE};
    m->delimiter_size = (size_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", boundary);
    m->n_matched = 2; /* the first one needs no line before it */
    return 0;
}

/* ---- the head of a part ---- */

static int fail_head(kn_err *err, const char *what)
{
    return kn_fail(err, KN_EINVAL, "a part of the form has %s", what);
}

/* Cuts the line at s off; returns what follows it. NULL: it is not ended by CRLF, or has a character it must not have. */
static char *cut_line(char *s)
{
    char *end = strstr(s, "\r\n");
    if (!end)
        return NULL;
    *end = '\0';
    for (const char *p = s; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return NULL;
    return end + 2;
}

typedef struct head {
    const char *disposition, *type, *encoding;
} head;

static int read_line(char *line, head *h, kn_err *err)
{
    char *colon = strchr(line, ':');
    if (!colon || colon == line || colon != line + strcspn(line, ": \t"))
        return fail_head(err, "a header without a name, or one that is folded");
    char *value = colon + 1 + strspn(colon + 1, " \t");
    *colon = '\0';
    const char **slot = strcasecmp(line, "Content-Disposition") == 0         ? &h->disposition
                        : strcasecmp(line, "Content-Type") == 0              ? &h->type
                        : strcasecmp(line, "Content-Transfer-Encoding") == 0 ? &h->encoding
                                                                             : NULL;
    if (slot && *slot)
        return fail_head(err, "the same header twice");
    if (slot)
        *slot = value;
    return 0;
}

static bool is_plain_encoding(const char *s)
{
    return !s || strcasecmp(s, "binary") == 0 || strcasecmp(s, "8bit") == 0 || strcasecmp(s, "7bit") == 0;
}

static int begin_part(kn_multipart *m, kn_err *err)
{
    char name[KN_LIMIT_PART_HEADER_BYTES], filename[KN_LIMIT_PART_HEADER_BYTES];
    head h = {0};
    m->head[m->head_size] = '\0';
    if (strlen(m->head) != m->head_size || !kn_utf8_is_valid(m->head, m->head_size))
        return fail_head(err, "headers that are not UTF-8");
    for (char *line = m->head, *next; *line && strcmp(line, "\r\n") != 0; line = next) {
        if (!(next = cut_line(line)))
            return fail_head(err, "a header with a control character");
        int rc = read_line(line, &h, err);
        if (rc)
            return rc;
    }
    if (!h.disposition || strncasecmp(h.disposition, "form-data", 9) != 0 ||
        !strchr("; \t", h.disposition[9]) || find_param(h.disposition, "name", name, sizeof name) != 1)
        return fail_head(err, "no Content-Disposition: form-data; name=\"...\"");
    int has_file = find_param(h.disposition, "filename", filename, sizeof filename);
    if (has_file < 0)
        return fail_head(err, "a malformed filename");
    if (!is_plain_encoding(h.encoding))
        return fail_head(err, "a Content-Transfer-Encoding; expected none, or binary");
    if (m->n_parts++ == KN_LIMIT_FORM_PARTS)
        return kn_fail(err, KN_ELIMIT, "the form has more than %d parts", KN_LIMIT_FORM_PARTS);
    kn_multipart_part part = {name, has_file ? filename : NULL, h.type ? h.type : ""};
    return m->fns->begin(m->ud, &part, err);
}

/* ---- bytes ---- */

static int feed_head(kn_multipart *m, char c, kn_err *err)
{
    if (m->head_size == KN_LIMIT_PART_HEADER_BYTES)
        return kn_fail(err, KN_ELIMIT, "a part of the form has more than %u bytes of headers",
                       KN_LIMIT_PART_HEADER_BYTES);
    m->head[m->head_size++] = c;
    size_t n = m->head_size;
    bool is_end = (n == 2 && memcmp(m->head, "\r\n", 2) == 0) ||
                  (n >= 4 && memcmp(m->head + n - 4, "\r\n\r\n", 4) == 0);
    if (!is_end)
        return 0;
    m->state = BODY;
    m->n_matched = 0;
    return begin_part(m, err);
}

static int put_data(kn_multipart *m, const char *data, size_t size, kn_err *err)
{
    return m->state == BODY && size ? m->fns->data(m->ud, data, size, err) : 0;
}

/* What looked like a delimiter was data. */
static int put_matched(kn_multipart *m, kn_err *err)
{
    size_t n = m->n_matched;
    m->n_matched = 0;
    return put_data(m, m->delimiter, n, err);
}

static int end_delimiter(kn_multipart *m, bool is_last, kn_err *err)
{
    int rc = m->state == BODY ? m->fns->end(m->ud, err) : 0;
    m->state = is_last ? EPILOGUE : HEAD;
    m->n_matched = m->head_size = 0;
    m->after = '\0';
    return rc;
}

/* A byte of the preamble or a body. A carriage return is only the first of a delimiter's, so a mismatch begins anew. */
static int feed_body(kn_multipart *m, char c, kn_err *err)
{
    int rc = 0;
    if (m->n_matched == m->delimiter_size) {
        if (!m->after && (c == '\r' || c == '-')) {
            m->after = c;
            return 0;
        }
        if (m->after && c == (m->after == '\r' ? '\n' : '-'))
            return end_delimiter(m, m->after == '-', err);
        char after = m->after;
        m->after = '\0';
        rc = put_matched(m, err);
        if (!rc && after)
            rc = feed_body(m, after, err);
        return rc ? rc : feed_body(m, c, err);
    }
    if (c == m->delimiter[m->n_matched]) {
        m->n_matched++;
        return 0;
    }
    rc = put_matched(m, err);
    if (!rc && c == '\r')
        m->n_matched = 1;
    else if (!rc)
        rc = put_data(m, &c, 1, err);
    return rc;
}

int kn_multipart_feed(kn_multipart *m, const char *data, size_t size, kn_err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < size;) {
        if (m->state == EPILOGUE)
            return 0;
        if (m->state == HEAD) {
            rc = feed_head(m, data[i++], err);
            continue;
        }
        const char *cr = m->n_matched ? data + i : memchr(data + i, '\r', size - i);
        size_t n = cr ? (size_t)(cr - (data + i)) : size - i;
        rc = put_data(m, data + i, n, err);
        i += n;
        if (!rc && i < size)
            rc = feed_body(m, data[i++], err);
    }
    return rc;
}

int kn_multipart_finish(kn_multipart *m, kn_err *err)
{
    if (m->state != EPILOGUE)
        return kn_fail(err, KN_EINVAL,
                       "the form ends after %d parts without its last boundary; it was cut off", m->n_parts);
    return 0;
}
