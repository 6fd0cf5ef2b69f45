/* A Range header and the size of a file: a part is never empty and never reaches beyond the end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "server/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file_size = 0;
    kn_range r = {0};
    size_t n = size < sizeof file_size ? size : sizeof file_size;
    if (n)
        memcpy(&file_size, data, n);
    char *header = malloc(size - n + 1);
    if (!header)
        return 0;
    if (size > n)
        memcpy(header, data + n, size - n);
    header[size - n] = '\0';
    if (kn_range_parse(header, file_size, &r) == KN_RANGE_PART)
        KN_ASSERT(r.size > 0 && r.first < file_size && r.size <= file_size - r.first);
    else
        KN_ASSERT(r.first == 0 && r.size == 0);
    free(header);
    return 0;
}
