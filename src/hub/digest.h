/* Digests by which a repository names the content of its files. */
#ifndef KN_HUB_DIGEST_H
#define KN_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum kn_digest_kind {
    KN_DIGEST_NONE,
    KN_DIGEST_SHA256,   /* large files */
    KN_DIGEST_GIT_SHA1, /* small ones: of "blob SIZE", a zero byte, and the content */
} kn_digest_kind;

enum { KN_DIGEST_HEX = 65 };

/* Whether text is a digest of this kind: 64 or 40 hexadecimal digits, in small letters. */
bool kn_digest_is_valid(kn_digest_kind kind, const char *hex);

typedef struct kn_digest kn_digest;

/* Of a file that will have `size` bytes. */
int kn_digest_new(kn_digest_kind kind, uint64_t size, kn_digest **ret, kn_err *err);
void kn_digest_free(kn_digest *d); /* accepts NULL */
int kn_digest_restart(kn_digest *d, kn_err *err);
int kn_digest_add(kn_digest *d, const void *data, size_t size, kn_err *err);
/* "" of KN_DIGEST_NONE. The digest is used up: restart it or free it. */
int kn_digest_hex(kn_digest *d, char ret[KN_DIGEST_HEX], kn_err *err);

#endif
