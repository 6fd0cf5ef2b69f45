/* Context windows: a video longer than the model's own length, sampled as a whole; each step predicts on windows of that
 * length that overlap, and blends what they say. For models that cannot go on from pictures (engine/segments.h). */
#ifndef KN_ENGINE_WINDOWS_H
#define KN_ENGINE_WINDOWS_H

#include "engine/model.h"

typedef struct kn_windows {
    int64_t total, size, overlap; /* latent frames; size == total: one window, no blending */
    int n;
} kn_windows;

/* Of a prepared request whose latent frames stand for `group` pictures each (the first for one). */
kn_windows kn_windows_of(const kn_request *rq, int64_t group);
int64_t kn_windows_start(const kn_windows *w, int i);
/* The share [n, size] that each window has in each of its frames: most in its middle; those of a frame add up to one. Heap;
 * NULL without memory. */
float *kn_windows_weights(const kn_windows *w);

typedef struct kn_window_rules {
    bool possible, usual;  /* usual: also where the request does not ask for it */
    const char *why_not;   /* "this model is VACE" */
    int64_t native_frames; /* its usual length, where the model folder names none */
    int64_t group;
} kn_window_rules;

/* Decides whether rq, whose frames are set, is made in windows, and completes it for that. Comes before
 * kn_segments_prepare, which then leaves the request alone. */
int kn_windows_prepare(kn_request *rq, const kn_window_rules *rules, kn_note_fn note, void *ud, kn_err *err);
/* Whether it is. */
bool kn_windows_used(const kn_request *rq);

#endif
