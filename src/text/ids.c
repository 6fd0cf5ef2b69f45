#include "text/ids.h"

#include <stdlib.h>

#include "base/mem.h"

void kn_ids_done(kn_ids *ids)
{
    free(ids->data);
    *ids = (kn_ids){0};
}

int kn_ids_push(kn_ids *ids, int32_t id, kn_err *err)
{
    if (ids->n == ids->capacity) {
        if (ids->n >= KN_LIMIT_PROMPT_IDS)
            return kn_fail(err, KN_ELIMIT, "the text has more than %u tokens", KN_LIMIT_PROMPT_IDS);
        size_t capacity = ids->capacity ? 2 * ids->capacity : 64;
        int32_t *data = kn_realloc_array(ids->data, capacity, sizeof *data);
        if (!data)
            return kn_fail(err, KN_ENOMEM, "no memory for %zu token ids", capacity);
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->n++] = id;
    return 0;
}
