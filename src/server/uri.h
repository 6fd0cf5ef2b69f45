/* What a URL says: percent-decoded text, the segments of a path, the parameters of a query.  Everything is checked: a bad
 * escape, a NUL, a control character that is not escaped and what is not UTF-8 are KN_EINVAL. */
#ifndef KN_SERVER_URI_H
#define KN_SERVER_URI_H

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"

/* plus_is_space: as in queries and forms. `what` begins messages. *ret is heap. */
int kn_uri_decode(const char *text, size_t size, bool plus_is_space, const char *what, char **ret,
                  kn_err *err);

/* "/a/b%20c" is "a", "b c"; "/" is "". A segment may hold a decoded '/'. */
typedef struct kn_uri_path {
    char *segments[KN_LIMIT_PATH_SEGMENTS];
    int n;
} kn_uri_path;

int kn_uri_path_parse(kn_uri_path *p, const char *text, size_t size, kn_err *err);
void kn_uri_path_done(kn_uri_path *p);

typedef struct kn_uri_query {
    struct {
        char *name, *value;
    } items[KN_LIMIT_QUERY_PARAMS];
    int n;
} kn_uri_query;

/* "a=1&b=x+y"; a name that comes twice is an error. Also what a form sends as application/x-www-form-urlencoded. */
int kn_uri_query_parse(kn_uri_query *q, const char *text, size_t size, const char *what, kn_err *err);
void kn_uri_query_done(kn_uri_query *q);
const char *kn_uri_query_get(const kn_uri_query *q, const char *name); /* NULL: absent */

#endif
