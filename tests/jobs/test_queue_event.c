/* What listeners hear, what is told again, and many threads at once. */
#include <pthread.h>

#include "jobs/queue_internal.h"
#include "queue_fixture.h"

enum { MAX_HEARD = 1000 };

/* What a listener heard; only ever called by one thread at a time. */
typedef struct ear {
    kn_queue *q; /* read from inside the listener, if set */
    int n;
    int64_t ids[MAX_HEARD];
    kn_job_state states[MAX_HEARD]; /* KN_JOB_STATE_COUNT: removed */
    char jobs[MAX_HEARD][KN_JOB_ID_BYTES];
} ear;

static void hear(void *ud, const kn_queue_event *e)
{
    ear *r = ud;
    assert_in_range(r->n, 0, MAX_HEARD - 1);
    bool is_removed = !strcmp(e->type, "removed");
    assert_true(is_removed || !strcmp(e->type, "job"));
    assert_int_equal(e->job == NULL, is_removed);
    if (e->job)
        assert_string_equal(e->job->id, e->job_id);
    if (r->q && e->job) {
        kn_job now;
        must(kn_queue_get(r->q, e->job_id, &now, err)); /* the lock is not held, the change is there */
        kn_job_done(&now);
    }
    r->ids[r->n] = e->id;
    r->states[r->n] = is_removed ? KN_JOB_STATE_COUNT : e->job->state;
    memcpy(r->jobs[r->n++], e->job_id, strlen(e->job_id) + 1);
}

static ear *new_ear(void)
{
    ear *r = calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

static void test_listen(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    ear *a = new_ear(), *b = new_ear(), *c = new_ear();
    kn_err why = {0};
    a->q = f->q;
    must(kn_queue_listen(f->q, hear, a, err));
    must(kn_queue_listen(f->q, hear, b, err));
    for (int i = 2; i < KN_LIMIT_LISTENERS; i++)
        must(kn_queue_listen(f->q, hear, c, err));
    assert_int_equal(kn_queue_listen(f->q, hear, a, &why), KN_ELIMIT);
    int64_t attempt = make_job(f->q, KN_JOB_SAMPLING, id);
    assert_int_equal(kn_queue_advance(f->q, id, attempt, KN_JOB_SAMPLING, &why), 0); /* no change */
    assert_int_equal(kn_queue_advance(f->q, id, attempt + 1, KN_JOB_SAVING, &why), KN_EBUSY);
    must(kn_queue_cancel(f->q, id, NULL, err));
    must(kn_queue_cancel(f->q, id, NULL, err)); /* said already */
    must(kn_queue_stopped(f->q, id, attempt, err));
    must(kn_queue_remove(f->q, id, NULL, err));
    static const kn_job_state expected[] = {KN_JOB_QUEUED,   KN_JOB_PLANNING,  KN_JOB_SAMPLING,
                                            KN_JOB_SAMPLING, KN_JOB_CANCELLED, KN_JOB_STATE_COUNT};
    assert_int_equal(a->n, 6);
    assert_int_equal(b->n, 6);
    assert_int_equal(c->n, 6 * (KN_LIMIT_LISTENERS - 2));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(a->states[i], expected[i]);
        assert_int_equal(b->states[i], expected[i]);
        assert_int_equal(a->ids[i], i + 1);
    }
    assert_int_equal(kn_queue_last_event(f->q), 6);
    free(a);
    free(b);
    free(c);
}

static void test_replay(void **state)
{
    fixture *f = *state;
    char ids[3][KN_JOB_ID_BYTES];
    ear *r = new_ear();
    make_job(f->q, KN_JOB_COMPLETED, ids[0]);       /* events 1 to 3 */
    make_job(f->q, KN_JOB_CANCELLED, ids[1]);       /* 4, 5 */
    submit(f->q, "c", 0, ids[2]);                   /* 6 */
    must(kn_queue_remove(f->q, ids[0], NULL, err)); /* 7 */
    reopen(f);
    r->q = f->q;
    must(kn_queue_replay(f->q, 0, hear, r, err));
    static const int64_t event[] = {5, 6, 7};
    static const int job[] = {1, 2, 0};
    static const kn_job_state then[] = {KN_JOB_CANCELLED, KN_JOB_QUEUED, KN_JOB_STATE_COUNT};
    assert_int_equal(r->n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r->ids[i], event[i]);
        assert_int_equal(r->states[i], then[i]);
        assert_string_equal(r->jobs[i], ids[job[i]]);
    }
    r->n = 0;
    must(kn_queue_replay(f->q, 6, hear, r, err));
    assert_int_equal(r->n, 1);
    must(kn_queue_replay(f->q, 7, hear, r, err));
    must(kn_queue_replay(f->q, 1000, hear, r, err));
    assert_int_equal(r->n, 1);
    free(r);
}

/* An id never comes again, even if every event before it is gone. */
static void test_ids_of_events_only_grow(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    submit(f->q, "a", 0, id);
    must(kn_queue_cancel(f->q, id, NULL, err));
    must(kn_queue_remove(f->q, id, NULL, err));
    reopen(f);
    assert_int_equal(kn_queue_last_event(f->q), 3);
    submit(f->q, "b", 0, id);
    assert_int_equal(kn_queue_last_event(f->q), 4);
}

typedef struct tally {
    int n;
    int64_t first, last;
} tally;

static void count(void *ud, const kn_queue_event *e)
{
    tally *t = ud;
    if (t->n++ == 0)
        t->first = e->id;
    assert_true(e->id > t->last);
    t->last = e->id;
}

static void test_old_events_go(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    tally t = {0};
    kn_db *db;
    kn_queue_close(f->q);
    f->q = NULL;
    must(kn_db_open(f->path, &kn_queue_schema, &db, err));
    must(kn_db_exec(db,
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
                    "INSERT INTO events (job_id, what) SELECT printf('job_%020d', i), 'queued' FROM n",
                    err));
    kn_db_close(db);
    reopen(f);
    assert_int_equal(kn_queue_last_event(f->q), 6000);
    submit(f->q, "a cat", 0, id);
    must(kn_queue_replay(f->q, 0, count, &t, err));
    assert_int_equal(t.n, KN_LIMIT_EVENT_REPLAY);
    assert_int_equal(t.last, 6001);
    assert_int_equal(t.first, 6001 - KN_LIMIT_EVENT_REPLAY + 1);
    kn_queue_close(f->q);
    f->q = NULL;
    must(kn_db_open(f->path, &kn_queue_schema, &db, err));
    kn_stmt st;
    int64_t n = 0;
    kn_stmt_init(&st, db, "SELECT count(*) FROM events");
    must(kn_stmt_run_int(&st, 0, &n, err));
    assert_int_equal(n, KN_LIMIT_EVENT_REPLAY);
    kn_db_close(db);
}

/* ---- threads ---- */

enum { N_SUBMITTERS = 3, N_WORKERS = 3, N_JOBS_EACH = 12, N_JOBS = N_SUBMITTERS * N_JOBS_EACH };

typedef struct crowd {
    kn_queue *q;
    pthread_mutex_t lock;
    int n_done;
} crowd;

static void *submit_some(void *ud)
{
    crowd *c = ud;
    char id[KN_JOB_ID_BYTES];
    for (int i = 0; i < N_JOBS_EACH; i++)
        submit(c->q, "a cat", i % 3, id);
    return NULL;
}

static bool all_done(crowd *c, int more)
{
    pthread_mutex_lock(&c->lock);
    c->n_done += more;
    bool done = c->n_done == N_JOBS;
    pthread_mutex_unlock(&c->lock);
    return done;
}

static void *work(void *ud)
{
    crowd *c = ud;
    kn_job job;
    int rc;
    while (!all_done(c, 0)) {
        while (!(rc = kn_queue_claim(c->q, &job, NULL))) {
            must(kn_queue_advance(c->q, job.id, job.attempt, KN_JOB_SAMPLING, err));
            must(kn_queue_complete(c->q, job.id, job.attempt, NULL, NULL, NULL, err));
            kn_job_done(&job);
            all_done(c, 1);
        }
        assert_int_equal(rc, KN_ENOTFOUND);
    }
    return NULL;
}

static void *look(void *ud)
{
    crowd *c = ud;
    ear *r = new_ear();
    while (!all_done(c, 0)) {
        kn_job *jobs;
        int n;
        int64_t counts[KN_JOB_STATE_COUNT];
        must(kn_queue_list(c->q, &(kn_job_filter){.limit = 20}, &jobs, &n, err));
        free_jobs(jobs, n);
        must(kn_queue_count(c->q, counts, err));
        r->n = 0;
        must(kn_queue_replay(c->q, kn_queue_last_event(c->q) - 20, hear, r, err));
    }
    free(r);
    return NULL;
}

/* Each listener hears everything once, in order; of each job its four states in order. */
static void check_heard(const ear *r)
{
    assert_int_equal(r->n, 4 * N_JOBS);
    for (int i = 0; i < r->n; i++)
        assert_int_equal(r->ids[i], i + 1);
    for (int i = 0; i < r->n; i++) {
        static const kn_job_state before[KN_JOB_STATE_COUNT] = {
            [KN_JOB_PLANNING] = KN_JOB_QUEUED,
            [KN_JOB_SAMPLING] = KN_JOB_PLANNING,
            [KN_JOB_COMPLETED] = KN_JOB_SAMPLING,
        };
        int last = i - 1;
        while (last >= 0 && strcmp(r->jobs[last], r->jobs[i]))
            last--;
        if (last < 0)
            assert_int_equal(r->states[i], KN_JOB_QUEUED);
        else
            assert_int_equal(r->states[last], before[r->states[i]]);
    }
}

static void test_threads(void **state)
{
    fixture *f = *state;
    crowd c = {.q = f->q, .lock = PTHREAD_MUTEX_INITIALIZER};
    ear *a = new_ear(), *b = new_ear();
    pthread_t threads[N_SUBMITTERS + N_WORKERS + 1];
    int n = 0;
    a->q = f->q;
    must(kn_queue_listen(f->q, hear, a, err));
    must(kn_queue_listen(f->q, hear, b, err));
    for (int i = 0; i < N_SUBMITTERS; i++)
        assert_int_equal(pthread_create(&threads[n++], NULL, submit_some, &c), 0);
    for (int i = 0; i < N_WORKERS; i++)
        assert_int_equal(pthread_create(&threads[n++], NULL, work, &c), 0);
    assert_int_equal(pthread_create(&threads[n++], NULL, look, &c), 0);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    check_heard(a);
    check_heard(b);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_of_events_only_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_events_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/queue_event", tests, NULL, NULL);
}
