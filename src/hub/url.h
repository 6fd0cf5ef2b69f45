/* Addresses: put together from what was checked, compared by whom they lead to. */
#ifndef KN_HUB_URL_H
#define KN_HUB_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

/* Appends text with everything escaped that is no letter, digit or one of "-._~", and of `keep`. */
void kn_url_escape(kn_buf *b, const char *text, const char *keep);

/* Same scheme, host and port. False if either is no address. */
bool kn_url_same_origin(const char *a, const char *b);
bool kn_url_has_scheme(const char *url, const char *scheme);
/* Where `location` leads from `base`; *ret is heap. KN_EFORMAT: not to http or https (with https_only: not to https), or with a
 * user's name in it. */
int kn_url_follow(const char *base, const char *location, bool https_only, char **ret, kn_err *err);
/* The host, for messages; "?" if there is none. */
void kn_url_host(const char *url, char *buf, size_t size);
/* The value of a query parameter, decoded, heap; NULL: it is not there. */
char *kn_url_query(const char *url, const char *name);

#endif
