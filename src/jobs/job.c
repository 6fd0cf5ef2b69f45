#include "jobs/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const names[] = {
#define X(sym, name) [sym] = name,
    KN_JOB_STATE_LIST(X)
#undef X
};

const char *kn_job_state_name(kn_job_state s)
{
    KN_ASSERT((unsigned)s < KN_JOB_STATE_COUNT);
    return names[s];
}

int kn_job_state_parse(const char *name, kn_job_state *ret, kn_err *err)
{
    for (int s = 0; s < KN_JOB_STATE_COUNT; s++)
        if (!strcmp(name, names[s])) {
            *ret = (kn_job_state)s;
            return 0;
        }
    char known[256] = "";
    for (int s = 0, n = 0; s < KN_JOB_STATE_COUNT; s++)
        n += snprintf(known + n, sizeof known - (size_t)n, s ? ", %s" : "%s", names[s]);
    return kn_fail(err, KN_EINVAL, "no state of a job is called \"%.40s\", expected one of %s", name, known);
}

bool kn_job_state_is_active(kn_job_state s)
{
    return s >= KN_JOB_PLANNING && s <= KN_JOB_SAVING;
}

bool kn_job_state_is_waiting(kn_job_state s)
{
    return s == KN_JOB_QUEUED || s == KN_JOB_INTERRUPTED;
}

bool kn_job_state_is_final(kn_job_state s)
{
    return s == KN_JOB_COMPLETED || s == KN_JOB_FAILED || s == KN_JOB_CANCELLED;
}

const char *kn_job_wish_name(kn_job_wish w)
{
    return w == KN_WISH_CANCEL ? "cancel" : w == KN_WISH_PAUSE ? "pause" : NULL;
}

void kn_job_done(kn_job *j)
{
    json_decref(j->request);
    json_decref(j->labels);
    json_decref(j->plan);
    json_decref(j->result);
    free(j->error);
    free(j->output);
    free(j->thumbnail);
    *j = (kn_job){0};
}
