/* What an interrupted run leaves behind, so that a later one goes on where it stopped and makes the same frames.
 *
 * A folder a request, <state>/runs/<hash>/, locked by the run that uses it, with one safetensors file in it: while
 * sampling, the latents and the solver's history after a step; after sampling, the final latents, kept until the video is
 * safe. A long video has such a file a segment (engine/segments.h). Text states and conditions are made again. A run that cannot write its state says so once and goes on. */
#ifndef KN_ENGINE_RUN_STATE_H
#define KN_ENGINE_RUN_STATE_H

#include "engine/run.h"
#include "engine/step_cache.h"

typedef struct kn_run_state kn_run_state;

/* Opens the folder of a request as it was asked for, without defaults. KN_EBUSY: another run holds it; KN_EIO. */
int kn_run_state_open(const char *state_dir, const kn_request *asked, kn_run_state **ret, kn_err *err);
void kn_run_state_close(kn_run_state *s); /* what was saved stays; accepts NULL */
/* Closes, and removes what was saved: the run has ended well. Accepts NULL. */
void kn_run_state_discard(kn_run_state *s);

/* Reads what the last run of the request left, or an attempt of this one, to be resumed; fills rq's seed if that is open. KN_ENOTFOUND: nothing was
 * left, or a run got no further than its start. */
int kn_run_state_load(kn_run_state *s, kn_request *rq, kn_err *err);
/* True if an interrupted run left something. */
bool kn_run_state_is_kept(const kn_run_state *s);
/* Says of what the run will be, before the first step. files: kn_fingerprint_files. If what was loaded belongs to
 * something else, it is dropped, and *ret_why (of why_size) says what differs; if the frames may merely differ in their last bits,
 * it is kept and *ret_why says so. Empty: all is the same. */
int kn_run_state_identify(kn_run_state *s, const kn_request *complete, uint64_t files, const char *device,
                          char *ret_why, size_t why_size, kn_err *err);

/* ---- for the run; all accept a run without a state ---- */

/* A segment begins: what is kept and restored from now on is its own. What was loaded is segment 0's. */
void kn_run_state_begin_segment(kn_run *r);
/* The first denoising step that is still to be done; 0 if none was. */
int kn_run_first_step(const kn_run *r);
/* What a step leaves for the next one. */
typedef struct kn_kept_step {
    kn_scheduler *scheduler;
    kn_step_cache *cache;
    float *latents; /* [n] */
    int64_t n;
} kn_kept_step;

/* Puts latents, solver and step cache where the interrupted run was; leaves them alone if there was none. */
int kn_run_restore_step(kn_run *r, const kn_kept_step *k, kn_err *err);
/* `done` steps are done. Saves if enough time has passed that saving costs less than a hundredth of it, or if `now`. */
void kn_run_keep_step(kn_run *r, const kn_kept_step *k, int done, bool now);

/* True if an interrupted run had finished sampling: what comes before decoding need not be done. */
bool kn_run_has_latents(const kn_run *r);
/* The final latents, whose shape must be dims. */
int kn_run_restore_latents(kn_run *r, int n_dims, const int64_t *dims, float *latents, kn_err *err);
void kn_run_keep_latents(kn_run *r, int n_dims, const int64_t *dims, const float *latents);

#endif
