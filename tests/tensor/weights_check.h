/* Small files for the tests of checkpoints, loaders and LoRAs. */
#ifndef KN_TESTS_TENSOR_WEIGHTS_CHECK_H
#define KN_TESTS_TENSOR_WEIGHTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "tensor/checkpoint.h"

/* A folder of its own under the system's temporary one; remove_folder deletes its files and it. */
static inline char *make_folder(void)
{
    char *dir = kn_strdup("/tmp/kn-weights-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void remove_folder(char *dir, const char *const *files)
{
    for (; *files; files++) {
        char *path = kn_path_join(dir, *files);
        unlink(path);
        free(path);
    }
    assert_int_equal(rmdir(dir), 0);
    free(dir);
}

static inline void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* The bytes of a safetensors file with this header text and n_data bytes 0, 1, 2, ... of data. */
static inline unsigned char *make_safetensors(const char *header, size_t n_data, size_t *ret_size)
{
    size_t n = strlen(header);
    unsigned char *p = malloc(8 + n + n_data);
    assert_non_null(p);
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(p + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        p[8 + n + i] = (unsigned char)i;
    *ret_size = 8 + n + n_data;
    return p;
}

static inline int open_header(const char *header, size_t n_data, kn_err *err)
{
    size_t size;
    unsigned char *p = make_safetensors(header, n_data, &size);
    kn_checkpoint *ck = NULL;
    *err = (kn_err){0};
    int rc = kn_checkpoint_open_memory(p, size, "memory", &ck, err);
    if (rc)
        assert_null(ck);
    kn_checkpoint_close(ck);
    free(p);
    return rc;
}

#define assert_message(err, text)                                                                            \
    do {                                                                                                     \
        if (!strstr((err).msg, (text)))                                                                      \
            fail_msg("expected \"%s\" in \"%s\"", (text), (err).msg);                                        \
    } while (0)

/* Opening must fail with the code and a message that contains the text. */
static inline void refuse_header(const char *header, size_t n_data, int code, const char *text)
{
    kn_err err;
    int rc = open_header(header, n_data, &err);
    if (rc != code)
        fail_msg("%s: got %d (%s), expected %d", header, rc, err.msg, code);
    assert_message(err, text);
}

#endif
