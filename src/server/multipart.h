/* multipart/form-data (RFC 7578), as it comes in: pieces of any size go in, parts come out.  Strict: what two readers could
 * understand differently is an error. */
#ifndef KN_SERVER_MULTIPART_H
#define KN_SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"

typedef struct kn_multipart_part {
    const char *name;
    const char *filename; /* NULL: a text field */
    const char *type;     /* "" if the client says none */
} kn_multipart_part;

/* Their errors end the parse. */
typedef struct kn_multipart_fns {
    int (*begin)(void *ud, const kn_multipart_part *part, kn_err *err);
    int (*data)(void *ud, const void *data, size_t size, kn_err *err);
    int (*end)(void *ud, kn_err *err);
} kn_multipart_fns;

enum { KN_MULTIPART_BOUNDARY_BYTES = 70 }; /* RFC 2046, 5.1.1 */

typedef struct kn_multipart {
    const kn_multipart_fns *fns;
    void *ud;
    char delimiter[4 + KN_MULTIPART_BOUNDARY_BYTES + 1]; /* "\r\n--" and the boundary */
    size_t delimiter_size, n_matched;                    /* bytes of it that were just seen */
    char after;                                          /* the first of the two bytes behind a delimiter */
    int state, n_parts;
    size_t head_size;
    char head[KN_LIMIT_PART_HEADER_BYTES + 1];
} kn_multipart;

/* content_type: "multipart/form-data; boundary=..."; KN_EINVAL without a good boundary. */
int kn_multipart_init(kn_multipart *m, const char *content_type, const kn_multipart_fns *fns, void *ud,
                      kn_err *err);
int kn_multipart_feed(kn_multipart *m, const char *data, size_t size, kn_err *err);
int kn_multipart_finish(kn_multipart *m, kn_err *err); /* KN_EINVAL: the end is missing */

#endif
