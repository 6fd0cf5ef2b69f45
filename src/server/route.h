/* Which row of the routes' tables a request means. */
#ifndef KN_SERVER_ROUTE_H
#define KN_SERVER_ROUTE_H

#include "server/http.h"
#include "server/uri.h"

enum { KN_ROUTE_PARAMS = 4 }; /* {names} in one pattern; more are a mistake in a table */

typedef struct kn_route_match {
    const kn_route *route; /* NULL: none for this path and method */
    void *ud;
    int n_params;
    struct {
        const char *name; /* in the pattern, not terminated */
        size_t name_size;
        char *value; /* heap */
    } params[KN_ROUTE_PARAMS];
    char allow[64]; /* the methods of every pattern that fits the path, "" if none does: "GET, HEAD, POST" */
} kn_route_match;

/* KN_EINVAL: a {name*} would hold an empty segment, "." or "..". */
int kn_route_find(const kn_route_table *tables, int n_tables, const char *method, const kn_uri_path *path,
                  kn_route_match *ret, kn_err *err);
void kn_route_match_done(kn_route_match *m);

#endif
