/* One run of a model: phases with honest progress, the denoise loop, and where pictures go.
 *
 * The same code runs on a computing device and on `meta`; on `meta` it is the planner: no weight is read, no picture
 * made, and what each phase would cost is recorded exactly. */
#ifndef KN_ENGINE_RUN_H
#define KN_ENGINE_RUN_H

#include "engine/request.h"
#include "engine/scheduler.h"
#include "tensor/blocks.h"
#include "tensor/device.h"

/* X(symbol, name used in events and job states) */
#define KN_PHASE_LIST(X)                                                                                     \
    X(KN_PHASE_LOAD, "loading")                                                                              \
    X(KN_PHASE_ENCODE, "encoding")                                                                           \
    X(KN_PHASE_SAMPLE, "sampling")                                                                           \
    X(KN_PHASE_DECODE, "decoding")                                                                           \
    X(KN_PHASE_SAVE, "saving")

typedef enum kn_phase {
#define X(sym, name) sym,
    KN_PHASE_LIST(X)
#undef X
        KN_PHASE_COUNT
} kn_phase;
const char *kn_phase_name(kn_phase p);

typedef enum kn_event_kind { KN_EVENT_NOTE, KN_EVENT_PHASE, KN_EVENT_STEP, KN_EVENT_PHASE_END } kn_event_kind;

typedef struct kn_event {
    kn_event_kind kind;
    kn_phase phase;
    const char *text;    /* a note, or what is being loaded, encoded, ... ; "" if nothing */
    int64_t done, total; /* real units: steps, chunks of frames; total 0 = not countable */
    double elapsed_s;    /* since the phase began */
    double unit_s; /* median (steps of which some are skipped: mean) seconds a unit so far; 0 = none yet */
    double eta_s;  /* of this phase; < 0 = not known */
} kn_event;
typedef void (*kn_event_fn)(void *ud, const kn_event *e);

/* What one phase cost, measured on a device or exact on `meta` (without seconds). */
typedef struct kn_span {
    kn_phase phase;
    char detail[48];
    double seconds;
    int64_t units;
    kn_stats stats;
    size_t weights_bytes;                   /* held at the end of the phase */
    size_t peak_bytes;                      /* most device memory during it */
    int64_t weights_made, weights_recalled; /* converted and packed; mapped from a packed file instead */
} kn_span;

enum { KN_MAX_SPANS = 24, KN_UNIT_TIMES = 64 };

/* Finished pictures in order: [n, height, width, 3] f32 in 0..1. Non-zero stops the run. */
typedef int (*kn_pictures_fn)(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb,
                              kn_err *err);
/* What sampling has so far, small: [height, width, 3] f32 in 0..1. */
typedef void (*kn_preview_fn)(void *ud, int width, int height, const float *rgb);
/* Inner values by their golden name, for the comparison tool; host float32. */
typedef void (*kn_trace_fn)(void *ud, const char *name, const float *data, int n_dims, const int64_t *dims);

/* How the same frames (tiles: nearly the same) are made with more or less memory. */
typedef struct kn_policy {
    int n_resident;   /* blocks of the denoiser that stay on the device (tensor/blocks.h); KN_ALL_BLOCKS */
    int64_t vae_tile; /* pixels; 0: whole pictures */
} kn_policy;

struct kn_run_state;
struct kn_warm;
struct kn_plan;

typedef struct kn_run {
    kn_ctx *ctx;
    const kn_request *rq; /* complete: every default filled in */
    kn_policy policy;
    int n_blocks; /* of the denoiser: said by the model when it loads them */
    kn_event_fn event;
    void *event_ud;
    kn_pictures_fn pictures; /* NULL on meta */
    void *pictures_ud;
    kn_preview_fn preview; /* NULL: nobody watches */
    void *preview_ud;
    kn_trace_fn trace; /* may be NULL */
    void *trace_ud;
    const char
        *cache_dir; /* of what can be made again (engine/text_cache.h); borrowed; NULL: nothing is kept */
    /* Pictures [n_given, height, width, 3] in 0..1 that the video goes on from, instead of rq->image; NULL: none. */
    const float *given;
    int n_given;
    int segment, n_segments;    /* of a long video (engine/segments.h); n_segments 0: it is one piece */
    bool with_exact;            /* the denoiser's weights come with their twins (kn_loader.with_exact) */
    struct kn_warm *warm;       /* what stays loaded after the run (engine/warm.h); borrowed; NULL: nothing */
    const struct kn_plan *plan; /* with warm: what the run may need; borrowed */
    struct kn_run_state *state; /* what is kept to be resumed (engine/run_state.h); borrowed; NULL: nothing */

    kn_span spans[KN_MAX_SPANS]; /* in segments: those of a kind are one */
    int n_spans;
    kn_phase last_phase; /* that ended */
    /* on meta */
    int n_alike;        /* what is counted happens so often; 0: once */
    bool text_is_known; /* an earlier segment will have encoded it */
    int n_resumed;      /* denoising steps that an earlier run did */
    int n_computed; /* denoising steps that were not skipped (engine/step_cache.h); with those of an earlier run */
    double
        speedup; /* of sampling: what this run's steps would have taken had all been computed, to what they took */
    size_t peak_bytes; /* over all phases */
    size_t pool_peak_bytes;
    float *latents; /* final latents [C, T, H, W], the reference's layout; owned; NULL until sampled */
    int64_t latents_dims[5];

    /* the open phase */
    double began_s, unit_began_s;
    double unit_times[KN_UNIT_TIMES];
    int n_unit_times;
    bool is_uneven; /* units take very different times: their mean says more than their median */
    int64_t units_done, units_total;
    kn_stats stats_before;
    int64_t made_before, recalled_before;
} kn_run;

/* With the request's own policy: all blocks resident and pictures whole where it says nothing. */
void kn_run_init(kn_run *r, kn_ctx *ctx, const kn_request *rq);
kn_policy kn_request_policy(const kn_request *rq);
void kn_run_done(kn_run *r);
void kn_run_note(kn_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void kn_phase_begin(kn_run *r, kn_phase phase, const char *detail, int64_t total);
void kn_phase_step(kn_run *r, int64_t done);
/* An earlier run did the first `done` units. */
void kn_phase_skip(kn_run *r, int64_t done);
/* The time since the last unit was not spent on the next one (weights were swapped): its clock starts now. */
void kn_phase_resume(kn_run *r);
void kn_phase_end(kn_run *r);

/* ---- the denoise loop ---- */

typedef struct kn_denoise {
    kn_scheduler *scheduler;
    float *latents; /* [n], in the reference's layout; in: noise, out: result */
    int64_t n;
    bool cfg; /* two predictions a step */
    void *ud;
    /* Velocities [n] at `timestep`: for the prompt, and for the negative prompt unless uncond is NULL. */
    int (*predict)(void *ud, int step, double timestep, const float *latents, float *cond, float *uncond,
                   kn_err *err);
    /* Called before the first step of every stage (an expert is swapped in); says its guidance scale. `stage` numbers
     * them; NULL: a single stage 0. */
    int (*stage)(void *ud, int step, double timestep);
    int (*enter)(void *ud, int stage, double *ret_guidance, kn_err *err);
    /* For step caches (engine/step_cache.h). table [n_steps]: what the model knows of the cache of that name. NULL: nothing. */
    int (*table)(void *ud, const char *cache, double *ret, kn_err *err);
    /* How much what the first block adds has changed (relative, of a sample of tokens) since the probe that was kept; INFINITY:
     * none was. NULL: it cannot say. probe_cost: what that takes, in steps. */
    int (*probe)(void *ud, int step, double timestep, const float *latents, double *ret_change, kn_err *err);
    void (*probe_keep)(void *ud); /* the last one */
    double probe_cost;
    /* For a run that is watched: what the latents [n] of a step would be without their noise. May be NULL. */
    void (*preview)(void *ud, const float *clean);
} kn_denoise;

/* Emits one progress unit a step. On `meta` one step of each stage is run and counted as often as it would be. */
int kn_denoise_run(kn_run *r, const kn_denoise *d, kn_err *err);

/* Initial noise [n]: the request's file if it has one (tensor `latents`, whose dims must be dims), else the seed's. */
int kn_noise_make(const kn_request *rq, int n_dims, const int64_t *dims, float *out, kn_err *err);

#endif
