/* libcurl and libcrypto, loaded when they are first needed: they bring thirty libraries along, which would cost every start
 * of the program, of workers included, 20 ms.  A function of theirs that is used in this layer stands in one of the lists
 * below; the macros at the end lead its calls through the table.  What others may call first calls kn_hub_libs_load. */
#ifndef KN_HUB_LIBS_H
#define KN_HUB_LIBS_H

/* curl's own macros of these names check types, but call the functions by name. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <openssl/evp.h>

#include "base/err.h"

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#undef curl_share_setopt

#define KN_CURL(X)                                                                                           \
    X(curl_easy_cleanup)                                                                                     \
    X(curl_easy_getinfo)                                                                                     \
    X(curl_easy_init)                                                                                        \
    X(curl_easy_perform)                                                                                     \
    X(curl_easy_reset)                                                                                       \
    X(curl_easy_setopt)                                                                                      \
    X(curl_easy_strerror)                                                                                    \
    X(curl_easy_unescape)                                                                                    \
    X(curl_free)                                                                                             \
    X(curl_getdate)                                                                                          \
    X(curl_global_init)                                                                                      \
    X(curl_multi_add_handle)                                                                                 \
    X(curl_multi_cleanup)                                                                                    \
    X(curl_multi_info_read)                                                                                  \
    X(curl_multi_init)                                                                                       \
    X(curl_multi_perform)                                                                                    \
    X(curl_multi_poll)                                                                                       \
    X(curl_multi_remove_handle)                                                                              \
    X(curl_multi_wakeup)                                                                                     \
    X(curl_slist_append)                                                                                     \
    X(curl_slist_free_all)                                                                                   \
    X(curl_strequal)                                                                                         \
    X(curl_url)                                                                                              \
    X(curl_url_cleanup)                                                                                      \
    X(curl_url_get)                                                                                          \
    X(curl_url_set)                                                                                          \
    X(curl_version)

#define KN_CRYPTO(X)                                                                                         \
    X(EVP_DigestFinal_ex)                                                                                    \
    X(EVP_DigestInit_ex)                                                                                     \
    X(EVP_DigestUpdate)                                                                                      \
    X(EVP_MD_CTX_free)                                                                                       \
    X(EVP_MD_CTX_new)                                                                                        \
    X(EVP_Q_mac)                                                                                             \
    X(EVP_sha1)                                                                                              \
    X(EVP_sha256)

typedef struct kn_hub_libs {
#define X(f) __typeof__(&f) f;
    KN_CURL(X)
    KN_CRYPTO(X)
#undef X
} kn_hub_libs;

/* Written once, by the first kn_hub_libs_load; only read afterwards. */
extern kn_hub_libs kn_libs;

/* Loads and initialises the libraries once. KN_EUNSUPPORTED, naming what is missing.  Thread-safe. */
int kn_hub_libs_load(kn_err *err);

#ifndef KN_HUB_LIBS_DEFINITIONS
#define curl_easy_cleanup        kn_libs.curl_easy_cleanup
#define curl_easy_getinfo        kn_libs.curl_easy_getinfo
#define curl_easy_init           kn_libs.curl_easy_init
#define curl_easy_perform        kn_libs.curl_easy_perform
#define curl_easy_reset          kn_libs.curl_easy_reset
#define curl_easy_setopt         kn_libs.curl_easy_setopt
#define curl_easy_strerror       kn_libs.curl_easy_strerror
#define curl_easy_unescape       kn_libs.curl_easy_unescape
#define curl_free                kn_libs.curl_free
#define curl_getdate             kn_libs.curl_getdate
#define curl_global_init         kn_libs.curl_global_init
#define curl_multi_add_handle    kn_libs.curl_multi_add_handle
#define curl_multi_cleanup       kn_libs.curl_multi_cleanup
#define curl_multi_info_read     kn_libs.curl_multi_info_read
#define curl_multi_init          kn_libs.curl_multi_init
#define curl_multi_perform       kn_libs.curl_multi_perform
#define curl_multi_poll          kn_libs.curl_multi_poll
#define curl_multi_remove_handle kn_libs.curl_multi_remove_handle
#define curl_multi_wakeup        kn_libs.curl_multi_wakeup
#define curl_slist_append        kn_libs.curl_slist_append
#define curl_slist_free_all      kn_libs.curl_slist_free_all
#define curl_strequal            kn_libs.curl_strequal
#define curl_url                 kn_libs.curl_url
#define curl_url_cleanup         kn_libs.curl_url_cleanup
#define curl_url_get             kn_libs.curl_url_get
#define curl_url_set             kn_libs.curl_url_set
#define curl_version             kn_libs.curl_version
#define EVP_DigestFinal_ex       kn_libs.EVP_DigestFinal_ex
#define EVP_DigestInit_ex        kn_libs.EVP_DigestInit_ex
#define EVP_DigestUpdate         kn_libs.EVP_DigestUpdate
#define EVP_MD_CTX_free          kn_libs.EVP_MD_CTX_free
#define EVP_MD_CTX_new           kn_libs.EVP_MD_CTX_new
#define EVP_Q_mac                kn_libs.EVP_Q_mac
#define EVP_sha1                 kn_libs.EVP_sha1
#define EVP_sha256               kn_libs.EVP_sha256
#endif

#endif
