#include "hub/hmac.h"

#include <string.h>

#include "hub/libs.h"

int kn_hmac(const void *key, size_t key_size, const void *data, size_t size, unsigned char ret[KN_HMAC_BYTES],
            kn_err *err)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t n = 0;
    int rc = kn_hub_libs_load(err);
    if (rc)
        return rc;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_size, data, size, out, sizeof out, &n) ||
        n != KN_HMAC_BYTES)
        return kn_fail(err, KN_EINTERNAL, "OpenSSL gives no signature");
    memcpy(ret, out, KN_HMAC_BYTES);
    return 0;
}
