/* The database file: who may open it, what becomes of old, new, foreign and damaged ones, and of a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "store/stmt.h"

typedef struct fixture {
    char dir[64], path[96], backup[112];
} fixture;

#define must(call)                                                                                           \
    do {                                                                                                     \
        kn_err must_err_ = {0}, *err = &must_err_;                                                           \
        (void)err;                                                                                           \
        if (call)                                                                                            \
            fail_msg("%s: %s", #call, must_err_.msg);                                                        \
    } while (0)

static const char *const steps[] = {
    "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, size REAL) STRICT;",
    "ALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey';",
    "UPDATE things SET colour = 'red' WHERE id = 1; CREATE INDEX things_colour ON things (colour);",
};
enum { APPLICATION = 0x4B4E7473 };
static const kn_db_schema schema_1 = {APPLICATION, steps, 1}, schema_3 = {APPLICATION, steps, 3};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/kn-test-db-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/a.db", f->dir);
    snprintf(f->backup, sizeof f->backup, "%s.v1.bak", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    unlink(f->path);
    unlink(f->backup);
    int rc = rmdir(f->dir); /* nothing else was left behind */
    free(f);
    return rc;
}

static void add(kn_db *db, int64_t id, const char *name, double size)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "INSERT INTO things (id, name, size) VALUES (?, ?, ?)");
    kn_stmt_int(&st, id);
    kn_stmt_text(&st, name);
    kn_stmt_real(&st, size);
    must(kn_stmt_run(&st, err));
}

static int64_t number(kn_db *db, const char *sql)
{
    int64_t n = -1;
    kn_stmt st;
    kn_stmt_init(&st, db, sql);
    must(kn_stmt_run_int(&st, -2, &n, err));
    return n;
}

static void make_version_1(const fixture *f)
{
    kn_db *db;
    must(kn_db_open(f->path, &schema_1, &db, err));
    add(db, 1, "one", 1.5);
    add(db, 2, NULL, -2);
    kn_db_close(db);
}

static void test_values(void **state)
{
    fixture *f = *state;
    struct stat st_file;
    kn_err why = {0};
    kn_db *db;
    make_version_1(f);
    assert_int_equal(stat(f->path, &st_file), 0);
    assert_int_equal(st_file.st_mode & 0777, 0600);
    must(kn_db_open(f->path, &schema_1, &db, err));
    assert_int_equal(number(db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT id, name, size FROM things ORDER BY id");
    assert_int_equal(kn_stmt_step(&st, &why), 1);
    assert_int_equal(kn_stmt_get_int(&st, 0), 1);
    assert_string_equal(kn_stmt_get_text(&st, 1), "one");
    assert_true(kn_stmt_get_real(&st, 2) == 1.5);
    assert_int_equal(kn_stmt_step(&st, &why), 1);
    assert_null(kn_stmt_get_text(&st, 1));
    assert_int_equal(kn_stmt_step(&st, &why), 0);
    kn_stmt_done(&st);
    assert_int_equal(number(db, "SELECT id FROM things WHERE id = 3"), -2);
    kn_db_close(db);
    kn_db_close(NULL);
}

static void test_errors_and_rollback(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    kn_db *db;
    kn_stmt st;
    must(kn_db_open(f->path, &schema_1, &db, err));
    kn_stmt_init(&st, db, "SELECT a FROM nowhere");
    kn_stmt_int(&st, 1);
    assert_int_equal(kn_stmt_run(&st, &why), KN_EINTERNAL);
    assert_non_null(strstr(why.msg, "no such table: nowhere"));

    must(kn_db_begin(db, err));
    add(db, 1, "one", 1);
    kn_stmt_init(&st, db, "INSERT INTO things (id) VALUES (1)");
    assert_int_equal(kn_stmt_run(&st, &why), KN_EINTERNAL);
    kn_db_rollback(db);
    kn_db_rollback(db);
    assert_int_equal(number(db, "SELECT count(*) FROM things"), 0);

    char *large = malloc(KN_LIMIT_DB_VALUE_BYTES + 1);
    assert_non_null(large);
    memset(large, 'x', KN_LIMIT_DB_VALUE_BYTES);
    large[KN_LIMIT_DB_VALUE_BYTES] = '\0';
    kn_stmt_init(&st, db, "INSERT INTO things (name) VALUES (?)");
    kn_stmt_text(&st, large);
    assert_int_equal(kn_stmt_run(&st, &why), KN_ELIMIT);
    free(large);
    must(kn_db_begin(db, err));
    add(db, 1, "one", 1);
    must(kn_db_commit(db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM things"), 1);
    kn_db_close(db);
}

static void test_one_owner(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    kn_db *db, *second = NULL;
    int ready[2];
    must(kn_db_open(f->path, &schema_1, &db, err));
    assert_int_equal(kn_db_open(f->path, &schema_1, &second, &why), KN_EBUSY);
    assert_non_null(strstr(why.msg, "in use by another Kinora"));
    assert_null(second);
    kn_db_close(db);

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (kn_db_open(f->path, &schema_1, &db, NULL) || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kn_db_open(f->path, &schema_1, &second, &why), KN_EBUSY);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    must(kn_db_open(f->path, &schema_1, &second, err));
    kn_db_close(second);
    close(ready[0]);
    close(ready[1]);
}

static void test_update_with_backup(void **state)
{
    fixture *f = *state;
    struct stat st_file;
    kn_db *db;
    make_version_1(f);
    must(kn_db_open(f->path, &schema_3, &db, err));
    assert_int_equal(number(db, "PRAGMA user_version"), 3);
    assert_int_equal(number(db, "SELECT count(*) FROM things WHERE id = 1 AND colour = 'red'"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM things WHERE id = 2 AND colour = 'grey'"), 1);
    kn_db_close(db);

    assert_int_equal(stat(f->backup, &st_file), 0);
    assert_int_equal(st_file.st_mode & 0777, 0600);
    must(kn_db_open(f->backup, &schema_1, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM things"), 2);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('things') WHERE name = 'colour'"), 0);
    kn_db_close(db);
    unlink(f->backup);
    must(kn_db_open(f->path, &schema_3, &db, err)); /* nothing to update: no copy */
    kn_db_close(db);
    assert_false(kn_path_exists(f->backup));
}

static void test_update_that_fails(void **state)
{
    fixture *f = *state;
    static const char *const broken[] = {
        "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, size REAL) STRICT;",
        "DELETE FROM things; ALTER TABLE nowhere ADD COLUMN colour TEXT;",
    };
    kn_err why = {0};
    kn_db *db;
    make_version_1(f);
    assert_int_equal(kn_db_open(f->path, &(kn_db_schema){APPLICATION, broken, 2}, &db, &why), KN_EINTERNAL);
    assert_non_null(strstr(why.msg, "from version 1 to 2"));
    must(kn_db_open(f->path, &schema_1, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM things"), 2);
    kn_db_close(db);
}

static void test_newer_and_foreign(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    kn_db *db;
    must(kn_db_open(f->path, &schema_3, &db, err));
    kn_db_close(db);
    assert_int_equal(kn_db_open(f->path, &schema_1, &db, &why), KN_EUNSUPPORTED);
    assert_non_null(strstr(why.msg, "version 3 of the file, this one knows up to 1"));
    assert_int_equal(kn_db_open(f->path, &(kn_db_schema){APPLICATION + 1, steps, 3}, &db, &why), KN_EFORMAT);
    assert_non_null(strstr(why.msg, "another program"));
    must(kn_db_open(f->path, &schema_3, &db, err));
    kn_db_close(db);
    assert_int_equal(kn_db_open(f->dir, &schema_3, &db, &why), KN_EIO);
    assert_int_equal(kn_db_open("/nowhere/a.db", &schema_3, &db, &why), KN_EIO);
    assert_non_null(strstr(why.msg, "/nowhere/a.db"));
}

static void overwrite(const char *path, long at, size_t size)
{
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    while (size--)
        fputc(0xA5, f);
    assert_int_equal(fclose(f), 0);
}

static void test_damaged(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    kn_db *db = NULL;
    make_version_1(f);
    must(kn_db_open(f->path, &schema_1, &db, err));
    must(kn_db_begin(db, err));
    for (int i = 3; i < 2000; i++)
        add(db, i, "a thing with a name", i);
    must(kn_db_commit(db, err));
    kn_db_close(db);
    db = NULL;
    overwrite(f->path, 3 * 4096, 4096);
    assert_int_equal(kn_db_open(f->path, &schema_1, &db, &why), KN_EFORMAT);
    assert_null(db);
    assert_non_null(strstr(why.msg, "is damaged"));
    assert_non_null(strstr(why.msg, "put a backup in its place"));
    assert_null(strstr(why.msg, f->backup));

    FILE *backup = fopen(f->backup, "w");
    assert_non_null(backup);
    fclose(backup);
    assert_int_equal(kn_db_open(f->path, &schema_3, &db, &why), KN_EFORMAT);
    assert_non_null(strstr(why.msg, f->backup)); /* that there is one, and where */

    overwrite(f->path, 0, 4096);
    assert_int_equal(kn_db_open(f->path, &schema_1, &db, &why), KN_EFORMAT);
    assert_int_equal(truncate(f->path, 100), 0);
    assert_int_equal(kn_db_open(f->path, &schema_1, &db, &why), KN_EFORMAT);
}

static void test_full_disk(void **state)
{
    fixture *f = *state;
    struct rlimit old, small;
    kn_err why = {0};
    kn_db *db;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){200000, old.rlim_max};
    must(kn_db_open(f->path, &schema_1, &db, err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int n = 0, rc = 0;
    for (; !rc && n < 10000; n += !rc) {
        kn_stmt st;
        kn_stmt_init(&st, db, "INSERT INTO things (name) VALUES (hex(zeroblob(3000)))");
        rc = kn_db_begin(db, &why);
        if (!rc)
            rc = kn_stmt_run(&st, &why);
        else
            kn_stmt_done(&st);
        if (!rc)
            rc = kn_db_commit(db, &why);
        if (rc)
            kn_db_rollback(db);
    }
    assert_int_equal(rc, KN_EIO);
    assert_non_null(strstr(why.msg, "the disk is full"));
    assert_true(n > 5);
    assert_int_equal(number(db, "SELECT count(*) FROM things"), n);
    small.rlim_cur = 20000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(kn_db_backup(db, f->backup, &why), KN_EIO);
    assert_non_null(strstr(why.msg, "the disk is full"));
    assert_false(kn_path_exists(f->backup));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    add(db, 100000, "room", 1);
    must(kn_db_backup(db, f->backup, err));
    kn_db_close(db);
    must(kn_db_open(f->path, &schema_1, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM things"), n + 1);
    kn_db_close(db);
    must(kn_db_open(f->backup, &schema_1, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM things"), n + 1);
    kn_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_and_rollback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_with_backup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_and_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/db", tests, NULL, NULL);
}
