#define _GNU_SOURCE
#include "jobs/supervisor.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "jobs/slot.h"

struct kn_supervisor {
    kn_slot slots[KN_LIMIT_WORKERS];
    int n_slots;
    kn_slot_shared shared;
};

static void wake_all(kn_supervisor *s)
{
    for (int i = 0; i < s->n_slots; i++)
        kn_slot_wake(&s->slots[i]);
}

/* A new job, or a wish of a running one. */
static void on_queue(void *ud, const kn_queue_event *e)
{
    if (e->job && (kn_job_state_is_waiting(e->job->state) || e->job->wish))
        wake_all(ud);
}

int kn_supervisor_start(const kn_supervisor_opts *opts, const kn_places *places, kn_queue *queue,
                        kn_supervisor **ret, kn_err *err)
{
    if (opts->n_workers < 0 || opts->n_workers > KN_LIMIT_WORKERS)
        return kn_fail(err, KN_EINVAL, "%d workers, expected 0 to %d", opts->n_workers, KN_LIMIT_WORKERS);
    kn_supervisor *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory for the supervisor");
    s->shared = (kn_slot_shared){
        .opts = *opts, .places = places, .queue = queue, .held = opts->is_held, .keep_s = opts->keep_s};
    s->shared.slots = s->slots;
    s->shared.opts.program = kn_strdup(opts->program);
    int rc = s->shared.opts.program ? 0 : kn_fail(err, KN_ENOMEM, "no memory for the supervisor");
    for (; !rc && s->n_slots < opts->n_workers; s->n_slots += !rc)
        rc = kn_slot_init(&s->slots[s->n_slots], &s->shared, err);
    s->shared.n_slots = s->n_slots;
    if (!rc)
        rc = kn_queue_listen(queue, on_queue, s, err);
    for (int i = 0; !rc && i < s->n_slots; i++)
        rc = kn_slot_start(&s->slots[i], err);
    if (rc)
        kn_supervisor_stop(s);
    else
        *ret = s;
    return rc;
}

void kn_supervisor_stop(kn_supervisor *s)
{
    if (!s)
        return;
    atomic_store(&s->shared.stopping, true);
    wake_all(s);
    for (int i = 0; i < s->n_slots; i++)
        kn_slot_join(&s->slots[i]);
    for (int i = 0; i < s->n_slots; i++)
        kn_slot_done(&s->slots[i]);
    free((char *)s->shared.opts.program);
    free(s);
}

void kn_supervisor_hold(kn_supervisor *s, bool hold)
{
    atomic_store(&s->shared.held, hold);
    wake_all(s);
}

bool kn_supervisor_is_held(kn_supervisor *s)
{
    return atomic_load(&s->shared.held);
}

json_t *kn_supervisor_progress(kn_supervisor *s, const char *job_id)
{
    json_t *progress = NULL;
    for (int i = 0; i < s->n_slots && !progress; i++)
        progress = kn_slot_progress(&s->slots[i], job_id);
    return progress;
}

json_t *kn_supervisor_to_json(kn_supervisor *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->n_slots; i++)
        json_array_append_new(all, kn_slot_to_json(&s->slots[i]));
    return all;
}

void kn_supervisor_keep(kn_supervisor *s, int64_t seconds)
{
    atomic_store(&s->shared.keep_s, seconds);
    if (!seconds)
        kn_supervisor_unload(s);
}

void kn_supervisor_unload(kn_supervisor *s)
{
    for (int i = 0; i < s->n_slots; i++)
        kn_slot_unload(&s->slots[i]);
}

size_t kn_supervisor_idle_bytes(kn_supervisor *s)
{
    size_t bytes = 0;
    for (int i = 0; i < s->n_slots; i++)
        bytes += kn_slot_idle_bytes(&s->slots[i]);
    return bytes;
}

json_t *kn_supervisor_loaded(kn_supervisor *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->n_slots; i++) {
        json_t *slot = kn_slot_to_json(&s->slots[i]);
        json_array_extend(all, json_object_get(slot, "loaded"));
        json_decref(slot);
    }
    return all;
}
