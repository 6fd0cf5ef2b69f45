/* The input is the header of a safetensors file with a little data, added as a LoRA to a small model and merged. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/lora.h"

enum { DATA_BYTES = 512 };

static const char model[] =
    "{\"b.0.q.weight\":{\"dtype\":\"U8\",\"shape\":[4,6],\"data_offsets\":[0,24]},"
    "\"b.0.q.bias\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[24,28]},"
    "\"b.0.modulation\":{\"dtype\":\"U8\",\"shape\":[1,2,3],\"data_offsets\":[28,34]},"
    "\"n.weight\":{\"dtype\":\"U8\",\"shape\":[1,8],\"data_offsets\":[34,42]}}";

static size_t make_file(uint8_t *file, const void *header, size_t size)
{
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)size >> 8 * i);
    memcpy(file + 8, header, size);
    memset(file + 8 + size, 0x3c, DATA_BYTES);
    return 8 + size + DATA_BYTES;
}

static void merge(const kn_lora_set *s, const char *tensor, int64_t n_out, int64_t n_in)
{
    float w[32] = {0};
    if (kn_lora_set_touches(s, tensor))
        KN_ASSERT(kn_lora_set_apply(s, tensor, w, n_out, n_in, NULL) == 0);
}

static void add(const char *path, kn_checkpoint *target)
{
    kn_lora_set *s = NULL;
    kn_err err = {0};
    if (kn_lora_set_new(&s, &err))
        return;
    int rc = kn_lora_set_add(s, path, 0.5f, target, NULL, &err);
    KN_ASSERT(rc == err.code && kn_lora_set_count(s) == (rc == 0));
    merge(s, "b.0.q.weight", 4, 6);
    merge(s, "b.0.q.bias", 4, 1);
    merge(s, "b.0.modulation", 6, 1);
    merge(s, "n.weight", 8, 1);
    kn_lora_set_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(8 + (size > sizeof model ? size : sizeof model) + DATA_BYTES);
    kn_checkpoint *target = NULL;
    char path[64];
    int fd = memfd_create("lora", MFD_CLOEXEC);
    if (file && fd >= 0 && size) {
        size_t n = make_file(file, data, size);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        bool written = write(fd, file, n) == (ssize_t)n;
        n = make_file(file, model, sizeof model - 1);
        if (written && kn_checkpoint_open_memory(file, n, "model", &target, NULL) == 0)
            add(path, target);
    }
    kn_checkpoint_close(target);
    if (fd >= 0)
        close(fd);
    free(file);
    return 0;
}
