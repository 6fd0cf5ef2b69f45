/* What the media tests share: cmocka's ritual, a folder to write into, frames of known colours. */
#ifndef KN_TESTS_MEDIA_TEST_H
#define KN_TESTS_MEDIA_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "media/frame.h"
#include "media/image.h"

#define FIXTURE(name) KN_FIXTURES "/media/" name

#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

#define assert_ok(call) assert_ok_at((call), &err, #call, __FILE__, __LINE__)
static inline void assert_ok_at(int rc, const kn_err *err, const char *call, const char *file, int line)
{
    if (rc)
        print_error("%s: %s: %s\n", call, kn_err_name(rc), err->msg);
    _assert_int_equal((uintmax_t)(intmax_t)rc, 0, file, line);
}

/* A new folder under /tmp; test_dir_remove takes it and all in it away. */
static inline char *test_dir_make(void)
{
    char *dir = strdup("/tmp/kinora-test-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline int test_dir_count(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (d)
        closedir(d);
    return d ? n : -1;
}

static inline void test_dir_remove(char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        char *path = kn_path_join(dir, e->d_name);
        if (kn_path_is_dir(path))
            test_dir_remove(path);
        else {
            unlink(path);
            free(path);
        }
    }
    if (d)
        closedir(d);
    rmdir(dir);
    free(dir);
}

static inline void test_write(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline kn_frame *test_flat_frame(int width, int height, int64_t index, float r, float g, float b)
{
    kn_frame *f = NULL;
    assert_int_equal(kn_frame_new(width, height, index, &f, NULL), 0);
    for (int i = 0; i < width * height; i++) {
        f->rgb[3 * i] = r;
        f->rgb[3 * i + 1] = g;
        f->rgb[3 * i + 2] = b;
    }
    return f;
}

static inline const uint8_t *test_pixel(const kn_image *im, int x, int y)
{
    return im->rgb + ((size_t)y * (size_t)im->width + (size_t)x) * 3;
}

#endif
