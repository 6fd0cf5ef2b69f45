/* Webhooks and deliveries as clients of the API see them (docs/api.md). */
#include "server/webhooks.h"

static json_t *time_json(double s)
{
    return s > 0 ? json_real(s) : json_null();
}

json_t *kn_webhook_to_json(const kn_webhook *w)
{
    json_t *events = json_array();
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        if (w->states & 1u << i)
            json_array_append_new(events, json_string(kn_job_state_name((kn_job_state)i)));
    return json_pack("{s:s, s:s, s:o, s:b, s:s?, s:f}", "id", w->id, "url", w->url, "events", events,
                     "active", w->is_active, "why_inactive", w->why, "created_at", w->created_s);
}

json_t *kn_delivery_to_json(const kn_delivery *d)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:f, s:o, s:O}", "id", d->id, "event",
                     json_sprintf("job.%s", kn_job_state_name(d->event)), "job_id", d->job_id, "state",
                     kn_delivery_state_name(d->state), "created_at", d->created_s, "next_attempt_at",
                     d->state == KN_DELIVERY_WAITING ? time_json(d->due_s) : json_null(), "attempts",
                     d->attempts);
}
