/* From request to file: the one function behind `kinora generate` and, later, the worker. */
#ifndef KN_ENGINE_GENERATE_H
#define KN_ENGINE_GENERATE_H

#include "engine/plan.h"
#include "engine/warm.h"
#include "media/sink.h"

typedef struct kn_generate_opts {
    kn_event_fn event;
    void *event_ud; /* of all of these */
    /* Before the work begins, and again when memory ran out and less is tried; may be NULL. */
    void (*planned)(void *ud, const kn_plan *p);
    kn_preview_fn preview; /* what sampling has so far, after each step that was computed; may be NULL */
    /* A finished picture [height, width, 3] f32 in 0..1, in order; may be NULL. */
    void (*picture)(void *ud, int64_t index, int width, int height, const float *rgb);
    const atomic_bool *cancel;   /* may be NULL */
    const char *encoder;         /* NULL = choose: the best that works */
    const kn_sink_fault *faults; /* encoders that tests make fail */
    int n_faults;
    const char *model_path; /* where rq->model lies (kn_model_find); NULL = rq->model says it */
    const char *cache_dir;  /* of what can be made again (kn_dir_cache); NULL = nothing is kept */
    kn_warm *warm;          /* what stays loaded between runs, and on which device; NULL: nothing */
    const char *state_dir;  /* where an interrupted run leaves what it has (kn_dir_state); NULL = nowhere */
    kn_timeline *timeline;  /* is told what happens when; borrowed; NULL: nobody looks */
    bool resume;            /* go on where the last run of the same request stopped */
} kn_generate_opts;

typedef struct kn_result {
    kn_request request; /* complete: what really ran, seed included */
    kn_plan plan;
    kn_span spans[KN_MAX_SPANS];
    int n_spans;
    size_t peak_bytes;
    int n_segments; /* engine/segments.h */
    int first_step; /* sampling began there: an earlier run did those before; of all segments together */
    int n_computed; /* denoising steps that were computed, not carried over (engine/step_cache.h) */
    double speedup; /* of sampling by that, measured; 0: no step was computed */
    double seconds;
    char device[160];
    char backend[64]; /* kn_device.name: "cpu", "cuda" */
    char encoder[32];
    kn_sink_attempt encode_attempts[KN_SINK_ATTEMPTS]; /* encoders, in the order they were tried */
    int n_encode_attempts;
    char *output;         /* where the video is: rq->output, or beside it as another kind of file; NULL */
    char frames_hash[20]; /* FNV-1a of the float32 frames: equal runs have equal hashes */
} kn_result;

/* rq is read only. Nothing exists at the output's name unless 0 is returned.
 * An encoder that fails in the middle is left out, and the next one gets the frames, decoded again from the final latents
 * where these are kept (state_dir), else made again. */
int kn_generate(const kn_model_desc *desc, const kn_request *rq, const kn_generate_opts *opts, kn_result *ret,
                kn_err *err);
void kn_result_done(kn_result *r);
/* Request, model, seed and timings, as written into the file. */
json_t *kn_result_to_json(const kn_model_desc *desc, const kn_result *r);

#endif
