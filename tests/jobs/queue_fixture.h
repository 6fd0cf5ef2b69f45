/* A queue in an own folder, and jobs in any state. */
#ifndef KN_TESTS_JOBS_QUEUE_FIXTURE_H
#define KN_TESTS_JOBS_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "jobs/job_json.h"
#include "jobs/queue.h"

typedef struct fixture {
    char dir[64], path[96];
    kn_queue *q;
} fixture;

#define must(call)                                                                                           \
    do {                                                                                                     \
        kn_err must_err_ = {0}, *err = &must_err_;                                                           \
        (void)err;                                                                                           \
        if (call)                                                                                            \
            fail_msg("%s: %s", #call, must_err_.msg);                                                        \
    } while (0)

static inline void reopen(fixture *f)
{
    kn_queue_close(f->q);
    f->q = NULL;
    must(kn_queue_open(f->path, NULL, &f->q, err));
}

static inline int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/kn-test-queue-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/queue.db", f->dir);
    reopen(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture *f = *state;
    kn_queue_close(f->q);
    unlink(f->path);
    int rc = rmdir(f->dir); /* nothing else was left behind */
    free(f);
    return rc;
}

/* Its id in `id`. */
static inline void submit(kn_queue *q, const char *prompt, int64_t priority, char id[KN_JOB_ID_BYTES])
{
    kn_job job;
    json_t *request = json_pack("{s:s, s:s}", "model", "testsrc", "prompt", prompt);
    must(kn_queue_submit(q, &(kn_job_spec){.request = request, .priority = priority}, &job, err));
    json_decref(request);
    memcpy(id, job.id, KN_JOB_ID_BYTES);
    kn_job_done(&job);
}

static inline kn_job_state state_of(kn_queue *q, const char *id)
{
    kn_job job;
    must(kn_queue_get(q, id, &job, err));
    kn_job_state state = job.state;
    kn_job_done(&job);
    return state;
}

/* Claims; fails the test if it is another job than `id`. Returns the attempt. */
static inline int64_t claim(kn_queue *q, const char *id)
{
    kn_job job;
    must(kn_queue_claim(q, &job, err));
    int64_t attempt = job.attempt;
    assert_string_equal(job.id, id);
    assert_int_equal(job.state, KN_JOB_PLANNING);
    kn_job_done(&job);
    return attempt;
}

/* A new job in `state`, the only one that waited; returns its attempt. */
static inline int64_t make_job(kn_queue *q, kn_job_state state, char id[KN_JOB_ID_BYTES])
{
    int64_t attempt = 0;
    submit(q, "a cat", 0, id);
    if (state == KN_JOB_CANCELLED) {
        must(kn_queue_cancel(q, id, NULL, err));
    } else if (state == KN_JOB_PAUSED) {
        must(kn_queue_pause(q, id, NULL, err));
    } else if (state != KN_JOB_QUEUED) {
        attempt = claim(q, id);
        if (kn_job_state_is_active(state))
            must(kn_queue_advance(q, id, attempt, state, err));
        else if (state == KN_JOB_COMPLETED)
            must(kn_queue_complete(q, id, attempt, NULL, "/tmp/a.mp4", NULL, err));
        else if (state == KN_JOB_FAILED)
            must(kn_queue_fail(q, id, attempt, &(kn_err){KN_EFORMAT, "a bad file"}, err));
        else
            must(kn_queue_interrupt(q, id, attempt, true, "killed", err));
    }
    assert_int_equal(state_of(q, id), state);
    return attempt;
}

/* Ends the job whatever its state. */
static inline void put_away(kn_queue *q, const char *id, int64_t attempt)
{
    kn_job job;
    if (kn_queue_get(q, id, &job, NULL))
        return;
    if (kn_job_state_is_active(job.state))
        must(kn_queue_complete(q, id, attempt, NULL, NULL, NULL, err));
    else if (!kn_job_state_is_final(job.state))
        must(kn_queue_cancel(q, id, NULL, err));
    kn_job_done(&job);
}

static inline void free_jobs(kn_job *jobs, int n)
{
    for (int i = 0; i < n; i++)
        kn_job_done(&jobs[i]);
    free(jobs);
}

#endif
