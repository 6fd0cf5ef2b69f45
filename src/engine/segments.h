/* Long videos: segments of the model's own length, each going on from the last pictures of the one before.
 *
 * Segment k makes segment_frames pictures, the first `overlap` of which are those that segment k-1 ended with: they condition
 * it and are not shown again. The last segment_tail pictures of a segment are left out where another one follows. Its noise
 * is that of seed + k. Memory is that of one segment. */
#ifndef KN_ENGINE_SEGMENTS_H
#define KN_ENGINE_SEGMENTS_H

#include "engine/model.h"

/* Of a request that a family has prepared; 1: the video is made in one piece. */
int kn_segments_count(const kn_request *rq);

/* What a family says of segments while it prepares a request. */
typedef struct kn_segment_rules {
    bool possible;         /* the model can go on from given pictures (kn_run, given) */
    const char *why_not;   /* "this model is T2V" */
    int64_t native_frames; /* its usual length, where the model folder names none */
    int64_t group;         /* lengths are group * n + 1 */
} kn_segment_rules;

/* Decides whether rq, whose frames are set, is made in segments, and completes it for that. KN_EINVAL: what it says of
 * segments cannot be. */
int kn_segments_prepare(kn_request *rq, const kn_segment_rules *rules, kn_note_fn note, void *ud,
                        kn_err *err);

/* The family's generate, once a segment. The plan (on `meta`) runs those that differ and counts the others. */
int kn_segments_generate(const kn_model_desc *desc, void *model, kn_run *r, kn_err *err);

#endif
