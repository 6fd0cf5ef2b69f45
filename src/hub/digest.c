#include "hub/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hub/libs.h"

struct kn_digest {
    kn_digest_kind kind;
    uint64_t size;
    EVP_MD_CTX *ctx; /* NULL of KN_DIGEST_NONE */
};

bool kn_digest_is_valid(kn_digest_kind kind, const char *hex)
{
    size_t n = kind == KN_DIGEST_SHA256 ? 64 : kind == KN_DIGEST_GIT_SHA1 ? 40 : 0;
    return hex && strlen(hex) == n && strspn(hex, "0123456789abcdef") == n;
}

int kn_digest_restart(kn_digest *d, kn_err *err)
{
    char head[40];
    if (d->kind == KN_DIGEST_NONE)
        return 0;
    if (EVP_DigestInit_ex(d->ctx, d->kind == KN_DIGEST_SHA256 ? EVP_sha256() : EVP_sha1(), NULL) != 1)
        return kn_fail(err, KN_EINTERNAL, "OpenSSL gives no digest");
    if (d->kind == KN_DIGEST_SHA256)
        return 0;
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)d->size);
    return kn_digest_add(d, head, (size_t)n + 1, err);
}

int kn_digest_new(kn_digest_kind kind, uint64_t size, kn_digest **ret, kn_err *err)
{
    int rc = kind == KN_DIGEST_NONE ? 0 : kn_hub_libs_load(err);
    if (rc)
        return rc;
    kn_digest *d = kn_calloc(1, sizeof *d);
    if (d)
        *d = (kn_digest){kind, size, kind == KN_DIGEST_NONE ? NULL : EVP_MD_CTX_new()};
    if (!d || (kind != KN_DIGEST_NONE && !d->ctx)) {
        kn_digest_free(d);
        return kn_fail(err, KN_ENOMEM, "no memory for a digest");
    }
    rc = kn_digest_restart(d, err);
    if (rc)
        kn_digest_free(d);
    else
        *ret = d;
    return rc;
}

void kn_digest_free(kn_digest *d)
{
    if (!d)
        return;
    if (d->ctx) /* else the library may not be there either */
        EVP_MD_CTX_free(d->ctx);
    free(d);
}

int kn_digest_add(kn_digest *d, const void *data, size_t size, kn_err *err)
{
    if (d->kind != KN_DIGEST_NONE && EVP_DigestUpdate(d->ctx, data, size) != 1)
        return kn_fail(err, KN_EINTERNAL, "OpenSSL refuses to go on with a digest");
    return 0;
}

int kn_digest_hex(kn_digest *d, char ret[KN_DIGEST_HEX], kn_err *err)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (d->kind != KN_DIGEST_NONE && (EVP_DigestFinal_ex(d->ctx, bytes, &n) != 1 || 2 * n >= KN_DIGEST_HEX))
        return kn_fail(err, KN_EINTERNAL, "OpenSSL does not finish a digest");
    for (unsigned i = 0; i < n; i++)
        snprintf(ret + (size_t)2 * i, 3, "%02x", bytes[i]);
    ret[(size_t)2 * n] = '\0';
    return 0;
}
