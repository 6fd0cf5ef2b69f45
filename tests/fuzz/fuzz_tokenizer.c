/* A tokenizer.json or spiece.model from the first bytes, then a fixed text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = " A cat  </s>walks\xE2\x96\x81\xC3\xA9\xCC\x81 \xF0\x9F\x98\x80\n\xE4\xB8\x80"
                               "\xEF\xB7\xBA<extra_id_0> [T] ab";
    kn_tokenizer *t = NULL;
    kn_err err;
    int32_t *ids = NULL;
    int n;
    if (kn_tokenizer_open_memory(data, size, "fuzz", &t, &err))
        return 0;
    if (!kn_tokenizer_encode(t, text, 64, &ids, &n, &err)) {
        for (int i = 0; i < n; i++)
            kn_tokenizer_piece(t, ids[i]);
        free(ids);
    }
    kn_tokenizer_close(t);
    return 0;
}
