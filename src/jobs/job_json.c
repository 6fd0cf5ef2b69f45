#include "jobs/job_json.h"

#include "media/format.h"

static json_t *time_json(double s)
{
    return s > 0 ? json_real(s) : json_null();
}

static json_t *error_json(const kn_job *j)
{
    if (!j->error_code)
        return json_null();
    return json_pack("{s:s, s:o}", "code", kn_err_name(j->error_code), "message",
                     kn_json_text(j->error ? j->error : kn_err_text(j->error_code)));
}

static json_t *url_json(const kn_job *j, bool exists, const char *what)
{
    return exists ? json_sprintf("/api/v1/jobs/%s/%s", j->id, what) : json_null();
}

/* Shares a value; null for one that is not there. */
static json_t *value_json(json_t *v)
{
    return v ? json_incref(v) : json_null();
}

json_t *kn_job_to_json(const kn_job *j, json_t *progress)
{
    bool is_active = kn_job_state_is_active(j->state);
    return json_pack(
        "{s:s, s:s, s:s?, s:O?, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:o}",
        "id", j->id, "state", kn_job_state_name(j->state), "wish", kn_job_wish_name(j->wish), "model",
        json_object_get(j->request, "model"), "priority", (json_int_t)j->priority, "attempt",
        (json_int_t)j->attempt, "created_at", time_json(j->created_s), "started_at", time_json(j->started_s),
        "finished_at", time_json(j->finished_s), "request", value_json(j->request), "labels",
        value_json(j->labels), "plan", value_json(j->plan), "progress",
        value_json(is_active ? progress : NULL), "result", value_json(j->result), "error", error_json(j),
        "video_url", url_json(j, j->output, "video"), "video_type",
        j->output ? kn_video_type(j->output) : NULL, "thumbnail_url", url_json(j, j->thumbnail, "thumbnail"),
        "preview_url", url_json(j, is_active, "preview"));
}
