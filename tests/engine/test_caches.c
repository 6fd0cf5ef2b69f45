/* Clearing what runs keep: all that is Kinora's own there, and nothing else. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "engine/caches.h"

static char dir[64];

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, size_t size)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++)
        fputc('x', f);
    assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/kinora-caches-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    return kn_dir_remove(dir, NULL);
}

static void check(bool dry_run, int n_text, long long text_bytes, int n_packed, long long packed_bytes)
{
    json_t *list = NULL;
    assert_int_equal(kn_caches_clear(dir, dry_run, &list, NULL), 0);
    const long long expected[2][2] = {{n_text, text_bytes}, {n_packed, packed_bytes}};
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *c = json_array_get(list, i);
        assert_int_equal(json_integer_value(json_object_get(c, "files")), expected[i][0]);
        assert_int_equal(json_integer_value(json_object_get(c, "size_bytes")), expected[i][1]);
    }
    json_decref(list);
}

static void test_clear(void **state)
{
    (void)state;
    check(false, 0, 0, 0, 0); /* there is nothing at all */
    mkdir(at("text"), 0700);
    mkdir(at("packed"), 0700);
    put("text/0123456789abcdef.safetensors", 10);
    put("text/ffffffffffffffff.safetensors.part", 3); /* of a run that died */
    put("text/weights.safetensors", 5);
    put("text/0123456789abcdef0.safetensors", 5);
    put("text/0123456789abcdef.safetensors2", 5);
    put("packed/0123456789abcdef.packed", 100);
    put("packed/0123456789abcdee.packed.part", 50);
    put("0123456789abcdef.packed", 7);
    assert_int_equal(symlink("/etc", at("packed/aaaaaaaaaaaaaaaa.packed")), 0);
    int fd = open(at("packed/0123456789abcdee.packed.part"), O_RDWR);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0); /* is being recorded */
    check(true, 2, 13, 1, 100);
    check(true, 2, 13, 1, 100);
    check(false, 2, 13, 1, 100);
    check(false, 0, 0, 0, 0);
    assert_true(kn_path_exists(at("packed/0123456789abcdee.packed.part")));
    close(fd);
    check(false, 0, 0, 1, 50);
    assert_true(kn_path_exists(at("text/weights.safetensors")));
    assert_true(kn_path_exists(at("text/0123456789abcdef0.safetensors")));
    assert_true(kn_path_exists(at("text/0123456789abcdef.safetensors2")));
    assert_true(kn_path_exists(at("0123456789abcdef.packed")));
    assert_true(kn_path_exists(at("packed/aaaaaaaaaaaaaaaa.packed")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clear, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
