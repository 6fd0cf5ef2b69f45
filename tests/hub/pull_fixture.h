/* Fetching from the stand-in hub into a folder of the test's own. */
#ifndef KN_TESTS_HUB_PULL_FIXTURE_H
#define KN_TESTS_HUB_PULL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/dirs.h"
#include "base/file.h"
#include "hub/stand_in.h"

enum { WEIGHTS = 200000 };

#define ONE "one.safetensors"

typedef struct fixture {
    stand_in *hub;
    kn_hub_config config;
    char models[64];
    kn_err err;
    atomic_bool cancel;
    int cancel_at; /* cancels when so many bytes are there; 0: never */
    int n_reports, n_notes;
    kn_hub_progress last;
    uint64_t most_bytes;
    bool went_back;
    char note[1024];
} fixture;

static inline int fixture_make(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->models, sizeof f->models, "/tmp/kinora-hub-XXXXXX");
    if (!mkdtemp(f->models))
        return -1;
    f->hub = stand_in_new();
    f->config = config_of(f->hub);
    has_weights(f->hub, ONE, WEIGHTS, 1);
    *state = f;
    return 0;
}

static inline int fixture_remove(void **state)
{
    fixture *f = *state;
    stand_in_free(f->hub);
    kn_dir_remove(f->models, NULL);
    free(f);
    return 0;
}

static inline void on_progress(void *ud, const kn_hub_progress *p)
{
    fixture *f = ud;
    f->n_reports++;
    f->went_back |= p->done_bytes < f->last.done_bytes;
    f->last = *p;
    f->last.file = "";
    if (p->done_bytes > f->most_bytes)
        f->most_bytes = p->done_bytes;
    if (f->cancel_at && p->done_bytes >= (uint64_t)f->cancel_at)
        atomic_store(&f->cancel, true);
}

static inline void on_note(void *ud, const char *text)
{
    fixture *f = ud;
    f->n_notes++;
    snprintf(f->note, sizeof f->note, "%s", text);
}

static inline int pull_with(fixture *f, const char *file, const char *variant, kn_hub_pulled *ret)
{
    kn_hub_pull_opts o = {.id = HUB_ID,
                          .file = file,
                          .variant = variant,
                          .models_dir = f->models,
                          .cancel = &f->cancel,
                          .progress = on_progress,
                          .note = on_note,
                          .ud = f};
    f->err = (kn_err){0};
    f->n_reports = f->n_notes = 0;
    f->last = (kn_hub_progress){0};
    f->went_back = false;
    return kn_hub_pull(&f->config, &o, ret, &f->err);
}

/* Code; KN_E... names its message in f->err. */
static inline int pull(fixture *f, const char *file)
{
    kn_hub_pulled got = {0};
    int rc = pull_with(f, file, NULL, &got);
    free(got.path);
    return rc;
}

static inline void must_pull(fixture *f, const char *file)
{
    if (pull(f, file))
        fail_msg("%s", f->err.msg);
}

static inline void must_refuse(fixture *f, const char *file, int code, const char *says)
{
    int rc = pull(f, file);
    if (rc != code || !strstr(f->err.msg, says))
        fail_msg("%d \"%s\", expected %d \"%s\"", rc, f->err.msg, code, says);
}

static inline bool is_there(const fixture *f, const char *name)
{
    char path[400];
    struct stat st;
    snprintf(path, sizeof path, "%s/%.300s", f->models, name);
    return lstat(path, &st) == 0;
}

/* The file is what the hub has; `as` NULL: under its own name. */
static inline void must_have(const fixture *f, const char *name, const char *as)
{
    char path[400], *data = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/" HUB_ID "/%.200s", f->models, as ? as : name);
    assert_int_equal(kn_file_read(path, 1 << 24, &data, &size, NULL), 0);
    for (int i = 0; i < f->hub->n_files; i++)
        if (strcmp(f->hub->files[i].path, name) == 0) {
            assert_int_equal(size, f->hub->files[i].size);
            assert_memory_equal(data, f->hub->files[i].data, size);
            free(data);
            return;
        }
    fail_msg("the hub has no %s", name);
}

#endif
