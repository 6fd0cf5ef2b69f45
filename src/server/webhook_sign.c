#include "server/webhook_sign.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/mem.h"
#include "hub/hmac.h"

enum { MADE = 24, LEAST = 24, MOST = 64 };

static const char prefix[] = "whsec_";

int kn_webhook_make_secret(char ret[KN_WEBHOOK_SECRET_BYTES], kn_err *err)
{
    unsigned char random[MADE];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return kn_fail(err, KN_EIO, "the system gave no random numbers for a secret");
    char *text = kn_base64_encode(random, sizeof random);
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for a secret");
    snprintf(ret, KN_WEBHOOK_SECRET_BYTES, "%s%s", prefix, text);
    free(text);
    return 0;
}

/* *ret is heap. */
static int read_key(const char *secret, unsigned char **ret, size_t *ret_size, kn_err *err)
{
    size_t n = sizeof prefix - 1;
    bool ok = strlen(secret) < KN_WEBHOOK_SECRET_BYTES && !strncmp(secret, prefix, n) &&
              !kn_base64_decode(secret + n, strlen(secret + n), ret, ret_size, NULL);
    if (ok && *ret_size >= LEAST && *ret_size <= MOST)
        return 0;
    if (ok)
        free(*ret);
    return kn_fail(err, KN_EINVAL,
                   "secret: expected \"%s\" and %d to %d bytes in base64; leave it out, and one is made",
                   prefix, LEAST, MOST);
}

int kn_webhook_check_secret(const char *secret, kn_err *err)
{
    unsigned char *key = NULL;
    size_t size;
    int rc = read_key(secret, &key, &size, err);
    if (!rc)
        free(key);
    return rc;
}

int kn_webhook_sign(const char *secret, const char *id, int64_t time_s, const char *body, size_t size,
                    char ret[KN_WEBHOOK_SIGNATURE_BYTES], kn_err *err)
{
    unsigned char *key = NULL, digest[KN_HMAC_BYTES];
    size_t key_size;
    kn_buf signed_text;
    int rc = read_key(secret, &key, &key_size, err);
    if (rc)
        return rc;
    kn_buf_init(&signed_text, size + 128);
    kn_buf_printf(&signed_text, "%s.%lld.", id, (long long)time_s);
    kn_buf_append(&signed_text, body, size);
    if (signed_text.failed)
        rc = kn_fail(err, KN_ENOMEM, "no memory to sign a delivery");
    if (!rc)
        rc = kn_hmac(key, key_size, signed_text.data, signed_text.size, digest, err);
    char *text = rc ? NULL : kn_base64_encode(digest, sizeof digest);
    if (text)
        snprintf(ret, KN_WEBHOOK_SIGNATURE_BYTES, "v1,%s", text);
    else if (!rc)
        rc = kn_fail(err, KN_ENOMEM, "no memory to sign a delivery");
    free(text);
    free(key);
    kn_buf_done(&signed_text);
    return rc;
}
