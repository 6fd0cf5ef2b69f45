/* Long videos: which segments are made, what each is given, and which of its pictures leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "engine/segments.h"

enum { SIDE = 8, FLOATS = SIDE * SIDE * 3, MAX_SEEN = 64, GROUP = 4, NATIVE = 17 };

/* What a generate of the family below was asked. */
typedef struct seen {
    char prompt[32];
    int64_t seed, frames;
    bool has_image, has_last_image;
    int n_given;
    float given_first, given_last; /* a pixel of each */
} seen;

typedef struct family {
    seen seen[MAX_SEEN];
    int n_seen;
    float drift;  /* how much brighter a segment shows what it was given */
    int fails_at; /* the call that fails; 0: none */
} family;

/* Pictures that count: each is a step brighter than the one before, and goes on from what was given. */
static void paint(float *rgb, float level)
{
    for (int i = 0; i < FLOATS; i++)
        rgb[i] = level + (i / 3 % 2 ? 0.0005f : -0.0005f);
}

static int emit(kn_run *r, const family *f, kn_err *err)
{
    float rgb[FLOATS];
    float begin = r->given ? r->given[0] + 0.0005f + f->drift : 0.2f;
    int rc = 0;
    for (int64_t i = 0; i < r->rq->frames && r->pictures && !rc; i++) {
        paint(rgb, begin + 0.001f * (float)i);
        rc = r->pictures(r->pictures_ud, i, 1, SIDE, SIDE, rgb, err);
    }
    return rc;
}

static int generate(void *model, kn_run *r, kn_err *err)
{
    family *f = model;
    assert_true(f->n_seen < MAX_SEEN);
    seen *s = &f->seen[f->n_seen++];
    *s = (seen){.seed = r->rq->seed,
                .frames = r->rq->frames,
                .has_image = r->rq->image,
                .has_last_image = r->rq->last_image,
                .n_given = r->n_given};
    snprintf(s->prompt, sizeof s->prompt, "%s", r->rq->prompt);
    if (r->given) {
        s->given_first = r->given[0];
        s->given_last = r->given[(r->n_given - 1) * FLOATS];
    }
    kn_phase_begin(r, KN_PHASE_SAMPLE, "", 3);
    kn_phase_step(r, 3);
    kn_phase_end(r);
    if (f->n_seen == f->fails_at)
        return kn_fail(err, KN_ENOMEM, "no memory in the test");
    return emit(r, f, err);
}

static const kn_model_desc desc = {.name = "fake", .generate = generate};
static const kn_segment_rules rules = {
    .possible = true, .why_not = "this model is fake", .native_frames = NATIVE, .group = GROUP};

/* What left. */
typedef struct taken {
    int64_t n;
    float level[512];
} taken;

static int take(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb, kn_err *err)
{
    taken *t = ud;
    (void)err;
    assert_int_equal(first, t->n);
    assert_int_equal(n, 1);
    assert_int_equal(width, SIDE);
    assert_int_equal(height, SIDE);
    assert_true(t->n < 512);
    t->level[t->n++] = rgb[0] + 0.0005f;
    return 0;
}

typedef struct notes {
    char all[2048];
} notes;

static void keep_note(void *ud, const char *text)
{
    notes *n = ud;
    size_t at = strlen(n->all);
    snprintf(n->all + at, sizeof n->all - at, "%s\n", text);
}

static void set(kn_request *rq, const char *name, const char *value)
{
    kn_err err = {0};
    if (kn_request_set(rq, name, value, &err))
        fail_msg("%s", err.msg);
}

static int prepare(kn_request *rq, const kn_segment_rules *how, notes *n, kn_err *err,
                   const char *const *params)
{
    kn_request_init(rq);
    static const char *const usual[] = {"model", "fake", "width", "8", "height", "8", "seed", "100", NULL};
    for (const char *const *p = usual; *p; p += 2)
        set(rq, p[0], p[1]);
    for (const char *const *p = params; *p; p += 2)
        set(rq, p[0], p[1]);
    return kn_segments_prepare(rq, how, n ? keep_note : NULL, n, err);
}

#define PREPARE(rq, n, err, ...) prepare(rq, &rules, n, err, (const char *const[]){__VA_ARGS__, NULL})

static kn_device *cpu;

/* Runs on a device, or (meta) plans. */
static int run_on(kn_device *dev, family *f, const kn_request *rq, taken *t, kn_run *ret, kn_err *err)
{
    kn_ctx ctx = {0};
    assert_int_equal(kn_ctx_init(&ctx, dev, KN_F32, 0, err), 0);
    kn_run_init(ret, &ctx, rq);
    ret->pictures = t ? take : NULL;
    ret->pictures_ud = t;
    int rc = kn_segments_generate(&desc, f, ret, err);
    kn_run_done(ret);
    kn_ctx_done(&ctx);
    return rc;
}

static void must_run(family *f, const kn_request *rq, taken *t)
{
    kn_run run;
    kn_err err = {0};
    if (run_on(cpu, f, rq, t, &run, &err))
        fail_msg("%s", err.msg);
}

/* Every picture is a step brighter than the one before: none is missing, none comes twice. */
static void check_counting(const taken *t, int64_t n)
{
    assert_int_equal(t->n, n);
    for (int64_t i = 0; i < n; i++)
        if (fabsf(t->level[i] - (0.2f + 0.001f * (float)i)) > 1e-4f)
            fail_msg("picture %lld is %g", (long long)i, (double)t->level[i]);
}

static void what_is_short_is_one_piece(void **state)
{
    (void)state;
    static const char *const frames[] = {"1", "16", "17"};
    for (int i = 0; i < 3; i++) {
        kn_request rq;
        family f = {0};
        taken t = {0};
        notes n = {0};
        kn_err err = {0};
        assert_int_equal(PREPARE(&rq, &n, &err, "prompt", "a", "frames", frames[i]), 0);
        assert_int_equal(kn_segments_count(&rq), 1);
        assert_string_equal(n.all, "");
        must_run(&f, &rq, &t);
        assert_int_equal(f.n_seen, 1);
        assert_int_equal(f.seen[0].frames, rq.frames);
        assert_int_equal(t.n, rq.frames);
        kn_request_done(&rq);
    }
}

static void exactly_the_frames_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *frames, *overlap, *tail;
        int n;
    } cases[] = {{"18", "1", "0", 2},  {"33", "1", "0", 2},  {"34", "1", "0", 3},   {"48", "1", "0", 3},
                 {"48", "5", "0", 4},  {"48", "1", "4", 4},  {"100", "9", "3", 18}, {"240", "1", "0", 15},
                 {"31", "13", "0", 5}, {"47", "5", "11", 31}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_request rq;
        family f = {0};
        taken t = {0};
        kn_err err = {0};
        assert_int_equal(PREPARE(&rq, NULL, &err, "prompt", "a", "frames", cases[i].frames, "overlap",
                                 cases[i].overlap, "segment_tail", cases[i].tail),
                         0);
        assert_int_equal(kn_segments_count(&rq), cases[i].n);
        must_run(&f, &rq, &t);
        assert_int_equal(f.n_seen, cases[i].n);
        check_counting(&t, rq.frames);
        for (int k = 0; k < f.n_seen; k++) {
            assert_int_equal(f.seen[k].frames, NATIVE);
            assert_int_equal(f.seen[k].seed, 100 + k);
            assert_int_equal(f.seen[k].n_given, k ? rq.overlap : 0);
            float shown = f.seen[k].given_last - f.seen[k].given_first;
            assert_true(fabsf(shown - (k ? 0.001f * (float)(rq.overlap - 1) : 0)) < 1e-4f);
        }
        kn_request_done(&rq);
    }
}

static void prompts_go_to_their_segments(void **state)
{
    (void)state;
    kn_request rq;
    family f = {0};
    taken t = {0};
    kn_err err = {0};
    assert_int_equal(
        PREPARE(&rq, NULL, &err, "frames", "60", "segment_prompt", "one", "segment_prompt", "two"), 0);
    assert_string_equal(rq.prompt, "one");
    must_run(&f, &rq, &t);
    static const char *const expected[] = {"one", "two", "two", "two"};
    assert_int_equal(f.n_seen, 4);
    for (int k = 0; k < 4; k++)
        assert_string_equal(f.seen[k].prompt, expected[k]);
    kn_request_done(&rq);
}

/* The first picture begins the first segment, the last one ends the last, which ends where the video does. */
static void pictures_of_the_request(void **state)
{
    (void)state;
    kn_request rq;
    family f = {0};
    taken t = {0};
    kn_err err = {0};
    assert_int_equal(
        PREPARE(&rq, NULL, &err, "prompt", "a", "frames", "40", "image", "a.png", "last_image", "b.png"), 0);
    must_run(&f, &rq, &t);
    check_counting(&t, 40);
    assert_int_equal(f.n_seen, 3);
    for (int k = 0; k < 3; k++) {
        assert_true(f.seen[k].has_image == (k == 0));
        assert_true(f.seen[k].has_last_image == (k == 2));
    }
    assert_true(fabsf(f.seen[2].given_first + 0.0005f - (0.2f + 0.001f * (40 - NATIVE))) < 1e-4f);
    kn_request_done(&rq);
}

static void colours_are_matched_unless_told_otherwise(void **state)
{
    (void)state;
    static const char *const match[] = {"on", "off"};
    for (int i = 0; i < 2; i++) {
        kn_request rq;
        family f = {.drift = 0.05f};
        taken t = {0};
        kn_err err = {0};
        assert_int_equal(PREPARE(&rq, NULL, &err, "prompt", "a", "frames", "48", "colour_match", match[i]),
                         0);
        must_run(&f, &rq, &t);
        if (i == 0)
            check_counting(&t, 48);
        else
            assert_true(t.level[17] - t.level[16] > 0.04f);
        kn_request_done(&rq);
    }
}

static void the_plan_counts_what_is_alike(void **state)
{
    (void)state;
    kn_request rq;
    family f = {0};
    kn_device *meta = NULL;
    kn_run run;
    kn_err err = {0};
    assert_int_equal(
        PREPARE(&rq, NULL, &err, "frames", "240", "segment_prompt", "one", "segment_prompt", "two"), 0);
    assert_int_equal(kn_meta_device_open(cpu, &meta, &err), 0);
    assert_int_equal(run_on(meta, &f, &rq, NULL, &run, &err), 0);
    assert_int_equal(f.n_seen, 3); /* both prompts, and one of the 13 that follow */
    assert_int_equal(run.n_spans, 1);
    assert_int_equal(run.spans[0].units, 15 * 3);
    kn_device_close(meta);
    kn_request_done(&rq);
}

static void a_failure_ends_it(void **state)
{
    (void)state;
    kn_request rq;
    family f = {.fails_at = 2};
    taken t = {0};
    kn_run run;
    kn_err err = {0};
    assert_int_equal(PREPARE(&rq, NULL, &err, "prompt", "a", "frames", "48"), 0);
    assert_int_equal(run_on(cpu, &f, &rq, &t, &run, &err), KN_ENOMEM);
    assert_string_equal(err.msg, "no memory in the test");
    assert_int_equal(f.n_seen, 2);
    assert_int_equal(t.n, 17);
    assert_true(run.last_phase == KN_PHASE_SAMPLE);
    kn_request_done(&rq);
}

typedef struct events {
    int n_first, n_second;
} events;

static void count_event(void *ud, const kn_event *e)
{
    events *ev = ud;
    ev->n_first += strcmp(e->text, "segment 1 of 2") == 0;
    ev->n_second += strcmp(e->text, "segment 2 of 2") == 0;
    if (e->kind == KN_EVENT_STEP) {
        assert_int_equal(e->done, 3);
        assert_int_equal(e->total, 3);
    }
}

static void events_name_the_segment(void **state)
{
    (void)state;
    kn_request rq;
    family f = {0};
    taken t = {0};
    events ev = {0};
    kn_ctx ctx = {0};
    kn_run run;
    kn_err err = {0};
    assert_int_equal(PREPARE(&rq, NULL, &err, "prompt", "a", "frames", "20"), 0);
    assert_int_equal(kn_ctx_init(&ctx, cpu, KN_F32, 0, &err), 0);
    kn_run_init(&run, &ctx, &rq);
    run.event = count_event;
    run.event_ud = &ev;
    run.pictures = take;
    run.pictures_ud = &t;
    assert_int_equal(kn_segments_generate(&desc, &f, &run, &err), 0);
    assert_int_equal(ev.n_first, 3); /* begin, step, end */
    assert_int_equal(ev.n_second, 3);
    assert_true(run.pictures == take);
    kn_run_done(&run);
    kn_ctx_done(&ctx);
    kn_request_done(&rq);
}

static void sizes_are_rounded_and_said(void **state)
{
    (void)state;
    kn_request rq;
    notes n = {0};
    kn_err err = {0};
    assert_int_equal(
        PREPARE(&rq, &n, &err, "prompt", "a", "frames", "48", "segment_frames", "12", "overlap", "4"), 0);
    assert_int_equal(rq.segment_frames, 13);
    assert_int_equal(rq.overlap, 5);
    assert_non_null(strstr(n.all, "segment_frames 12 -> 13: this model needs 4n+1"));
    assert_non_null(strstr(n.all, "overlap 4 -> 5"));
    assert_non_null(strstr(n.all, "48 frames in 6 segments of 13"));
    kn_request_done(&rq);
    assert_int_equal(PREPARE(&rq, NULL, &err, "prompt", "a", "frames", "48", "segment_frames", "0"), 0);
    assert_int_equal(kn_segments_count(&rq), 1);
    kn_request_done(&rq);
    /* what the model folder says is its own length */
    kn_request_init(&rq);
    set(&rq, "frames", "48");
    rq.native_frames = 33;
    assert_int_equal(kn_segments_prepare(&rq, &rules, NULL, NULL, &err), 0);
    assert_int_equal(rq.segment_frames, 33);
    kn_request_done(&rq);
}

static void check_refused(const kn_segment_rules *how, const char *says, const char *const *params)
{
    kn_request rq;
    kn_err err = {0};
    assert_int_equal(prepare(&rq, how, NULL, &err, params), KN_EINVAL);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
    kn_request_done(&rq);
}

#define REFUSED(how, says, ...) check_refused(how, says, (const char *const[]){__VA_ARGS__, NULL})

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    kn_segment_rules none = rules;
    none.possible = false;
    REFUSED(&rules, "overlap 17 and segment_tail 0 leave nothing of segments of 17 frames", "prompt", "a",
            "frames", "48", "overlap", "17");
    REFUSED(&rules, "overlap 1 and segment_tail 16 leave nothing", "prompt", "a", "frames", "48",
            "segment_tail", "16");
    REFUSED(&rules, "overlap 1 and segment_tail 100000 leave nothing", "prompt", "a", "frames", "48",
            "segment_tail", "100000");
    REFUSED(&rules, "3 prompts for 2 segments", "frames", "20", "segment_prompt", "a", "segment_prompt", "b",
            "segment_prompt", "c");
    REFUSED(&rules, "17 frames are one segment", "frames", "17", "segment_prompt", "a");
    REFUSED(&rules, "a file of noise is for a video in one piece", "prompt", "a", "frames", "48", "latents",
            "x.safetensors");
    REFUSED(&none, "this model is fake: it cannot go on from pictures", "prompt", "a", "frames", "48",
            "segment_frames", "17");
    REFUSED(&none, "this model is fake", "frames", "48", "segment_prompt", "a");
}

static int open_cpu(void **state)
{
    kn_err err = {0};
    (void)state;
    return kn_cpu_device_open(&(kn_cpu_options){.n_threads = 1}, &cpu, &err);
}

static int close_cpu(void **state)
{
    (void)state;
    kn_device_close(cpu);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_short_is_one_piece),
        cmocka_unit_test(exactly_the_frames_asked_for),
        cmocka_unit_test(prompts_go_to_their_segments),
        cmocka_unit_test(pictures_of_the_request),
        cmocka_unit_test(colours_are_matched_unless_told_otherwise),
        cmocka_unit_test(the_plan_counts_what_is_alike),
        cmocka_unit_test(a_failure_ends_it),
        cmocka_unit_test(events_name_the_segment),
        cmocka_unit_test(sizes_are_rounded_and_said),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, open_cpu, close_cpu);
}
