/* The descriptor of a model family: everything the rest of Kinora knows about it.
 *
 * Order of calls, from the one thread that owns the model:
 *     probe* -> open -> prepare -> generate* -> close
 * kn_model_open is open and prepare in one, with the model folder's own defaults between them.
 * generate runs on a computing device to make a video and on `meta` to make the plan: one function, so that the plan
 * cannot drift from the work. */
#ifndef KN_ENGINE_MODEL_H
#define KN_ENGINE_MODEL_H

#include "engine/run.h"

enum kn_task {
    KN_TASK_T2V = 1,   /* text to video */
    KN_TASK_I2V = 2,   /* first picture (and text) to video */
    KN_TASK_FLF2V = 4, /* first and last picture to video */
    KN_TASK_V2V = 8,   /* control video, mask, references */
};

/* ["t2v", "i2v"]; NULL without memory. */
json_t *kn_tasks_to_json(unsigned tasks);

/* Says a change that prepare made. */
typedef void (*kn_note_fn)(void *ud, const char *text);
typedef struct kn_notes {
    kn_note_fn fn; /* NULL: nobody listens */
    void *ud;
} kn_notes;
void kn_note(const kn_notes *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A parameter this family takes, with the default it documents; ends with {0}. */
typedef struct kn_model_param {
    const char *name;     /* of kn_params */
    const char *fallback; /* shown in help: "81", "from the model's scheduler"; NULL = none */
} kn_model_param;

typedef struct kn_model_desc {
    const char *name; /* stored in job rows: never rename */
    const char *title;
    unsigned tasks;
    bool is_builtin; /* needs no files: found by its name */
    const kn_model_param *params;

    /* 0..100: how surely `path` (folder or file) is one of ours. Reads model_index.json and tensor names only. */
    int (*probe)(const char *path);
    /* Reads configs and maps weights of rq->model; no tensor data. */
    int (*open)(const kn_request *rq, void **ret_model, kn_err *err);
    /* Fills every default the request leaves open and applies the reference's rounding; says each change through
     * r-independent notes. Refuses what the model cannot do. */
    int (*prepare)(void *model, kn_request *rq, kn_note_fn note, void *ud, kn_err *err);
    /* Latents in, pictures out through r->pictures; leaves r->latents. */
    int (*generate)(void *model, kn_run *r, kn_err *err);
    /* A model of a published size with random weights and no tokenizer, for benchmarks: opened like any other. NULL:
     * none.  `config` is one of random_configs ("wan-1.3b|wan-14b"); with_text: the text encoder at its real size. */
    int (*open_random)(const char *config, bool with_text, void **ret_model, kn_err *err);
    const char *random_configs;
    /* Facts for people and programs: variant, sizes, files. Adds members to obj; may be NULL. */
    void (*describe)(void *model, json_t *obj);
    void (*close)(void *model); /* accepts NULL */
} kn_model_desc;

/* Opens the model at `path` (where rq->model lies; NULL: rq->model says it) and completes the request: first what the
 * model folder's kinora.json says (engine/model_defaults.h), then what the family says. rq->model stays as it is; note
 * may be NULL; rq may be partly filled on failure. */
int kn_model_open(const kn_model_desc *d, const char *path, kn_request *rq, kn_note_fn note, void *ud,
                  void **ret_model, kn_err *err);
/* Whether the family takes the parameter of that name. */
bool kn_model_takes(const kn_model_desc *d, const char *name);
/* Refuses parameters that the family does not take, naming those it does. */
int kn_model_check_params(const kn_model_desc *d, const kn_request *rq, kn_err *err);

#endif
