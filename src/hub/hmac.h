/* Signatures with a secret that both sides know. */
#ifndef KN_HUB_HMAC_H
#define KN_HUB_HMAC_H

#include <stddef.h>

#include "base/err.h"

enum { KN_HMAC_BYTES = 32 };

/* HMAC-SHA256 (RFC 2104). */
int kn_hmac(const void *key, size_t key_size, const void *data, size_t size, unsigned char ret[KN_HMAC_BYTES],
            kn_err *err);

#endif
