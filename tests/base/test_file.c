#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

typedef struct fixture {
    char dir[64], path[128], part[128];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/kn-test-file-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/a.bin", f->dir);
    snprintf(f->part, sizeof f->part, "%s/a.bin.part", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    unlink(f->path);
    unlink(f->part);
    int rc = rmdir(f->dir); /* nothing else was left behind */
    free(f);
    return rc;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_content(const char *path, const char *expected)
{
    char *data;
    size_t size;
    assert_int_equal(kn_file_read(path, 100, &data, &size, NULL), 0);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static void test_read(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    char *data = f->dir;
    size_t size = 77;
    assert_int_equal(kn_file_read(f->path, 100, &data, &size, &err), KN_ENOTFOUND);
    write_file(f->path, "12345");
    assert_content(f->path, "12345");
    assert_int_equal(kn_file_read(f->path, 4, &data, &size, &err), KN_ELIMIT);
    assert_non_null(strstr(err.msg, "5 bytes, more than the limit of 4"));
    assert_int_equal(kn_file_read(f->dir, 100, &data, &size, &err), KN_EINVAL);
    assert_ptr_equal(data, f->dir);
    assert_int_equal(size, 77);
    write_file(f->path, "");
    assert_content(f->path, "");
}

static void test_map(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    kn_map m = {.size = 7};
    assert_int_equal(kn_map_open(&m, f->path, &err), KN_ENOTFOUND);
    assert_int_equal(m.size, 7);
    write_file(f->path, "12345");
    assert_int_equal(kn_map_open(&m, f->path, &err), 0);
    assert_int_equal(m.size, 5);
    kn_map_prefetch(m.data + 1, 3);
    kn_map_release(m.data, m.size);
    assert_memory_equal(m.data, "12345", 5);
    kn_map_close(&m);
    assert_null(m.data);
    kn_map_close(&m);
    write_file(f->path, "");
    assert_int_equal(kn_map_open(&m, f->path, &err), 0);
    assert_true(m.size == 0 && !m.data);
    kn_map_close(&m);
    assert_int_equal(kn_map_open(&m, f->dir, &err), KN_EINVAL);
}

/* Nobody has read or written a file's hole: it is missing until then, on every file system. More pages than are asked about at a time. */
static void test_missing(void **state)
{
    enum { SIZE = 40 << 20 };
    fixture *f = *state;
    kn_map m;
    write_file(f->path, "");
    assert_int_equal(truncate(f->path, SIZE), 0);
    assert_int_equal(kn_map_open(&m, f->path, NULL), 0);
    assert_int_equal(kn_map_missing(m.data, m.size), SIZE);
    const unsigned char *bytes = m.data;
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(kn_map_missing(m.data, m.size), 0);
    kn_map_close(&m);
}

static void test_atomic_commit(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    kn_atomic_file a;
    write_file(f->path, "old");
    assert_int_equal(kn_atomic_open(&a, f->path, &err), 0);
    fputs("new", a.f);
    assert_content(f->path, "old");
    assert_true(kn_path_exists(f->part));
    assert_int_equal(kn_atomic_commit(&a, &err), 0);
    assert_content(f->path, "new");
    assert_false(kn_path_exists(f->part));
    kn_atomic_abort(&a);
    assert_content(f->path, "new");
}

static void test_atomic_abort(void **state)
{
    fixture *f = *state;
    kn_atomic_file a, none = {0};
    write_file(f->path, "old");
    assert_int_equal(kn_atomic_open(&a, f->path, NULL), 0);
    fputs("half", a.f);
    kn_atomic_abort(&a);
    assert_content(f->path, "old");
    assert_false(kn_path_exists(f->part));
    kn_atomic_abort(&none);
}

static void test_atomic_failures(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    kn_atomic_file a = {.path = f->dir};
    char missing[160];
    snprintf(missing, sizeof missing, "%s/none/x", f->dir);
    assert_int_equal(kn_atomic_open(&a, missing, &err), KN_EIO);
    assert_ptr_equal(a.path, f->dir);
    assert_non_null(strstr(err.msg, missing));
    if (!kn_path_exists("/dev/full"))
        return;
    assert_int_equal(symlink("/dev/full", f->part), 0); /* a disk without room */
    assert_int_equal(kn_atomic_open(&a, f->path, &err), 0);
    fputs("new", a.f);
    assert_int_equal(kn_atomic_commit(&a, &err), KN_EIO);
    assert_non_null(strstr(err.msg, "No space left on device"));
    assert_false(kn_path_exists(f->path));
}

static void assert_ext(const char *path, const char *expected)
{
    char ext[6];
    kn_path_ext(path, ext, sizeof ext);
    assert_string_equal(ext, expected);
}

static void test_paths(void **state)
{
    fixture *f = *state;
    assert_ext("a/b.MP4", "mp4");
    assert_ext("a.b/c", "");
    assert_ext("x.tar.gz", "gz");
    assert_ext("x.", "");
    assert_ext("x.safetensors", "safet");
    assert_string_equal(kn_path_base("a/b/c"), "c");
    assert_string_equal(kn_path_base("c"), "c");
    assert_string_equal(kn_path_base("a/"), "");
    char *a = kn_path_join("a", "b"), *b = kn_path_join("a/", "b");
    assert_string_equal(a, "a/b");
    assert_string_equal(b, "a/b");
    free(a);
    free(b);
    assert_true(kn_path_is_dir(f->dir));
    assert_false(kn_path_is_dir(f->path));
    assert_false(kn_path_exists(f->path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read),          TEST(test_map),          TEST(test_missing),
        TEST(test_atomic_commit), TEST(test_atomic_abort), TEST(test_atomic_failures),
        TEST(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
