/* What a model folder says of itself in kinora.json: a title, and defaults for what a request leaves open.
 *
 *     {"title": "A small model", "defaults": {"width": 96, "height": 96, "steps": 30}}
 *
 * Defaults are parameters of kn_params, checked as a request's are, but never files, the prompt, the seed or the
 * machine: a folder from elsewhere does not choose what is read, what is shown or what is computed on. */
#ifndef KN_ENGINE_MODEL_DEFAULTS_H
#define KN_ENGINE_MODEL_DEFAULTS_H

#include "engine/model.h"

#define KN_MODEL_DEFAULTS_FILE "kinora.json"

typedef struct kn_model_defaults {
    char *title;        /* NULL: none */
    kn_request request; /* what the folder sets; all else is unset */
} kn_model_defaults;

/* Of the folder at `path`; nothing is set without the file, if path is no folder, or if the family d needs no files.
 * KN_EFORMAT names file, key, value and what was expected; also for parameters that d does not take. */
int kn_model_defaults_load(const kn_model_desc *d, const char *path, kn_model_defaults *ret, kn_err *err);
/* The same from parsed JSON; `origin` names it in messages. */
int kn_model_defaults_read(const json_t *obj, const char *origin, kn_model_defaults *ret, kn_err *err);
void kn_model_defaults_done(kn_model_defaults *d); /* accepts a zeroed struct */

/* Sets what the request leaves open. */
int kn_model_defaults_apply(const kn_model_defaults *d, kn_request *rq, kn_err *err);

#endif
