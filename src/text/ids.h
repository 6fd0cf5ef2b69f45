/* A growing list of token ids. */
#ifndef KN_TEXT_IDS_H
#define KN_TEXT_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A piece covers at least one byte and byte fallback yields one id a byte; charsmaps grow text at most eighteenfold
 * (U+FDFA), so that KN_LIMIT_PROMPT_BYTES of text stay below this. */
#define KN_LIMIT_PROMPT_IDS (4u << 20)

typedef struct kn_ids {
    int32_t *data;
    size_t n, capacity;
} kn_ids;

void kn_ids_done(kn_ids *ids);
int kn_ids_push(kn_ids *ids, int32_t id, kn_err *err); /* KN_ENOMEM, KN_ELIMIT */

#endif
