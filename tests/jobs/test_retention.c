/* Cleanup: what goes by age, number and size, with which files, and what never does. */
#include <sys/stat.h>

#include "jobs/queue_internal.h"
#include "jobs/retention.h"
#include "queue_fixture.h"

enum { N = 6 };

/* Jobs in the order of their age, the oldest first: completed ones with files of 1000 bytes (and 24 of the thumbnail), a failed
 * one, and those that have not ended. */
typedef struct jobs {
    char done[N][KN_JOB_ID_BYTES], output[N][128], thumbnail[N][128];
    char failed[KN_JOB_ID_BYTES], paused[KN_JOB_ID_BYTES], waiting[KN_JOB_ID_BYTES];
} jobs;

static void write_file(const char *path, int size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < size; i++)
        fputc('x', file);
    assert_int_equal(fclose(file), 0);
}

static void make_jobs(fixture *f, jobs *j)
{
    make_job(f->q, KN_JOB_FAILED, j->failed);
    for (int i = 0; i < N; i++) {
        snprintf(j->output[i], sizeof j->output[i], "%s/%d.mp4", f->dir, i);
        snprintf(j->thumbnail[i], sizeof j->thumbnail[i], "%s/%d.jpg", f->dir, i);
        write_file(j->output[i], 1000);
        write_file(j->thumbnail[i], 24);
        submit(f->q, "a cat", 0, j->done[i]);
        must(kn_queue_complete(f->q, j->done[i], claim(f->q, j->done[i]), NULL, j->output[i], j->thumbnail[i],
                               err));
    }
    make_job(f->q, KN_JOB_PAUSED, j->paused);
    submit(f->q, "a cat", 0, j->waiting);
}

static void unlink_all(const jobs *j)
{
    for (int i = 0; i < N; i++) {
        unlink(j->output[i]);
        unlink(j->thumbnail[i]);
    }
}

/* Makes all ended jobs older, as if it were later: the first of them by N days, the next by N - 1, ... */
static void age(fixture *f, const jobs *j)
{
    kn_db *db;
    kn_queue_close(f->q);
    f->q = NULL;
    must(kn_db_open(f->path, &kn_queue_schema, &db, err));
    for (int i = 0; i < N; i++) {
        kn_stmt st;
        kn_stmt_init(&st, db, "UPDATE jobs SET finished_s = finished_s - 86400 * ? WHERE id = ?");
        kn_stmt_int(&st, N - i);
        kn_stmt_text(&st, j->done[i]);
        must(kn_stmt_run(&st, err));
    }
    kn_db_close(db);
    reopen(f);
}

static bool is_there(kn_queue *q, const char *id)
{
    int rc = kn_queue_get(q, id, NULL, NULL);
    assert_true(rc == 0 || rc == KN_ENOTFOUND);
    return rc == 0;
}

/* That the done jobs from `first` on are there with their files, and those before are gone with theirs. */
static void check_left(kn_queue *q, const jobs *j, int first)
{
    for (int i = 0; i < N; i++) {
        assert_int_equal(is_there(q, j->done[i]), i >= first);
        assert_int_equal(kn_path_exists(j->output[i]), i >= first);
        assert_int_equal(kn_path_exists(j->thumbnail[i]), i >= first);
    }
    assert_true(is_there(q, j->paused) && is_there(q, j->waiting));
}

/* Dry first: it names the same jobs and changes nothing. Returns how many go. */
static int clean(kn_queue *q, const jobs *j, const kn_retention *r, const char *reason, int first_before)
{
    kn_cleanup dry, wet;
    int64_t last_event = kn_queue_last_event(q);
    must(kn_cleanup_run(q, r, true, &dry, err));
    assert_int_equal(kn_queue_last_event(q), last_event);
    check_left(q, j, first_before);
    must(kn_cleanup_run(q, r, false, &wet, err));
    assert_true(dry.is_dry_run && !wet.is_dry_run && !dry.has_more && !wet.has_more);
    assert_int_equal(dry.n, wet.n);
    assert_int_equal(dry.bytes, wet.bytes);
    assert_int_equal(kn_queue_last_event(q), last_event + wet.n);
    for (int i = 0; i < dry.n; i++) {
        assert_string_equal(dry.items[i].id, wet.items[i].id);
        assert_string_equal(dry.items[i].reason, reason);
        assert_null(wet.items[i].error);
    }
    int n = wet.n;
    kn_cleanup_done(&dry);
    kn_cleanup_done(&wet);
    return n;
}

static void test_age(void **state)
{
    fixture *f = *state;
    jobs j;
    make_jobs(f, &j);
    age(f, &j);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_age_s = 30 * 86400.}, "age", 0), 0);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_age_s = 4.5 * 86400}, "age", 0), 2);
    check_left(f->q, &j, 2);
    assert_true(is_there(f->q, j.failed)); /* ended just now */
    unlink_all(&j);
}

static void test_count(void **state)
{
    fixture *f = *state;
    jobs j;
    make_jobs(f, &j);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_jobs = N + 1}, "count", 0), 0);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_jobs = 4}, "count", 0), 3);
    check_left(f->q, &j, 2);
    assert_false(is_there(f->q, j.failed)); /* the oldest */
    unlink_all(&j);
}

static void test_size(void **state)
{
    fixture *f = *state;
    jobs j;
    make_jobs(f, &j);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_bytes = N * 1024}, "size", 0), 0);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_bytes = N * 1024 - 1}, "size", 0), 1);
    check_left(f->q, &j, 1);
    /* A large one in the middle takes those that are older with it, but not those without files. */
    write_file(j.output[3], 9000);
    assert_int_equal(clean(f->q, &j, &(kn_retention){.max_bytes = 5 * 1024}, "size", 1), 3);
    check_left(f->q, &j, 4);
    assert_true(is_there(f->q, j.failed));
    unlink_all(&j);
}

static void test_no_limits(void **state)
{
    fixture *f = *state;
    jobs j;
    kn_cleanup c;
    make_jobs(f, &j);
    assert_int_equal(clean(f->q, &j, &(kn_retention){0}, "", 0), 0);
    assert_int_equal(kn_cleanup_run(f->q, &(kn_retention){.max_jobs = -1}, true, &c, NULL), KN_EINVAL);
    assert_int_equal(kn_cleanup_run(f->q, &(kn_retention){.max_bytes = -1}, true, &c, NULL), KN_EINVAL);
    assert_int_equal(kn_cleanup_run(f->q, &(kn_retention){.max_age_s = -1}, true, &c, NULL), KN_EINVAL);
    unlink_all(&j);
}

/* A job whose files cannot be removed stays and says why; the others go. Files that are gone already do not matter. */
static void test_files_that_cannot_be_removed(void **state)
{
    fixture *f = *state;
    jobs j;
    kn_cleanup c;
    make_jobs(f, &j);
    unlink(j.output[0]);
    unlink(j.thumbnail[1]);
    assert_int_equal(mkdir(j.thumbnail[1], 0700), 0); /* no file */
    must(kn_cleanup_run(f->q, &(kn_retention){.max_jobs = 4}, false, &c, err));
    assert_int_equal(c.n, 3);
    json_t *o = kn_cleanup_to_json(&c), *items = json_object_get(o, "jobs");
    assert_true(json_is_false(json_object_get(o, "dry_run")));
    assert_int_equal(json_array_size(items), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *item = json_array_get(items, i), *error = json_object_get(item, "error");
        bool is_stuck = !strcmp(json_string_value(json_object_get(item, "id")), j.done[1]);
        assert_int_equal(json_is_string(error), is_stuck);
        if (is_stuck)
            assert_non_null(strstr(json_string_value(error), j.thumbnail[1]));
    }
    assert_int_equal(json_integer_value(json_object_get(o, "size_bytes")),
                     24); /* what was left of the first */
    assert_true(!is_there(f->q, j.done[0]) && is_there(f->q, j.done[1]) && !is_there(f->q, j.failed));
    json_decref(o);
    kn_cleanup_done(&c);
    assert_int_equal(rmdir(j.thumbnail[1]), 0);
    must(kn_cleanup_run(f->q, &(kn_retention){.max_jobs = 4}, false, &c, err));
    assert_int_equal(c.n, 1);
    assert_false(is_there(f->q, j.done[1]));
    kn_cleanup_done(&c);
    unlink_all(&j);
}

/* A folder of frames goes with what Kinora wrote there, and stays with what it did not. */
static void test_folders(void **state)
{
    fixture *f = *state;
    char path[128], names[4][160];
    static const char *const files[] = {"frame_00000.png", "frame_00001.png", "kinora.json",
                                        "frame_mine.png"};
    kn_err why = {0};
    snprintf(path, sizeof path, "%s/frames", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s/%s", path, files[i]);
        write_file(names[i], 10);
    }
    kn_job job = {.output = path};
    assert_int_equal(kn_job_files_bytes(&job), 30);
    assert_int_equal(kn_job_files_remove(&job, &why), 0);
    assert_true(!kn_path_exists(names[0]) && !kn_path_exists(names[1]) && !kn_path_exists(names[2]));
    assert_true(kn_path_exists(names[3]));
    /* Without a kinora.json frames are someone else's. */
    write_file(names[0], 10);
    assert_int_equal(kn_job_files_remove(&job, &why), 0);
    assert_true(kn_path_exists(names[0]));
    write_file(names[2], 10);
    unlink(names[3]);
    assert_int_equal(kn_job_files_remove(&job, &why), 0);
    assert_false(kn_path_exists(path));
    assert_int_equal(kn_job_files_remove(&job, &why), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/retention", tests, NULL, NULL);
}
