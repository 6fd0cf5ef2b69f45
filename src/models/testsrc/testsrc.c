/* A test source: colour bars with a moving marker and the frame number as a binary row.  No weights, no noise, the same
 * pixels on every machine.  It exercises jobs, encoders and pages; it never stands in for a model. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/model.h"

static int probe(const char *path)
{
    (void)path;
    return 0; /* found by name only */
}

static int open_model(const kn_request *rq, void **ret, kn_err *err)
{
    (void)rq;
    *ret = kn_calloc(1, 1); /* no state, but a handle like any other */
    return *ret ? 0 : kn_fail(err, KN_ENOMEM, "no memory");
}

static void close_model(void *model)
{
    free(model);
}

static int prepare(void *model, kn_request *rq, void (*note)(void *, const char *), void *ud, kn_err *err)
{
    (void)model, (void)note, (void)ud, (void)err;
    if (rq->width == KN_UNSET_INT)
        rq->width = 320;
    if (rq->height == KN_UNSET_INT)
        rq->height = 192;
    if (rq->frames == KN_UNSET_INT)
        rq->frames = 48;
    if (isnan(rq->fps))
        rq->fps = 24;
    if (rq->steps == KN_UNSET_INT)
        rq->steps = 4;
    return 0;
}

static void put(float *rgb, int64_t at, float r, float g, float b)
{
    rgb[at * 3] = r;
    rgb[at * 3 + 1] = g;
    rgb[at * 3 + 2] = b;
}

/* Bars of 75 %, a grey ramp below, a white square that crosses in n frames, bits of the frame number at the foot. */
static void draw(float *rgb, int64_t width, int64_t height, int64_t frame, int64_t n_frames)
{
    static const unsigned char bars[7] = {7, 6, 3, 2,
                                          5, 4, 1}; /* white yellow cyan green magenta red blue: RGB bits */
    int64_t ramp = height * 2 / 3, bits = height - height / 12, side = height / 8 + 1;
    int64_t x0 = n_frames > 1 ? (width - side) * frame / (n_frames - 1) : 0, y0 = ramp / 2 - side / 2;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            int64_t at = y * width + x;
            if (y >= bits) {
                float on = (frame >> (15 - x * 16 / width)) & 1 ? 1.0f : 0.1f;
                put(rgb, at, on, on, on);
            } else if (y >= ramp) {
                float v = (float)x / (float)(width > 1 ? width - 1 : 1);
                put(rgb, at, v, v, v);
            } else if (x >= x0 && x < x0 + side && y >= y0 && y < y0 + side) {
                put(rgb, at, 1, 1, 1);
            } else {
                unsigned char bar = bars[x * 7 / width];
                put(rgb, at, bar & 4 ? 0.75f : 0, bar & 2 ? 0.75f : 0, bar & 1 ? 0.75f : 0);
            }
        }
}

static int emit_frames(kn_run *r, kn_err *err)
{
    const kn_request *rq = r->rq;
    float *rgb = kn_calloc((size_t)(rq->width * rq->height), 3 * sizeof *rgb);
    if (!rgb)
        return kn_fail(err, KN_ENOMEM, "no memory for a picture of %lldx%lld", (long long)rq->width,
                       (long long)rq->height);
    int rc = 0;
    for (int64_t i = 0; i < rq->frames && !rc; i++) {
        if (r->ctx->cancel && atomic_load(r->ctx->cancel)) {
            rc = kn_fail(err, KN_ECANCELLED, "cancelled");
            break;
        }
        draw(rgb, rq->width, rq->height, i, rq->frames);
        rc = r->pictures(r->pictures_ud, i, 1, (int)rq->width, (int)rq->height, rgb, err);
        kn_phase_step(r, i + 1);
    }
    free(rgb);
    return rc;
}

static int generate(void *model, kn_run *r, kn_err *err)
{
    (void)model;
    kn_phase_begin(r, KN_PHASE_SAMPLE, "test source", r->rq->steps);
    for (int64_t i = 0; i < r->rq->steps; i++)
        kn_phase_step(r, i + 1);
    kn_phase_end(r);
    kn_phase_begin(r, KN_PHASE_DECODE, "colour bars", r->rq->frames);
    int rc = r->pictures ? emit_frames(r, err) : 0;
    kn_phase_end(r);
    return rc;
}

static const kn_model_param params[] = {
    {"model", NULL},
    {"prompt", NULL},
    {"negative_prompt", NULL},
    {"width", "320"},
    {"height", "192"},
    {"frames", "48"},
    {"fps", "24"},
    {"steps", "4"},
    {"seed", NULL},
    {"threads", NULL},
    {"memory_budget", "what is free"},
    {"pin", "off"},
    {"device", "cpu"},
    {"dtype", NULL},
    {"save_tensors", NULL},
    {"output", NULL},
    {"format", "mp4"},
    {"allow_software_video_fallback", "on"},
    {0},
};

extern const kn_model_desc kn_model_testsrc;
const kn_model_desc kn_model_testsrc = {
    .name = "testsrc",
    .title = "Test source (colour bars, no model)",
    .tasks = KN_TASK_T2V,
    .is_builtin = true,
    .params = params,
    .probe = probe,
    .open = open_model,
    .prepare = prepare,
    .generate = generate,
    .close = close_model,
};
