/* From blobs to objects: what is of one hue and near where it was is the same object. */
#include <math.h>
#include <string.h>

#include "world/look.h"

/* A high bounce covers 14 pixels between two frames. */
static const float reach = 20, reach_a_gap = 8, max_hue_distance = 22;
/* Less is a speck: too few frames, or too small beside the largest object. */
enum { MIN_FRAMES = 3 };
static const float min_share = 0.1f;

static bool same_hue(const world_blob *a, const world_blob *b)
{
    return a->white == b->white && (a->white || world_hue_distance(a->hue, b->hue) < max_hue_distance);
}

/* How badly a blob fits a track's end; negative: not at all. */
static float misfit(const world_track *t, const world_blob *b, int frame)
{
    const world_blob *end = t->at[t->last];
    float d = hypotf(b->x - end->x, b->y - end->y);
    if (t->last == frame || !same_hue(end, b) || d > reach + reach_a_gap * (float)(frame - t->last - 1))
        return -1;
    return d + 30 * fabsf(logf(b->area / end->area));
}

static void extend(world_track *t, const world_blob *b, int frame)
{
    if (!t->n)
        t->first = frame;
    t->at[frame] = b;
    t->last = frame;
    t->n++;
    t->most_area = fmaxf(t->most_area, b->area);
    t->most_contrast = fmaxf(t->most_contrast, b->contrast);
}

/* The best pairs first, then the blobs that began something new. */
static int add_frame(world_track *tracks, int n, const world_blobs *blobs, int frame)
{
    bool used[WORLD_MAX_BLOBS] = {0};
    for (;;) {
        float least = 1e9f;
        int track = -1, blob = -1;
        for (int i = 0; i < n; i++)
            for (int k = 0; k < blobs->n; k++) {
                float d = used[k] ? -1 : misfit(&tracks[i], &blobs->list[k], frame);
                if (d >= 0 && d < least) {
                    least = d;
                    track = i;
                    blob = k;
                }
            }
        if (track < 0)
            break;
        used[blob] = true;
        extend(&tracks[track], &blobs->list[blob], frame);
    }
    for (int k = 0; k < blobs->n && n < WORLD_MAX_TRACKS; k++)
        if (!used[k])
            extend(&tracks[n++], &blobs->list[k], frame);
    return n;
}

/* An object that was lost for a while and appears elsewhere is still one object; that it jumped, motion will tell. */
static int merge(world_track *tracks, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++) {
            world_track *a = &tracks[i], *b = &tracks[k];
            if (a->last >= b->first || !same_hue(a->at[a->last], b->at[b->first]))
                continue;
            for (int f = b->first; f <= b->last; f++)
                if (b->at[f])
                    extend(a, b->at[f], f);
            memmove(b, b + 1, (size_t)(n - k - 1) * sizeof *b);
            n--;
            k = i;
        }
    return n;
}

/* What is left of an object that fades can take on a hue of its own: where a fading one was, and no stronger. */
static bool is_remainder(const world_track *tracks, int n, const world_track *t)
{
    const world_blob *b = t->at[t->first];
    int middle = (int)lroundf(b->y) * WORLD_SIDE + (int)lroundf(b->x);
    for (int i = 0; i < n; i++) {
        const world_blob *before = NULL;
        bool was_there = false;
        for (int f = 0; f < t->first; f++)
            if (tracks[i].at[f]) {
                before = tracks[i].at[f];
                was_there = was_there || before->cover[middle] > 127;
            }
        if (was_there && before->contrast < 0.7f * tracks[i].most_contrast &&
            t->most_contrast < 0.7f * tracks[i].most_contrast)
            return true;
    }
    return false;
}

int world_tracks(const world_blobs frames[WORLD_FRAMES], world_track *ret, int max)
{
    world_track tracks[WORLD_MAX_TRACKS] = {0};
    int n = 0, n_objects = 0;
    float largest = 0;
    for (int f = 0; f < WORLD_FRAMES; f++)
        n = add_frame(tracks, n, &frames[f], f);
    n = merge(tracks, n);
    for (int i = 0; i < n; i++)
        if (is_remainder(tracks, n, &tracks[i]))
            tracks[i].n = 0;
        else if (tracks[i].n >= MIN_FRAMES)
            largest = fmaxf(largest, tracks[i].most_area);
    for (;;) {
        world_track *best = NULL;
        for (int i = 0; i < n; i++)
            if (tracks[i].n >= MIN_FRAMES && tracks[i].most_area >= min_share * largest &&
                (!best || tracks[i].most_area > best->most_area))
                best = &tracks[i];
        if (!best)
            return n_objects;
        if (n_objects < max)
            ret[n_objects] = *best;
        n_objects++;
        best->n = 0;
    }
}

int world_track_colour(const world_track *t)
{
    float rgb[3] = {0}, weight = 0;
    int n_white = 0;
    for (int f = 0; f < WORLD_FRAMES; f++) {
        const world_blob *b = t->at[f];
        if (!b || b->contrast < 0.7f * t->most_contrast) /* a faded colour is a mixture */
            continue;
        n_white += b->white;
        weight += b->area;
        for (int k = 0; k < 3; k++)
            rgb[k] += b->area * b->rgb[k];
    }
    for (int k = 0; k < 3; k++)
        rgb[k] /= weight;
    return world_colour_of(rgb, n_white > 0);
}
