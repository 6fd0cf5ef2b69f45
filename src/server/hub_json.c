#include "server/hub_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "models/models.h"

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static const char *support_of(const char *class)
{
    if (!class)
        return "unknown";
    for (int i = 0; kn_models[i]; i++)
        if (!kn_models[i]->is_builtin &&
            strncasecmp(class, kn_models[i]->name, strlen(kn_models[i]->name)) == 0)
            return "likely";
    return "not_supported";
}

void kn_hub_add_local(json_t *model, const char *models_dir)
{
    const char *id = text_of(model, "id");
    char *list = id ? kn_asprintf("%s/%s/.kinora-hub.json", models_dir, id) : NULL;
    json_object_set_new(model, "installed", json_boolean(list && kn_path_exists(list)));
    json_object_set_new(model, "support", json_string(support_of(text_of(model, "class"))));
    free(list);
}

json_t *kn_hub_to_item(const json_t *m)
{
    const char *id = text_of(m, "id");
    return json_pack("{s:s, s:s, s:s, s:s, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?}",
                     "source", "huggingface", "provider", "huggingface", "id", id ? id : "", "name",
                     id ? kn_path_base(id) : "", "author", json_object_get(m, "author"), "downloads",
                     json_object_get(m, "downloads"), "likes", json_object_get(m, "likes"), "updated_at",
                     json_object_get(m, "updated_at"), "pipeline_tag", json_object_get(m, "pipeline_tag"),
                     "tags", json_object_get(m, "tags"), "gated", json_object_get(m, "gated"), "installed",
                     json_object_get(m, "installed"), "support_level", json_object_get(m, "support"),
                     "size_bytes", json_object_get(m, "size_bytes"));
}

static const char *status_of(const char *state)
{
    return strcmp(state, "failed") == 0 ? "error" : state;
}

json_t *kn_download_to_task(const json_t *d)
{
    const char *state = text_of(d, "state") ? text_of(d, "state") : "failed", *phase = text_of(d, "phase");
    double done = json_number_value(json_object_get(d, "done_bytes")),
           total = json_number_value(json_object_get(d, "total_bytes"));
    bool is_over = strcmp(state, "queued") && strcmp(state, "running");
    json_t *created = json_object_get(d, "created_at"), *ended = json_object_get(d, "finished_at");
    char message[96];
    snprintf(message, sizeof message, "%s%s%.40s", state, phase ? ": " : "", phase ? phase : "");
    return json_pack(
        "{s:O?, s:s, s:s, s:s, s:f, s:s, s:O?, s:o, s:O?, s:O?, s:o, s:O?, s:O?, s:O?, s:b}", "id",
        json_object_get(d, "id"), "task_type", "download", "status", status_of(state), "step",
        phase ? phase : state, "progress",
        strcmp(state, "completed") == 0 ? 1.0
        : total > 0                     ? done / total
                                        : 0.0,
        "message", message, "created_at", created, "updated_at",
        is_over && json_is_number(ended) ? json_incref(ended) : json_real((double)kn_clock_unix()),
        "started_at", json_object_get(d, "started_at"), "finished_at", ended, "result",
        strcmp(state, "completed")
            ? json_null()
            : json_pack("{s:O?, s:O?, s:O?}", "repo_id", json_object_get(d, "model"), "local_path",
                        json_object_get(d, "path"), "revision", json_object_get(d, "commit")),
        "error", json_object_get(json_object_get(d, "error"), "message"), "downloaded_bytes",
        json_object_get(d, "done_bytes"), "total_bytes", json_object_get(d, "total_bytes"),
        "cancel_requested", strcmp(state, "cancelled") == 0);
}
