/* What the worker of a slot keeps loaded between jobs (engine/warm.h). */
#include <string.h>

#include "jobs/slot.h"

void kn_slot_set_loaded(kn_slot *s, const json_t *parts)
{
    pthread_mutex_lock(&s->lock);
    json_decref(s->loaded);
    s->loaded = parts ? json_deep_copy(parts) : NULL;
    pthread_mutex_unlock(&s->lock);
}

size_t kn_slot_idle_bytes(kn_slot *s)
{
    size_t bytes = 0, i;
    json_t *part;
    pthread_mutex_lock(&s->lock);
    json_array_foreach(s->loaded, i, part)
    {
        if (!json_is_true(json_object_get(part, "is_mapped")))
            bytes += (size_t)json_integer_value(json_object_get(part, "bytes"));
    }
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

void kn_slot_unload(kn_slot *s)
{
    atomic_store(&s->unload, true);
    kn_slot_wake(s);
}

void kn_slot_pass_unload_on(kn_slot *s)
{
    if (atomic_exchange(&s->unload, false) && s->child.pid)
        kn_wire_send(&s->child.wire, json_pack("{s:s}", "do", "unload"), NULL);
}

void kn_slot_make_room(const kn_slot *s)
{
    for (int i = 0; i < s->shared->n_slots; i++) {
        kn_slot *other = &s->shared->slots[i];
        if (other == s)
            continue;
        pthread_mutex_lock(&other->lock);
        bool is_idle = strcmp(other->state, "idle") == 0;
        pthread_mutex_unlock(&other->lock);
        if (is_idle)
            kn_slot_unload(other);
    }
}
