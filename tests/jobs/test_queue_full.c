/* A full disk in the middle of any call: it fails and says why, nothing of it happened, and the queue goes on when there is
 * room. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "queue_fixture.h"

enum { N_ROUNDS = 24, MAX_CALLS = 4000 };

/* Files of this process cannot grow beyond it: as a full disk does, that fails any write at any point. */
static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes < l.rlim_max ? bytes : l.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

typedef struct model {
    int n_submitted, n_completed, n_heard;
    int64_t last_event;
} model;

static void hear(void *ud, const kn_queue_event *e)
{
    model *m = ud;
    m->n_heard++;
    assert_true(e->id > m->last_event);
    m->last_event = e->id;
}

static int submit_try(kn_queue *q, model *m, kn_err *err)
{
    json_t *request = json_pack("{s:s}", "prompt", "a red ball that rolls to the right, then to the left");
    int rc = kn_queue_submit(q, &(kn_job_spec){.request = request}, NULL, err);
    json_decref(request);
    m->n_submitted += !rc;
    return rc;
}

static int complete_try(kn_queue *q, model *m, kn_err *err)
{
    kn_job job = {0};
    int rc = kn_queue_claim(q, &job, err);
    if (rc)
        return rc;
    rc = kn_queue_complete(q, job.id, job.attempt, job.request, "/tmp/a.mp4", NULL, err);
    kn_job_done(&job);
    m->n_completed += !rc;
    return rc;
}

static int put_try(kn_queue *q, model *m, kn_err *err)
{
    json_t *value = json_integer(m->n_submitted);
    int rc = kn_queue_value_put(q, "n", value, err);
    json_decref(value);
    return rc;
}

static void check_model(kn_queue *q, const model *m)
{
    int64_t counts[KN_JOB_STATE_COUNT], sum = 0;
    must(kn_queue_count(q, counts, err));
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        sum += counts[i];
    assert_int_equal(sum, m->n_submitted);
    assert_int_equal(counts[KN_JOB_COMPLETED], m->n_completed);
    assert_int_equal(kn_queue_last_event(q), m->last_event);
}

static void check_full(kn_queue *q, int rc, const model *m, const model *before, const kn_err *why)
{
    assert_int_equal(rc, KN_EIO);
    if (!strstr(why->msg, "the disk is full"))
        fail_msg("%s", why->msg);
    /* Of a claim that went through, and a completion that did not, the first is one event. */
    assert_in_range(m->n_heard - before->n_heard, 0, 1);
    check_model(q, m);
}

/* Fills the disk while calls are made; the calls that go through are all there, whatever came of the others. */
static void fill(fixture *f, model *m, int round)
{
    static int (*const tries[])(kn_queue *, model *, kn_err *) = {submit_try, complete_try, put_try};
    struct stat st;
    kn_err why = {0};
    int n_failed = 0;
    assert_int_equal(stat(f->path, &st), 0);
    limit_files((rlim_t)st.st_size + 20000 + (rlim_t)round * 1777);
    for (int i = 0; n_failed < 3 && i < MAX_CALLS; i++) {
        model before = *m;
        int rc = tries[(i + round) % 3](f->q, m, &why);
        if (rc && rc != KN_ENOTFOUND) {
            check_full(f->q, rc, m, &before, &why);
            n_failed++;
        }
    }
    assert_int_equal(n_failed, 3);
    limit_files(RLIM_INFINITY);
}

static void test_full_disk(void **state)
{
    fixture *f = *state;
    model m = {0};
    signal(SIGXFSZ, SIG_IGN);
    must(kn_queue_listen(f->q, hear, &m, err));
    for (int round = 0; round < N_ROUNDS; round++) {
        fill(f, &m, round);
        check_model(f->q, &m);
        must(submit_try(f->q, &m, err));
        must(put_try(f->q, &m, err));
        check_model(f->q, &m);
        reopen(f);
        m.last_event = kn_queue_last_event(f->q); /* of those that were interrupted */
        check_model(f->q, &m);
        must(kn_queue_listen(f->q, hear, &m, err));
    }
    assert_true(m.n_completed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/queue_full", tests, NULL, NULL);
}
