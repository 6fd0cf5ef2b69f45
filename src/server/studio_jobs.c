/* What routes do with a job beside asking the queue. */
#define _GNU_SOURCE
#include <time.h>

#include "base/limits.h"
#include "jobs/job_json.h"
#include "jobs/retention.h"
#include "server/studio.h"

enum { POLL_MS = 50 };

/* Stops the job first; waits for its worker as long as stopping may take. */
static int stop_for_good(kn_studio *s, const char *id, kn_err *err)
{
    kn_job job = {0};
    int rc = kn_queue_cancel(s->queue, id, &job, err);
    for (int waited = 0; !rc && !kn_job_state_is_final(job.state); waited += POLL_MS) {
        if (waited > 2 * KN_LIMIT_STOP_S * 1000)
            rc = kn_fail(err, KN_EBUSY, "%s: its worker does not stop; try again", id);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
        kn_job_done(&job);
        if (!rc)
            rc = kn_queue_get(s->queue, id, &job, err);
    }
    kn_job_done(&job);
    return rc;
}

int kn_studio_delete(kn_studio *s, const char *id, kn_err *err)
{
    kn_job job = {0};
    int rc = stop_for_good(s, id, err);
    if (!rc)
        rc = kn_queue_get(s->queue, id, &job, err);
    if (!rc) /* first: files without a row are never found again */
        rc = kn_job_files_remove(&job, err);
    if (!rc)
        rc = kn_queue_remove(s->queue, id, NULL, err);
    if (!rc)
        kn_places_drop(&s->places, job.id);
    kn_job_done(&job);
    return rc;
}

int kn_studio_reply_kept(kn_studio *s, const kn_http_request *rq, kn_reply *reply, kn_handler make,
                         kn_err *err)
{
    kn_stamp now = {kn_queue_last_event(s->queue), atomic_load(&s->n_progress),
                    kn_supervisor_is_held(s->supervisor)};
    char *kept = kn_answers_find(s->answers, kn_http_target(rq), &now);
    if (kept)
        return kn_reply_text(reply, 200, kept, err);
    int rc = make(s, rq, reply, err);
    if (!rc && kn_reply_json_text(reply))
        kn_answers_keep(s->answers, kn_http_target(rq), &now, kn_reply_json_text(reply));
    return rc;
}

json_t *kn_studio_job_to_json(kn_studio *s, const kn_job *j)
{
    json_t *progress = kn_job_state_is_active(j->state) ? kn_supervisor_progress(s->supervisor, j->id) : NULL;
    json_t *o = kn_job_to_json(j, progress);
    json_decref(progress);
    return o;
}
