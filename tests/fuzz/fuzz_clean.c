/* Prompt cleaning: whatever it makes of a text is UTF-8, without a NUL, and never longer than the limit allows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "text/clean.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *clean = NULL;
    kn_err err;
    if (kn_prompt_clean_bytes((const char *)data, size, &clean, &err))
        return 0;
    KN_ASSERT(!kn_utf8_check(clean, strlen(clean), "the result", &err));
    free(clean);
    return 0;
}
