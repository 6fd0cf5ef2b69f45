/* Signatures of webhooks, as Standard Webhooks 1.0.0 has them (https://www.standardwebhooks.com). */
#ifndef KN_SERVER_WEBHOOK_SIGN_H
#define KN_SERVER_WEBHOOK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { KN_WEBHOOK_SECRET_BYTES = 128, KN_WEBHOOK_SIGNATURE_BYTES = 64 };

/* "whsec_..." of 24 bytes that nobody can guess. */
int kn_webhook_make_secret(char ret[KN_WEBHOOK_SECRET_BYTES], kn_err *err);
/* KN_EINVAL: expected "whsec_" and 24 to 64 bytes in base64. The message does not have it. */
int kn_webhook_check_secret(const char *secret, kn_err *err);
/* "v1,..." of "ID.TIME.BODY". */
int kn_webhook_sign(const char *secret, const char *id, int64_t time_s, const char *body, size_t size,
                    char ret[KN_WEBHOOK_SIGNATURE_BYTES], kn_err *err);

#endif
