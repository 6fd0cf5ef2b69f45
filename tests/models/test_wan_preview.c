/* Previews of the demo model: one a step, near what is decoded in the end, and without a trace in the frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/generate.h"
#include "models/models.h"

enum { SIDE = 96, CELL = 8, CELLS = SIDE / CELL, STEPS = 6, MIDDLE = 7 /* of frames 5..8 */ };

typedef struct watched {
    int n_previews;
    float preview[CELLS * CELLS * 3], frame[CELLS * CELLS * 3]; /* the last one; the decoded one, averaged */
} watched;

static void on_preview(void *ud, int width, int height, const float *rgb)
{
    watched *w = ud;
    assert_int_equal(width, CELLS);
    assert_int_equal(height, CELLS);
    w->n_previews++;
    memcpy(w->preview, rgb, sizeof w->preview);
}

static void on_picture(void *ud, int64_t index, int width, int height, const float *rgb)
{
    watched *w = ud;
    for (int y = 0; index == MIDDLE && y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                w->frame[(y / CELL * CELLS + x / CELL) * 3 + c] +=
                    rgb[(y * width + x) * 3 + c] / (CELL * CELL);
}

static void generate(watched *w, bool is_watched, char *hash)
{
    kn_request rq;
    kn_result result;
    kn_err err = {0};
    const kn_model_desc *d = NULL;
    char *path = NULL, out[] = "/tmp/kinora-preview-XXXXXX";
    assert_non_null(mkdtemp(out));
    kn_request_init(&rq);
    assert_int_equal(kn_request_set(&rq, "model", KN_FIXTURES "/../../demo", &err), 0);
    assert_int_equal(
        kn_request_set(&rq, "prompt", "a large red circle moving left over a plain background", &err), 0);
    assert_int_equal(kn_request_set(&rq, "steps", "6", &err), 0);
    assert_int_equal(kn_request_set(&rq, "seed", "7", &err), 0);
    assert_int_equal(kn_request_set(&rq, "output", out, &err), 0);
    assert_int_equal(kn_model_find(rq.model, &d, &path, &err), 0);
    kn_generate_opts opts = {
        .event_ud = w, .preview = is_watched ? on_preview : NULL, .picture = on_picture, .model_path = path};
    if (kn_generate(d, &rq, &opts, &result, &err))
        fail_msg("%s", err.msg);
    snprintf(hash, 32, "%s", result.frames_hash);
    kn_result_done(&result);
    kn_request_done(&rq);
    free(path);
}

/* Pearson's, over all positions and colours. */
static double correlation(const float *a, const float *b)
{
    enum { N = CELLS * CELLS * 3 };
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < N; i++) {
        ma += (double)a[i] / N;
        mb += (double)b[i] / N;
    }
    for (int i = 0; i < N; i++) {
        double x = (double)a[i] - ma, y = (double)b[i] - mb;
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

static void test_previews(void **state)
{
    watched w = {0}, unwatched = {0};
    char hash[32], plain[32];
    (void)state;
    generate(&w, true, hash);
    generate(&unwatched, false, plain);
    assert_string_equal(hash, plain);
    assert_int_equal(w.n_previews, STEPS);
    for (size_t i = 0; i < sizeof w.preview / sizeof *w.preview; i++)
        assert_true(w.preview[i] >= 0 && w.preview[i] <= 1);
    double r = correlation(w.preview, w.frame);
    if (r < 0.7)
        fail_msg("%.2f between the last preview and the picture", r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_previews)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
