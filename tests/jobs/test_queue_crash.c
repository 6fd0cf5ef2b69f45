/* A process that works on the queue is killed at 50 random moments: what it was promised is there every time. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "queue_fixture.h"

enum { N_KILLS = 50, MAX_JOBS = 20000, PAGE = KN_LIMIT_JOB_PAGE };

/* What the process says when a call has returned: that a job was submitted or completed. */
typedef struct message {
    char what; /* 'S', 'C', or 'R': ready */
    char id[KN_JOB_ID_BYTES];
} message;

/* ---- the process that is killed ---- */

static void say(int fd, char what, const char *id)
{
    message m = {.what = what};
    memcpy(m.id, id, strlen(id));
    if (write(fd, &m, sizeof m) != sizeof m)
        _exit(3);
}

static void give_up(const kn_err *why)
{
    fprintf(stderr, "the process: %s\n", why->msg);
    _exit(2);
}

static void submit_one(kn_queue *q, int fd, uint32_t dice)
{
    kn_err why = {0};
    kn_job job;
    json_t *request =
        json_pack("{s:s, s:i}", "prompt", "a red ball that rolls", "seed", (int)(dice & 0xffff));
    kn_job_spec spec = {.request = request, .priority = dice % 3};
    if (kn_queue_submit(q, &spec, &job, &why))
        give_up(&why);
    say(fd, 'S', job.id);
    kn_job_done(&job);
    json_decref(request);
}

static void work_one(kn_queue *q, int fd, uint32_t dice)
{
    kn_err why = {0};
    kn_job job;
    int rc = kn_queue_claim(q, &job, &why);
    if (rc == KN_ENOTFOUND)
        return;
    json_t *result = json_pack("{s:i}", "attempt", rc ? 0 : (int)job.attempt);
    for (int s = KN_JOB_LOADING; !rc && s <= KN_JOB_SAVING; s += 2)
        rc = kn_queue_advance(q, job.id, job.attempt, (kn_job_state)s, &why);
    if (!rc && dice % 8 == 0)
        rc = kn_queue_fail(q, job.id, job.attempt, &(kn_err){KN_EIO, "by chance"}, &why);
    else if (!rc)
        rc = kn_queue_complete(q, job.id, job.attempt, result, "/tmp/a.mp4", NULL, &why);
    if (rc)
        give_up(&why);
    if (dice % 8)
        say(fd, 'C', job.id);
    json_decref(result);
    kn_job_done(&job);
}

static void run_until_killed(const char *path, int fd, uint64_t seed)
{
    kn_queue *q;
    kn_rng rng;
    kn_err why = {0};
    kn_rng_seed(&rng, seed);
    if (kn_queue_open(path, NULL, &q, &why))
        give_up(&why);
    say(fd, 'R', "");
    for (;;) {
        uint32_t dice = kn_rng_u32(&rng);
        if (dice & 1)
            submit_one(q, fd, dice >> 1);
        else
            work_one(q, fd, dice >> 1);
    }
}

/* ---- what was promised ---- */

typedef struct known {
    char (*ids)[KN_JOB_ID_BYTES];
    int n;
} known;

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool has(const known *k, const char *id)
{
    return bsearch(id, k->ids, (size_t)k->n, sizeof *k->ids, compare) != NULL;
}

static void learn(known *k, const char *id)
{
    assert_in_range(k->n, 0, MAX_JOBS - 1);
    memcpy(k->ids[k->n++], id, KN_JOB_ID_BYTES);
}

static void sort(known *k)
{
    qsort(k->ids, (size_t)k->n, sizeof *k->ids, compare);
}

typedef struct book {
    known submitted, completed; /* sorted; what the process said, and what was found after it had died */
    int64_t last_event;
    uint64_t n_messages;
} book;

/* Everything that was said before the death. A job is completed once: neither said twice, nor after it was found so. */
static void read_messages(book *b, int fd)
{
    message m;
    known said = {.ids = calloc(MAX_JOBS, sizeof *said.ids)};
    assert_non_null(said.ids);
    while (read(fd, &m, sizeof m) == sizeof m) {
        b->n_messages++;
        if (m.what == 'S')
            learn(&b->submitted, m.id);
        else if (m.what == 'C')
            learn(&said, m.id);
    }
    sort(&b->submitted);
    sort(&said);
    for (int i = 0; i < said.n; i++) {
        assert_true(i == 0 || strcmp(said.ids[i - 1], said.ids[i]));
        if (has(&b->completed, said.ids[i]))
            fail_msg("%s was completed twice", said.ids[i]);
    }
    for (int i = 0; i < said.n; i++)
        learn(&b->completed, said.ids[i]);
    sort(&b->completed);
    free(said.ids);
}

static void check_job(const kn_job *j)
{
    if (kn_job_state_is_active(j->state) || j->wish != KN_WISH_NONE)
        fail_msg("%s is %s with wish %d, and nobody has it", j->id, kn_job_state_name(j->state),
                 (int)j->wish);
    assert_true((j->state == KN_JOB_COMPLETED) == (j->output != NULL));
    assert_true((j->state == KN_JOB_COMPLETED) == (j->result != NULL));
    assert_true(kn_job_state_is_final(j->state) == (j->finished_s > 0));
    assert_true((j->state == KN_JOB_FAILED || j->state == KN_JOB_INTERRUPTED) == (j->error != NULL));
    assert_in_range(j->n_lost, 0, 3);
    assert_true(j->n_lost < 3 || j->state == KN_JOB_FAILED);
}

/* All that the queue has, against all that was said. */
static void check_queue(book *b, kn_queue *q)
{
    known all = {.ids = calloc(MAX_JOBS, sizeof *all.ids)},
          done = {.ids = calloc(MAX_JOBS, sizeof *done.ids)};
    char before[KN_JOB_ID_BYTES] = "";
    assert_true(all.ids && done.ids);
    for (int n = PAGE; n == PAGE;) {
        kn_job *jobs;
        kn_job_filter page = {.limit = PAGE, .oldest_first = true, .before = *before ? before : NULL};
        must(kn_queue_list(q, &page, &jobs, &n, err));
        for (int i = 0; i < n; i++) {
            check_job(&jobs[i]);
            learn(&all, jobs[i].id);
            if (jobs[i].state == KN_JOB_COMPLETED)
                learn(&done, jobs[i].id);
            memcpy(before, jobs[i].id, sizeof before);
        }
        free_jobs(jobs, n);
    }
    for (int i = 0; i < b->submitted.n; i++)
        if (!has(&all, b->submitted.ids[i]))
            fail_msg("%s was submitted and is lost", b->submitted.ids[i]);
    for (int i = 0; i < b->completed.n; i++)
        if (!has(&done, b->completed.ids[i]))
            fail_msg("%s was completed and no longer is", b->completed.ids[i]);
    memcpy(b->completed.ids, done.ids, (size_t)done.n * sizeof *done.ids);
    b->completed.n = done.n;
    assert_true(kn_queue_last_event(q) >= b->last_event);
    b->last_event = kn_queue_last_event(q);
    free(all.ids);
    free(done.ids);
}

/* Starts the process, lets it live for a moment after it is ready, and kills it. Returns what it said. */
static int live_and_die(const char *path, kn_rng *rng, char *ret_first)
{
    int ends[2], status;
    uint64_t seed = kn_rng_u32(rng);
    long life_us = kn_rng_u32(rng) % 60000;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_until_killed(path, ends[1], seed);
    close(ends[1]);
    message ready;
    assert_int_equal(read(ends[0], &ready, sizeof ready), sizeof ready);
    *ret_first = ready.what;
    nanosleep(&(struct timespec){0, life_us * 1000}, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* and had not given up */
    return ends[0];
}

static void test_killed_at_random_moments(void **state)
{
    fixture *f = *state;
    const char *given = getenv("KN_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)kn_clock_ns();
    kn_rng rng;
    book b = {.submitted.ids = calloc(MAX_JOBS, KN_JOB_ID_BYTES),
              .completed.ids = calloc(MAX_JOBS, KN_JOB_ID_BYTES)};
    assert_true(b.submitted.ids && b.completed.ids);
    printf("KN_TEST_SEED=%llu\n", (unsigned long long)seed);
    kn_rng_seed(&rng, seed);
    kn_queue_close(f->q);
    f->q = NULL;
    for (int i = 0; i < N_KILLS; i++) {
        char first;
        int fd = live_and_die(f->path, &rng, &first);
        assert_int_equal(first, 'R');
        read_messages(&b, fd);
        close(fd);
        must(kn_queue_open(f->path, NULL, &f->q, err)); /* checks the file, too */
        check_queue(&b, f->q);
        kn_queue_close(f->q);
        f->q = NULL;
    }
    printf("%d jobs submitted, %d completed, %llu messages\n", b.submitted.n, b.completed.n,
           (unsigned long long)b.n_messages);
    assert_true(b.submitted.n > 0);
    assert_true(b.completed.n > 0);
    free(b.submitted.ids);
    free(b.completed.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_at_random_moments, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/queue_crash", tests, NULL, NULL);
}
