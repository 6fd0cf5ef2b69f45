#include "engine/segments.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/colour.h"
#include "engine/run_state.h"

/* Everything that goes from segment to segment. */
typedef struct chain {
    kn_run *r;
    const kn_request *rq; /* of the whole video */
    int n;                /* segments */
    kn_pictures_fn pictures;
    void *pictures_ud;
    size_t picture_floats;
    float *ended;   /* the last `overlap` pictures that left */
    float *matched; /* one picture */
    int64_t n_left; /* pictures that left */
    /* the segment that is made */
    int64_t first, until; /* pictures [first, until) of the video are its own */
    int64_t start;        /* its picture 0 in the video */
    kn_colours shall, is; /* of the overlap: as it left, and as this segment shows it */
    kn_colour_map map;
} chain;

static int64_t start_of(const kn_request *rq, int segment, int n)
{
    if (segment == n - 1 && rq->last_image) /* it ends where the video does */
        return rq->frames - rq->segment_frames;
    return segment * (rq->segment_frames - rq->overlap - rq->segment_tail);
}

static bool matches_colours(const chain *c)
{
    return strcmp(c->rq->colour_match, "on") == 0;
}

/* A picture of the video: to the output, and kept for what goes on from it. */
static int leave(chain *c, int width, int height, const float *rgb, kn_err *err)
{
    size_t size = c->picture_floats;
    int64_t kept = c->n_left < c->rq->overlap ? c->n_left : c->rq->overlap - 1;
    if (c->n_left >= c->rq->overlap)
        memmove(c->ended, c->ended + size, (size_t)kept * size * sizeof *c->ended);
    memcpy(c->ended + (size_t)kept * size, rgb, size * sizeof *rgb);
    return c->pictures(c->pictures_ud, c->n_left++, 1, width, height, rgb, err);
}

static int take_picture(chain *c, int64_t index, int width, int height, const float *rgb, kn_err *err)
{
    int64_t n_pixels = (int64_t)width * height;
    if (c->start + index < c->first && c->r->segment > 0 && index < c->rq->overlap)
        kn_colours_add(&c->is, rgb, n_pixels);
    if (c->start + index < c->first || c->start + index >= c->until)
        return 0;
    if (c->r->segment == 0 || !matches_colours(c))
        return leave(c, width, height, rgb, err);
    if (c->start + index == c->first)
        c->map = kn_colour_map_make(&c->is, &c->shall);
    kn_colour_map_apply(&c->map, rgb, n_pixels, c->matched);
    return leave(c, width, height, c->matched, err);
}

static int take_pictures(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb,
                         kn_err *err)
{
    chain *c = ud;
    int rc = 0;
    for (int64_t i = 0; i < n && !rc; i++)
        rc = take_picture(c, first + i, width, height, rgb + (size_t)i * c->picture_floats, err);
    return rc;
}

/* The request of one segment; borrows everything. */
static kn_request request_of(const chain *c, int segment)
{
    kn_request rq = *c->rq;
    const kn_strings *prompts = &c->rq->segment_prompts;
    rq.frames = rq.segment_frames;
    rq.seed += segment;
    if (prompts->n)
        rq.prompt = prompts->items[segment < prompts->n ? segment : prompts->n - 1];
    if (segment > 0)
        rq.image = NULL;
    if (segment < c->n - 1)
        rq.last_image = NULL;
    return rq;
}

static void begin_segment(chain *c, int segment)
{
    const kn_request *rq = c->rq;
    kn_run *r = c->r;
    r->segment = segment;
    c->start = start_of(rq, segment, c->n);
    c->first = segment > 0 ? c->start + rq->overlap : 0;
    c->until = segment + 1 < c->n ? start_of(rq, segment + 1, c->n) + rq->overlap : rq->frames;
    c->shall = c->is = (kn_colours){0};
    r->given = segment > 0 ? c->ended : NULL;
    r->n_given = segment > 0 ? (int)rq->overlap : 0;
    if (segment > 0)
        kn_colours_add(&c->shall, c->ended, (int64_t)c->picture_floats / 3 * rq->overlap);
    free(r->latents);
    r->latents = NULL;
}

/* Where an earlier run stopped; said once. */
static void say_resumed(kn_run *r)
{
    int first = kn_run_first_step(r), steps = (int)r->rq->steps;
    bool whole = kn_run_has_latents(r), follows = r->n_resumed == r->segment * steps && r->n_resumed > 0;
    if (first && r->n_segments)
        kn_run_note(r, "resumed in segment %d of %d, after step %d of %d", r->segment + 1, r->n_segments,
                    first, steps);
    else if (first)
        kn_run_note(r, "resumed after step %d of %d", first, steps);
    else if (whole && r->segment + 1 >= r->n_segments)
        kn_run_note(r, "resumed after sampling");
    else if (!whole && follows)
        kn_run_note(r, "resumed after segment %d of %d", r->segment, r->n_segments);
    r->n_resumed += whole ? steps : first;
}

static int make_segment(chain *c, const kn_model_desc *desc, void *model, int segment, kn_err *err)
{
    kn_run *r = c->r;
    kn_request rq = request_of(c, segment);
    begin_segment(c, segment);
    r->rq = &rq;
    kn_run_state_begin_segment(r);
    say_resumed(r);
    int rc = desc->generate(model, r, err);
    r->rq = c->rq;
    r->given = NULL;
    r->n_given = 0;
    return rc;
}

static int run_all(chain *c, const kn_model_desc *desc, void *model, kn_err *err)
{
    int rc = 0, n_computed = 0, n_sped = 0;
    double speedup = 0;
    for (int k = 0; k < c->n && !rc; k++) {
        c->r->n_computed = 0;
        c->r->speedup = 0;
        rc = make_segment(c, desc, model, k, err);
        n_computed += c->r->n_computed;
        n_sped += c->r->speedup > 0;
        speedup += c->r->speedup;
    }
    c->r->n_computed = n_computed;
    c->r->speedup = n_sped ? speedup / n_sped : 0;
    return rc;
}

/* Segments with a prompt of their own one by one; all after them cost the same. */
static int plan_all(chain *c, const kn_model_desc *desc, void *model, kn_err *err)
{
    int own = c->rq->segment_prompts.n ? c->rq->segment_prompts.n : 1, rc = 0;
    for (int k = 0; k < own && !rc; k++)
        rc = make_segment(c, desc, model, k, err);
    if (rc || own == c->n)
        return rc;
    c->r->text_is_known = true;
    c->r->n_alike = c->n - own;
    rc = make_segment(c, desc, model, own, err);
    c->r->n_alike = 0;
    c->r->text_is_known = false;
    return rc;
}

int kn_segments_generate(const kn_model_desc *desc, void *model, kn_run *r, kn_err *err)
{
    chain c = {.r = r, .rq = r->rq, .n = kn_segments_count(r->rq)};
    if (c.n == 1) {
        say_resumed(r);
        return desc->generate(model, r, err);
    }
    c.pictures = r->pictures;
    c.pictures_ud = r->pictures_ud;
    c.picture_floats = (size_t)r->rq->width * (size_t)r->rq->height * 3;
    c.ended = kn_calloc((size_t)r->rq->overlap, c.picture_floats * sizeof *c.ended);
    c.matched = kn_calloc(c.picture_floats, sizeof *c.matched);
    int rc = c.ended && c.matched ? 0
                                  : kn_fail(err, KN_ENOMEM, "no memory for the %lld pictures of an overlap",
                                            (long long)r->rq->overlap);
    /* with the copy that a condition is made of */
    int64_t host_bytes = (2 * r->rq->overlap + 1) * (int64_t)(c.picture_floats * sizeof(float));
    kn_device_account_host(r->ctx->dev, host_bytes);
    r->n_segments = c.n;
    if (r->pictures) {
        r->pictures = take_pictures;
        r->pictures_ud = &c;
    }
    if (!rc)
        rc = r->ctx->dev->is_meta ? plan_all(&c, desc, model, err) : run_all(&c, desc, model, err);
    r->pictures = c.pictures;
    r->pictures_ud = c.pictures_ud;
    r->n_segments = 0;
    kn_device_account_host(r->ctx->dev, -host_bytes);
    free(c.ended);
    free(c.matched);
    return rc;
}
