/* The input is read as a safetensors file, and once more as the header of one with a little data. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_checkpoint.h"

enum { DATA_BYTES = 256 };

static void read_as_header(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(8 + size + DATA_BYTES);
    if (!file)
        return;
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)size >> 8 * i);
    if (size)
        memcpy(file + 8, data, size);
    memset(file + 8 + size, 0x5a, DATA_BYTES);
    fuzz_checkpoint(file, 8 + size + DATA_BYTES);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_checkpoint(data, size);
    read_as_header(data, size);
    return 0;
}
