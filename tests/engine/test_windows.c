/* Context windows: where they lie, what share each has, and when there are any. */
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
#include "engine/windows.h"
#include "models/models.h"

enum { GROUP = 4, NATIVE = 17 };

static const kn_window_rules rules = {.possible = true,
                                      .usual = true,
                                      .why_not = "this model is fake",
                                      .native_frames = NATIVE,
                                      .group = GROUP};

static char said[1024];

static void keep_note(void *ud, const char *text)
{
    (void)ud;
    snprintf(said, sizeof said, "%.500s", text);
}

static int prepare(kn_request *rq, const kn_window_rules *how, kn_err *err, const char *const *params)
{
    kn_request_init(rq);
    said[0] = '\0';
    for (const char *const *p = params; *p; p += 2)
        if (kn_request_set(rq, p[0], p[1], err))
            fail_msg("%s", err->msg);
    return kn_windows_prepare(rq, how, keep_note, NULL, err);
}

#define PREPARE(rq, how, err, ...) prepare(rq, how, err, (const char *const[]){__VA_ARGS__, NULL})

/* Every frame is in a window, each window is whole, the shares of a frame add up to one. */
static void check_windows(const kn_windows *w)
{
    float *weights = kn_windows_weights(w);
    float *sums = calloc((size_t)w->total, sizeof *sums);
    assert_non_null(weights);
    assert_non_null(sums);
    assert_int_equal(kn_windows_start(w, 0), 0);
    assert_int_equal(kn_windows_start(w, w->n - 1), w->total - w->size);
    for (int i = 0; i < w->n; i++) {
        int64_t start = kn_windows_start(w, i);
        if (i > 0) {
            assert_true(start > kn_windows_start(w, i - 1));
            assert_true(start <= kn_windows_start(w, i - 1) + w->size - w->overlap);
        }
        for (int64_t j = 0; j < w->size; j++) {
            assert_true(weights[i * w->size + j] > 0);
            sums[start + j] += weights[i * w->size + j];
        }
    }
    for (int64_t t = 0; t < w->total; t++)
        assert_true(fabsf(sums[t] - 1) < 1e-5f);
    free(sums);
    free(weights);
}

static void windows_cover_the_video(void **state)
{
    (void)state;
    for (int64_t size = 2; size <= 21; size++)
        for (int64_t overlap = 1; overlap < size; overlap++)
            for (int64_t total = size + 1; total < 70; total += 7) {
                kn_request rq;
                kn_request_init(&rq);
                rq.frames = (total - 1) * GROUP + 1;
                rq.context_frames = (size - 1) * GROUP + 1;
                rq.context_overlap = overlap * GROUP;
                kn_windows w = kn_windows_of(&rq, GROUP);
                assert_int_equal(w.total, total);
                assert_int_equal(w.size, size);
                assert_int_equal(w.overlap, overlap);
                check_windows(&w);
            }
}

/* A window says most in its middle. */
static void shares_fall_to_the_edges(void **state)
{
    (void)state;
    kn_windows w = {.total = 9, .size = 5, .overlap = 1, .n = 2};
    float *weights = kn_windows_weights(&w);
    assert_non_null(weights);
    assert_true(weights[2] == 1);
    assert_true(weights[4] == 0.5f && weights[5] == 0.5f);
    free(weights);
    w = (kn_windows){.total = 7, .size = 5, .overlap = 3, .n = 2};
    weights = kn_windows_weights(&w);
    assert_non_null(weights);
    assert_true(weights[2] > weights[3] && weights[3] > weights[4]);
    free(weights);
}

static void when_there_are_any(void **state)
{
    (void)state;
    kn_request rq;
    kn_err err = {0};
    assert_int_equal(PREPARE(&rq, &rules, &err, "frames", "17"), 0);
    assert_false(kn_windows_used(&rq));
    assert_int_equal(kn_windows_of(&rq, GROUP).n, 1);
    kn_request_done(&rq);
    assert_int_equal(PREPARE(&rq, &rules, &err, "frames", "49"), 0);
    assert_true(kn_windows_used(&rq));
    assert_int_equal(rq.context_frames, 17);
    assert_int_equal(rq.context_overlap, 8);
    assert_string_equal(said, "49 frames in 4 windows of 17 that overlap by 8");
    kn_request_done(&rq);
    assert_int_equal(PREPARE(&rq, &rules, &err, "frames", "49", "context_frames", "0"), 0);
    assert_false(kn_windows_used(&rq));
    kn_request_done(&rq);
    kn_window_rules asked = rules;
    asked.usual = false;
    assert_int_equal(PREPARE(&rq, &asked, &err, "frames", "49"), 0);
    assert_false(kn_windows_used(&rq));
    kn_request_done(&rq);
    assert_int_equal(
        PREPARE(&rq, &asked, &err, "frames", "49", "context_frames", "20", "context_overlap", "7"), 0);
    assert_int_equal(rq.context_frames, 21);
    assert_int_equal(rq.context_overlap, 4);
    /* and then there are no segments */
    kn_segment_rules segments = {.possible = true, .why_not = "", .native_frames = NATIVE, .group = GROUP};
    assert_int_equal(kn_segments_prepare(&rq, &segments, NULL, NULL, &err), 0);
    assert_int_equal(kn_segments_count(&rq), 1);
    kn_request_done(&rq);
}

static void check_refused(const kn_window_rules *how, const char *says, const char *const *params)
{
    kn_request rq;
    kn_err err = {0};
    assert_int_equal(prepare(&rq, how, &err, params), KN_EINVAL);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
    kn_request_done(&rq);
}

#define REFUSED(how, says, ...) check_refused(how, says, (const char *const[]){__VA_ARGS__, NULL})

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    kn_window_rules none = rules;
    none.possible = false;
    REFUSED(&none, "this model is fake: it has no context windows", "frames", "49", "context_frames", "17");
    REFUSED(&rules, "two ways to make a long video", "frames", "49", "context_frames", "17", "segment_frames",
            "17");
    REFUSED(&rules, "two ways to make a long video", "frames", "49", "context_frames", "17", "segment_prompt",
            "a");
    REFUSED(&rules, "context_overlap 20 in windows of 17", "frames", "49", "context_overlap", "20");
    REFUSED(&rules, "context_overlap 0 in windows of 17", "frames", "49", "context_overlap", "3");
    REFUSED(&rules, "context_overlap 4 in windows of 1 ", "frames", "49", "context_frames", "1");
}

/* The most that sampling takes of Wan 2.1 1.3B. */
static double sampling_peak(kn_device *dev, const char *frames, const char *context)
{
    const kn_model_desc *desc = NULL;
    kn_request rq;
    void *model = NULL;
    kn_plan p;
    kn_err err = {0};
    for (int i = 0; kn_models[i]; i++)
        if (strcmp(kn_models[i]->name, "wan") == 0)
            desc = kn_models[i];
    assert_non_null(desc);
    kn_request_init(&rq);
    const char *const params[] = {"prompt", "a cat", "width",          "416",   "height", "240",
                                  "steps",  "2",     "seed",           "1",     "dtype",  "bf16",
                                  "frames", frames,  "context_frames", context, NULL};
    for (const char *const *a = params; *a; a += 2)
        if (kn_request_set(&rq, a[0], a[1], &err))
            fail_msg("%s", err.msg);
    kn_policy policy = {.n_resident = KN_ALL_BLOCKS};
    if (desc->open_random("wan-1.3b", false, &model, &err) || desc->prepare(model, &rq, NULL, NULL, &err) ||
        kn_plan_make(desc, model, &rq, &policy, dev, NULL, NULL, &p, &err))
        fail_msg("%s", err.msg);
    double peak = 0;
    for (int i = 0; i < p.n_spans; i++)
        if (p.spans[i].phase == KN_PHASE_SAMPLE)
            peak = (double)p.spans[i].peak_bytes;
    desc->close(model);
    kn_request_done(&rq);
    return peak;
}

/* Three times the length in windows takes little more than a window; as a whole it takes far more. */
static void memory_is_that_of_a_window(void **state)
{
    (void)state;
    kn_device *dev = NULL;
    kn_err err = {0};
    assert_int_equal(kn_cpu_device_open(&(kn_cpu_options){.n_threads = 1}, &dev, &err), 0);
    double one = sampling_peak(dev, "81", "0"), windows = sampling_peak(dev, "241", "81"),
           whole = sampling_peak(dev, "241", "0");
    print_message("81 frames %.3f GB, 241 in windows %.3f GB, as a whole %.3f GB\n", one / 1e9, windows / 1e9,
                  whole / 1e9);
    assert_true(windows < 1.05 * one);
    assert_true(whole - one > 5 * (windows - one));
    kn_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_the_video),    cmocka_unit_test(shares_fall_to_the_edges),
        cmocka_unit_test(when_there_are_any),         cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(memory_is_that_of_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
