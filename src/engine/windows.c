#include "engine/windows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

bool kn_windows_used(const kn_request *rq)
{
    return rq->context_frames != KN_UNSET_INT && rq->context_frames > 0 && rq->context_frames < rq->frames;
}

kn_windows kn_windows_of(const kn_request *rq, int64_t group)
{
    kn_windows w = {.total = (rq->frames - 1) / group + 1, .n = 1};
    w.size = w.total;
    if (!kn_windows_used(rq))
        return w;
    w.size = (rq->context_frames - 1) / group + 1;
    w.overlap = rq->context_overlap / group;
    int64_t stride = w.size - w.overlap;
    w.n = (int)(1 + (w.total - w.size + stride - 1) / stride);
    return w;
}

/* The last one ends where the video does. */
int64_t kn_windows_start(const kn_windows *w, int i)
{
    int64_t start = i * (w->size - w->overlap);
    return start < w->total - w->size ? start : w->total - w->size;
}

float *kn_windows_weights(const kn_windows *w)
{
    float *weights = kn_calloc((size_t)w->n * (size_t)w->size, sizeof *weights);
    float *sums = kn_calloc((size_t)w->total, sizeof *sums);
    for (int pass = 0; pass < 2 && weights && sums; pass++)
        for (int i = 0; i < w->n; i++)
            for (int64_t j = 0; j < w->size; j++) {
                int64_t edge = j + 1 < w->size - j ? j + 1 : w->size - j;
                float *sum = &sums[kn_windows_start(w, i) + j];
                if (pass == 0)
                    *sum += (float)edge;
                else
                    weights[i * w->size + j] = (float)edge / *sum;
            }
    if (!sums) {
        free(weights);
        weights = NULL;
    }
    free(sums);
    return weights;
}

/* ---- the request ---- */

static void round_down(int64_t *v, int64_t rounded, const char *name, const char *to, kn_note_fn note,
                       void *ud)
{
    char text[256];
    if (rounded != *v && note) {
        snprintf(text, sizeof text, "%s %lld -> %lld: this model needs %s", name, (long long)*v,
                 (long long)rounded, to);
        note(ud, text);
    }
    *v = rounded;
}

static int complete(kn_request *rq, int64_t group, kn_note_fn note, void *ud, kn_err *err)
{
    char text[128];
    int64_t size =
        rq->context_frames % group == 1 ? rq->context_frames : rq->context_frames / group * group + 1;
    snprintf(text, sizeof text, "%lldn+1", (long long)group);
    round_down(&rq->context_frames, size, "context_frames", text, note, ud);
    if (rq->context_overlap == KN_UNSET_INT) {
        rq->context_overlap = size / 2 / group * group;
        rq->context_overlap = rq->context_overlap < group ? group : rq->context_overlap;
    }
    snprintf(text, sizeof text, "multiples of %lld", (long long)group);
    round_down(&rq->context_overlap, rq->context_overlap / group * group, "context_overlap", text, note, ud);
    if (rq->context_overlap < group || rq->context_overlap >= size)
        return kn_fail(err, KN_EINVAL,
                       "context_overlap %lld in windows of %lld frames; expected at least %lld and less than "
                       "the window",
                       (long long)rq->context_overlap, (long long)size, (long long)group);
    if (!kn_windows_used(rq) || !note)
        return 0;
    kn_windows w = kn_windows_of(rq, group);
    snprintf(text, sizeof text, "%lld frames in %d windows of %lld that overlap by %lld",
             (long long)rq->frames, w.n, (long long)size, (long long)rq->context_overlap);
    note(ud, text);
    return 0;
}

int kn_windows_prepare(kn_request *rq, const kn_window_rules *rules, kn_note_fn note, void *ud, kn_err *err)
{
    bool asked = rq->context_frames != KN_UNSET_INT && rq->context_frames != 0;
    int64_t native = rq->native_frames ? rq->native_frames : rules->native_frames;
    if (asked && !rules->possible)
        return kn_fail(err, KN_EINVAL, "%s: it has no context windows", rules->why_not);
    if (asked && ((rq->segment_frames != KN_UNSET_INT && rq->segment_frames != 0) || rq->segment_prompts.n))
        return kn_fail(err, KN_EINVAL,
                       "context_frames and segments are two ways to make a long video; expected one of them");
    if (rules->usual && rq->context_frames == KN_UNSET_INT && rq->frames > native)
        rq->context_frames = native;
    return kn_windows_used(rq) ? complete(rq, rules->group, note, ud, err) : 0;
}
