#define _GNU_SOURCE
#include "server/model_remove.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "models/demo.h"
#include "models/models.h"

/* Plain segments only; a hidden one is the studio's own. */
static bool is_plain(const char *name)
{
    bool begins = true;
    for (const char *p = name; *p; p++) {
        if ((begins && (*p == '/' || *p == '.')) || (unsigned char)*p < ' ')
            return false;
        begins = *p == '/';
    }
    return *name && !begins;
}

static bool is_builtin(const char *name)
{
    for (int i = 0; kn_models[i]; i++)
        if (kn_models[i]->is_builtin && strcmp(kn_models[i]->name, name) == 0)
            return true;
    return strcmp(name, KN_DEMO_NAME) == 0;
}

/* ---- who uses it ---- */

static bool is_below(const char *path, const char *root)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (!path[n] || path[n] == '/');
}

/* Any text of a request that is the model, something in it, or a folder that has it. */
static bool names_model(const json_t *v, const char *name)
{
    const char *key, *text = json_string_value(v);
    json_t *item;
    size_t i;
    if (text)
        return is_below(text, name) || (*text && is_below(name, text));
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        if (strcmp(key, "prompt") && strcmp(key, "negative_prompt") && names_model(item, name))
            return true;
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, item)
    {
        if (names_model(item, name))
            return true;
    }
    return false;
}

static int check_jobs(kn_queue *queue, const char *name, kn_err *err)
{
    kn_job_filter f = {.limit = KN_LIMIT_JOB_PAGE};
    kn_job *jobs = NULL;
    int n = 0;
    for (int s = 0; s < KN_JOB_STATE_COUNT; s++)
        f.states |= kn_job_state_is_active((kn_job_state)s) ? 1u << s : 0;
    int rc = kn_queue_list(queue, &f, &jobs, &n, err);
    for (int i = 0; i < n; i++) {
        if (!rc && names_model(jobs[i].request, name))
            rc = kn_fail(err, KN_EBUSY, "%s is used by %s, which runs; cancel it or wait", name, jobs[i].id);
        kn_job_done(&jobs[i]);
    }
    free(jobs);
    return rc;
}

/* ---- removing ---- */

/* The folder that has it must be below the models folder, by links neither. */
static int check_parent(const kn_places *p, const char *path, const char *name, kn_err *err)
{
    char *folder = kn_strndup(path, (size_t)(kn_path_base(path) - path));
    char *real = folder ? realpath(folder, NULL) : NULL, *root = realpath(p->models, NULL);
    bool ok = real && root && is_below(real, root);
    free(folder);
    free(real);
    free(root);
    return ok ? 0 : kn_fail(err, KN_EINVAL, "model: \"%.200s\" leads out of the models folder", name);
}

static bool is_model(const char *path)
{
    const kn_model_desc *d = NULL;
    char *found = NULL, *index = kn_path_join(path, "model_index.json"),
         *list = kn_path_join(path, ".kinora-hub.json");
    bool is = (index && kn_path_exists(index)) || (list && kn_path_exists(list)) ||
              kn_model_find(path, &d, &found, NULL) == 0;
    free(found);
    free(index);
    free(list);
    return is;
}

/* It is gone at once under its name; the bytes go afterwards. */
static int take_away(const kn_places *p, const char *path, kn_err *err)
{
    char *partials = kn_path_join(p->models, ".partial");
    char *away =
        partials ? kn_asprintf("%s/removed-%lld-%d", partials, (long long)kn_clock_unix_ms(), (int)getpid())
                 : NULL;
    int rc = away ? kn_dir_make(partials, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && rename(path, away))
        rc = kn_fail(err, KN_EIO, "cannot remove %s: %s", path, strerror(errno));
    if (!rc)
        rc = kn_dir_remove(away, err);
    free(partials);
    free(away);
    return rc;
}

int kn_model_remove(const kn_places *places, kn_queue *queue, const char *name, kn_err *err)
{
    struct stat st;
    if (is_builtin(name))
        return kn_fail(err, KN_EINVAL, "model: %s comes with Kinora and cannot be removed", name);
    if (!is_plain(name))
        return kn_fail(err, KN_EINVAL, "model: \"%.200s\", expected a name as in the list of models", name);
    char *path = kn_path_join(places->models, name);
    int rc = path ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && lstat(path, &st))
        rc = kn_fail(err, KN_ENOTFOUND, "model: there is no \"%.200s\"", name);
    if (!rc)
        rc = check_parent(places, path, name, err);
    if (!rc && !S_ISLNK(st.st_mode) && !is_model(path))
        rc = kn_fail(err, KN_ENOTFOUND, "model: \"%.200s\" is no model", name);
    if (!rc)
        rc = check_jobs(queue, name, err);
    if (!rc)
        rc = take_away(places, path, err);
    if (!rc && strchr(name, '/')) { /* an owner without models */
        path[kn_path_base(path) - path - 1] = '\0';
        (void)rmdir(path);
    }
    free(path);
    return rc;
}
