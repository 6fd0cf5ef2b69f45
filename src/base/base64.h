#ifndef KN_BASE_BASE64_H
#define KN_BASE_BASE64_H

#include <stddef.h>

#include "base/err.h"

/* Standard alphabet, padded. *ret is heap. KN_EFORMAT: another character, or a length that is no multiple of 4. */
int kn_base64_decode(const char *text, size_t size, unsigned char **ret, size_t *ret_size, kn_err *err);
/* Heap; NULL without memory. */
char *kn_base64_encode(const void *data, size_t size);

#endif
