#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"

static void check_state(const char *own, const char *xdg, const char *home, const char *expected)
{
    const char *const names[] = {"KINORA_STATE_DIR", "XDG_STATE_HOME", "HOME"}, *const values[] = {own, xdg,
                                                                                                   home};
    for (int i = 0; i < 3; i++)
        if (values[i])
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
    char *dir = kn_dir_state();
    if (expected)
        assert_string_equal(dir, expected);
    else
        assert_null(dir);
    free(dir);
}

static void test_state(void **state)
{
    (void)state;
    check_state("/own", "/xdg", "/home/me", "/own");
    check_state("own", NULL, NULL, "own");
    check_state("", "/xdg", "/home/me", "/xdg/kinora");
    check_state(NULL, "relative", "/home/me", "/home/me/.local/state/kinora");
    check_state(NULL, NULL, "/home/me/", "/home/me/.local/state/kinora");
    check_state(NULL, NULL, NULL, NULL);
}

static void test_cache(void **state)
{
    (void)state;
    setenv("KINORA_CACHE_DIR", "/own", 1);
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    setenv("HOME", "/home/me", 1);
    const char *const expected[] = {"/own", "/xdg/kinora", "/home/me/.cache/kinora"}, *const last[] = {
                                                                                          "KINORA_CACHE_DIR",
                                                                                          "XDG_CACHE_HOME",
                                                                                          "HOME"};
    for (int i = 0; i < 3; i++) {
        char *dir = kn_dir_cache();
        assert_string_equal(dir, expected[i]);
        free(dir);
        unsetenv(last[i]);
    }
    assert_null(kn_dir_cache());
}

static void test_make(void **state)
{
    (void)state;
    char dir[] = "/tmp/kn-test-dirs-XXXXXX", deep[128], below[132];
    struct stat st;
    kn_err err = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(deep, sizeof deep, "%s/a/b//c/", dir);
    assert_int_equal(kn_dir_make(deep, &err), 0);
    assert_int_equal(kn_dir_make(deep, &err), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(deep, sizeof deep, "%s/a/b/c", dir);
    assert_int_equal(rmdir(deep), 0);
    FILE *f = fopen(deep, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(kn_dir_make(deep, &err), KN_EIO);
    assert_non_null(strstr(err.msg, "not a folder"));
    snprintf(below, sizeof below, "%s/d", deep);
    assert_int_equal(kn_dir_make(below, &err), KN_EIO);
    assert_non_null(strstr(err.msg, "/a/b/c/d"));
    assert_int_equal(unlink(deep), 0);
    for (int i = 0; i < 3; i++) { /* b, a, and the folder itself */
        deep[strlen(deep) - 2] = '\0';
        assert_int_equal(rmdir(i < 2 ? deep : dir), 0);
    }
}

static bool is_short(const char *name)
{
    return name[0] != '.' && strlen(name) == 1;
}

static void write_at(const char *path, const char *text, long when)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[2]){{when, 5}, {when, 5}}, 0), 0);
}

static void test_look(void **state)
{
    (void)state;
    char dir[] = "/tmp/kn-test-dirs-XXXXXX", path[64];
    const char *const names[] = {"a", "b", "c", "long"};
    assert_int_equal(kn_dir_look("/nowhere", is_short).n, 0);
    assert_non_null(mkdtemp(dir));
    assert_string_equal(kn_dir_look(dir, is_short).oldest, "");
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        write_at(path, "1234", i == 1 ? 1000 : i == 3 ? 500 : 2000 + i);
    }
    kn_dir_survey s = kn_dir_look(dir, is_short);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.bytes, 12);
    assert_string_equal(s.oldest, "b");
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

/* A tree goes, what a link in it leads to stays. */
static void test_remove(void **state)
{
    char dir[] = "/tmp/kinora-dirs-XXXXXX", tree[64], deep[96], link[96], kept[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(tree, sizeof tree, "%s/tree", dir);
    snprintf(deep, sizeof deep, "%s/a/b", tree);
    snprintf(link, sizeof link, "%s/a/link", tree);
    snprintf(kept, sizeof kept, "%s/kept", dir);
    assert_int_equal(kn_dir_make(deep, NULL), 0);
    assert_int_equal(kn_dir_make(kept, NULL), 0);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(kn_dir_remove(tree, NULL), 0);
    assert_false(kn_path_exists(tree));
    assert_true(kn_path_exists(kept));
    assert_int_equal(kn_dir_remove(tree, NULL), 0); /* nothing is left of nothing */

    assert_int_equal(kn_dir_remove(dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_state), cmocka_unit_test(test_cache),
                                       cmocka_unit_test(test_look), cmocka_unit_test(test_make),
                                       cmocka_unit_test(test_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
