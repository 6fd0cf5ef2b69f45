#include "server/download_list.h"

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

bool kn_download_is(const json_t *o, const char *state)
{
    const char *is = text_of(o, "state");
    return is && strcmp(is, state) == 0;
}

bool kn_download_is_active(const json_t *o)
{
    return kn_download_is(o, "queued") || kn_download_is(o, "running");
}

void kn_download_put_in_line(json_t *o)
{
    static const char *const cleared[] = {"phase", "bytes_per_s", "eta_s",       "note",
                                          "error", "started_at",  "finished_at", "was_there"};
    json_object_set_new(o, "state", json_string("queued"));
    for (size_t i = 0; i < sizeof cleared / sizeof *cleared; i++)
        json_object_set_new(o, cleared[i], json_null());
}

json_t *kn_download_make(const char *id, const kn_download_spec *s)
{
    json_t *o = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:i, s:n, s:i, s:n, s:n, s:n, s:f}", "id", id,
                          "model", s->model, "revision", s->revision, "file", s->file, "variant", s->variant,
                          "done_bytes", 0, "total_bytes", "done_files", 0, "total_files", "path", "commit",
                          "created_at", (double)kn_clock_unix_ms() / 1e3);
    if (o)
        kn_download_put_in_line(o);
    return o;
}

json_t *kn_download_find(json_t *list, const char *id)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        if (strcmp(text_of(o, "id"), id) == 0)
            return o;
    }
    return NULL;
}

json_t *kn_download_next(json_t *list)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        if (kn_download_is(o, "queued"))
            return o;
    }
    return NULL;
}

const json_t *kn_download_active(const json_t *list, const char *model)
{
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)list, i, o)
    {
        if (kn_download_is_active(o) && strcmp(text_of(o, "model"), model) == 0)
            return o;
    }
    return NULL;
}

static bool is_good(const json_t *o)
{
    return text_of(o, "id") && strncmp(text_of(o, "id"), "dl_", 3) == 0 && text_of(o, "state") &&
           kn_hub_check_id(text_of(o, "model"), NULL) == 0;
}

json_t *kn_download_list_read(const json_t *stored)
{
    size_t i;
    json_t *o, *list = json_array();
    json_array_foreach((json_t *)(uintptr_t)stored, i, o)
    {
        if (!is_good(o))
            continue;
        if (kn_download_is_active(o))
            kn_download_put_in_line(o);
        json_array_append(list, o);
    }
    return list;
}

int kn_download_list_make_room(json_t *list, kn_err *err)
{
    size_t i;
    json_t *o;
    if (json_array_size(list) < KN_LIMIT_DOWNLOADS)
        return 0;
    json_array_foreach(list, i, o)
    {
        if (!kn_download_is_active(o)) {
            json_array_remove(list, i);
            return 0;
        }
    }
    return kn_fail(err, KN_EBUSY, "%d downloads wait, which is the most; cancel one or wait",
                   KN_LIMIT_DOWNLOADS);
}
