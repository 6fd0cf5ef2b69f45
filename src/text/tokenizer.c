/* Opening: which file, which reader. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "text/pipeline.h"

/* A tokenizer.json begins with '{'. A SentencePiece model begins with the tag of its first piece, a newline byte,
 * which JSON may begin with too: look past white space. */
static bool looks_like_json(const char *data, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n", data[i]) && data[i])
        i++;
    return i < size && data[i] == '{';
}

static int open_bytes(const void *data, size_t size, const char *origin, const char *dir,
                      kn_tokenizer_reading reading, kn_tokenizer **ret, kn_err *err)
{
    if (size > KN_LIMIT_JSON_FILE_BYTES)
        return kn_fail(err, KN_ELIMIT, "%s: %zu bytes; at most %llu are read (KN_LIMIT_JSON_FILE_BYTES)",
                       origin, size, KN_LIMIT_JSON_FILE_BYTES);
    if (looks_like_json(data, size))
        return kn_tokenizer_from_json(data, size, origin, reading, ret, err);
    return kn_tokenizer_from_spm(data, size, origin, dir, reading, ret, err);
}

int kn_tokenizer_open_memory(const void *data, size_t size, const char *origin, kn_tokenizer **ret,
                             kn_err *err)
{
    return open_bytes(data ? data : "", size, origin, NULL, KN_TOKENIZER_AS_WRITTEN, ret, err);
}

static int open_file(const char *path, const char *dir, kn_tokenizer_reading reading, kn_tokenizer **ret,
                     kn_err *err)
{
    kn_map map = {0};
    int rc = kn_map_open(&map, path, err);
    if (rc)
        return rc;
    rc = open_bytes(map.data ? (const void *)map.data : "", map.size, path, dir, reading, ret, err);
    kn_map_close(&map);
    return rc;
}

static int open_dir(const char *dir, kn_tokenizer_reading reading, kn_tokenizer **ret, kn_err *err)
{
    static const char *const names[] = {"tokenizer.json", "spiece.model"};
    kn_tokenizer *t = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = kn_path_join(dir, names[i]);
        if (!path)
            return kn_fail(err, KN_ENOMEM, "no memory for a path");
        if (!kn_path_exists(path)) {
            free(path);
            continue;
        }
        int rc = open_file(path, dir, reading, &t, err);
        free(path);
        if (!rc && (rc = kn_tokenizer_config_pad(t, dir, err))) {
            kn_tokenizer_close(t);
            return rc;
        }
        if (!rc)
            *ret = t;
        return rc;
    }
    return kn_fail(err, KN_ENOTFOUND, "%s: no tokenizer.json and no spiece.model", dir);
}

int kn_tokenizer_open_reading(const char *path, kn_tokenizer_reading reading, kn_tokenizer **ret, kn_err *err)
{
    return kn_path_is_dir(path) ? open_dir(path, reading, ret, err)
                                : open_file(path, NULL, reading, ret, err);
}

int kn_tokenizer_open(const char *path, kn_tokenizer **ret, kn_err *err)
{
    return kn_tokenizer_open_reading(path, KN_TOKENIZER_AS_WRITTEN, ret, err);
}
