/* A request: what one video is to be.  One table of parameters drives the command line, the JSON form, validation and
 * help; a model says which of them it takes and with which defaults (engine/model.h). */
#ifndef KN_ENGINE_REQUEST_H
#define KN_ENGINE_REQUEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/limits.h"

/* "Not given": the model's default applies. */
#define KN_UNSET_INT  INT64_MIN
#define KN_UNSET_REAL ((double)NAN)

typedef struct kn_strings {
    char **items;
    int n;
} kn_strings;

typedef struct kn_reals {
    double *items;
    int n;
} kn_reals;

typedef enum kn_expert { KN_EXPERT_BOTH, KN_EXPERT_HIGH, KN_EXPERT_LOW } kn_expert;

typedef struct kn_lora_ref {
    char *path;
    float strength;
    kn_expert expert; /* of models with two: the high-noise or the low-noise one */
} kn_lora_ref;

typedef struct kn_loras {
    kn_lora_ref *items;
    int n;
} kn_loras;

typedef struct kn_request {
    char *model; /* name, folder or file */
    char *prompt, *negative_prompt;
    kn_strings segment_prompts;
    char *image, *last_image, *video, *mask;
    kn_strings references;
    kn_reals control_scale, skip_layers;
    int64_t width, height, frames, steps, seed, max_sequence_length;
    int64_t segment_frames, overlap, segment_tail, context_frames, context_overlap;
    double fps, guidance, guidance_2, skip_begin, skip_end, flow_shift, boundary;
    char *scheduler, *speed, *cache, *guidance_method, *colour_match;
    char *dtype, *device, *pin;
    int64_t threads, vae_tile, resident_blocks, memory_budget;
    kn_loras loras;
    char *vae, *text_encoder, *transformer_2, *config;
    char *latents, *save_tensors;
    char *output, *format, *allow_software_video_fallback;
    /* Not a parameter: width and height are the model folder's (engine/model_defaults.h), so that a picture's shape may
     * still decide within that area. */
    bool size_is_default;
    /* Not a parameter: the length that the model folder names; 0: it names none. Longer videos are made in segments of it
     * (engine/segments.h). */
    int64_t native_frames;
} kn_request;

/* X(symbol, name for programs) */
#define KN_PARAM_TYPE_LIST(X)                                                                                \
    X(KN_PARAM_TEXT, "text")                                                                                 \
    X(KN_PARAM_FILE, "file")                                                                                 \
    X(KN_PARAM_CHOICE, "choice")                                                                             \
    X(KN_PARAM_INT, "int")                                                                                   \
    X(KN_PARAM_BYTES, "bytes") /* a whole number; as text also with a unit: "6G" */                          \
    X(KN_PARAM_REAL, "real")                                                                                 \
    X(KN_PARAM_FILES, "files") /* repeatable */                                                              \
    X(KN_PARAM_TEXTS, "texts") /* repeatable */                                                              \
    X(KN_PARAM_REALS, "reals") /* comma separated, repeatable */                                             \
    X(KN_PARAM_LORAS, "loras") /* repeatable: FILE[:STRENGTH[:high|low]] */

typedef enum kn_param_type {
#define X(sym, name) sym,
    KN_PARAM_TYPE_LIST(X)
#undef X
} kn_param_type;
const char *kn_param_type_name(kn_param_type t);

typedef struct kn_param {
    const char *name; /* JSON key; on the command line '_' is '-' */
    kn_param_type type;
    size_t offset;       /* in kn_request */
    double min, max;     /* of numbers, inclusive */
    const char *choices; /* "a|b|c" */
    const char *metavar; /* "TEXT" */
    const char *help;
} kn_param;

extern const kn_param kn_params[]; /* ends with name NULL */
const kn_param *kn_param_find(const char *name);

void kn_request_init(kn_request *rq);
void kn_request_done(kn_request *rq);
int kn_request_copy(const kn_request *rq, kn_request *ret, kn_err *err);
/* Sets every parameter that rq leaves open and `from` has; rq is unchanged on failure. */
int kn_request_fill(kn_request *rq, const kn_request *from, kn_err *err);
bool kn_request_has(const kn_request *rq, const kn_param *p);

/* Sets a parameter from text (command line); lists grow. Errors name the parameter, the value and what was expected. */
int kn_request_set(kn_request *rq, const char *name, const char *value, kn_err *err);
/* Sets all members of an object; an unknown member is KN_EINVAL and named. */
int kn_request_from_json(kn_request *rq, const json_t *obj, kn_err *err);
/* Every parameter that is set, in table order. NULL without memory. Caller json_decref()s.
 * JSON holds UTF-8 only: a file name that is something else is left out. */
json_t *kn_request_to_json(const kn_request *rq);

#endif
