/* Whether a request is made in segments, and of which sizes. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "engine/segments.h"
#include "engine/windows.h"

/* Measured with the demo model, 120 frames of three sentences: five pictures given instead of one let colours drift (a grey of
 * 103 of 255 to 101), and a tail of 1 or 4 changes no seam. */
enum { DEFAULT_OVERLAP = 1, DEFAULT_TAIL = 0 };

/* Frames that a segment adds to those before it. */
static int64_t advance(const kn_request *rq)
{
    return rq->segment_frames - rq->overlap - rq->segment_tail;
}

int kn_segments_count(const kn_request *rq)
{
    if (rq->segment_frames == KN_UNSET_INT || rq->segment_frames == 0 || rq->segment_frames >= rq->frames)
        return 1;
    return 1 + (int)((rq->frames - rq->segment_frames + advance(rq) - 1) / advance(rq));
}

static void round_to_group(int64_t *v, const char *name, int64_t group, const kn_notes *n)
{
    int64_t rounded = *v % group == 1 ? *v : *v / group * group + 1;
    if (rounded != *v)
        kn_note(n, "%s %lld -> %lld: this model needs %lldn+1", name, (long long)*v, (long long)rounded,
                (long long)group);
    *v = rounded;
}

static bool says_segments(const kn_request *rq)
{
    return (rq->segment_frames != KN_UNSET_INT && rq->segment_frames != 0) || rq->segment_prompts.n;
}

static int check(const kn_request *rq, kn_err *err)
{
    if (rq->latents)
        return kn_fail(err, KN_EINVAL,
                       "latents: a file of noise is for a video in one piece, and this one has segments of "
                       "%lld frames; leave it out, or say segment_frames 0",
                       (long long)rq->segment_frames);
    if (rq->overlap >= rq->segment_frames - rq->segment_tail)
        return kn_fail(err, KN_EINVAL,
                       "overlap %lld and segment_tail %lld leave nothing of segments of %lld frames; "
                       "together they must be less",
                       (long long)rq->overlap, (long long)rq->segment_tail, (long long)rq->segment_frames);
    int n = kn_segments_count(rq);
    if (rq->segment_prompts.n > n)
        return kn_fail(
            err, KN_EINVAL,
            "segment_prompt: %d prompts for %d segments of %lld frames; expected one a segment, or "
            "fewer",
            rq->segment_prompts.n, n, (long long)rq->segment_frames);
    return 0;
}

/* What is left open between segments. */
static int complete(kn_request *rq, int64_t group, const kn_notes *n, kn_err *err)
{
    if (rq->overlap == KN_UNSET_INT)
        rq->overlap = DEFAULT_OVERLAP;
    round_to_group(&rq->overlap, "overlap", group, n);
    if (rq->segment_tail == KN_UNSET_INT)
        rq->segment_tail = DEFAULT_TAIL;
    if (!rq->colour_match && !(rq->colour_match = kn_strdup("on")))
        return kn_fail(err, KN_ENOMEM, "no memory for a request");
    return 0;
}

static int take_first_prompt(kn_request *rq, kn_err *err)
{
    if (rq->prompt || !rq->segment_prompts.n)
        return 0;
    rq->prompt = kn_strdup(rq->segment_prompts.items[0]);
    return rq->prompt ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a prompt");
}

int kn_segments_prepare(kn_request *rq, const kn_segment_rules *rules, kn_note_fn note, void *ud, kn_err *err)
{
    kn_notes n = {note, ud};
    if (!rules->possible && says_segments(rq))
        return kn_fail(err, KN_EINVAL, "%s: it cannot go on from pictures, so that a video has no segments",
                       rules->why_not);
    if (!rules->possible || kn_windows_used(rq))
        return 0;
    int64_t native = rq->native_frames ? rq->native_frames : rules->native_frames;
    int64_t frames = rq->segment_frames == KN_UNSET_INT ? native : rq->segment_frames;
    if (frames)
        round_to_group(&frames, "segment_frames", rules->group, &n);
    if (frames == 0 || frames >= rq->frames) {
        if (!rq->segment_prompts.n)
            return 0;
        return kn_fail(err, KN_EINVAL,
                       "segment_prompt: %lld frames are one segment; expected more frames, or fewer "
                       "segment_frames",
                       (long long)rq->frames);
    }
    rq->segment_frames = frames;
    int rc = complete(rq, rules->group, &n, err);
    if (!rc)
        rc = check(rq, err);
    if (!rc)
        rc = take_first_prompt(rq, err);
    if (!rc)
        kn_note(&n, "%lld frames in %d segments of %lld", (long long)rq->frames, kn_segments_count(rq),
                (long long)frames);
    return rc;
}
