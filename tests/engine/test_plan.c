/* The plan says what the run then costs: memory of every phase, weights and work, for every variant and type. */
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

#include "api/wan_variants.h"
#include "base/file.h"
#include "engine/generate.h"
#include "models/models.h"

static char folder[] = "/tmp/kinora-plan-XXXXXX";

static void set(kn_request *rq, const char *name, const char *value)
{
    kn_err err = {0};
    if (kn_request_set(rq, name, value, &err))
        fail_msg("%s", err.msg);
}

static void tiny(kn_request *rq, const char *model)
{
    kn_request_init(rq);
    set(rq, "model", model);
    set(rq, "prompt", "a red cat");
    set(rq, "width", "64");
    set(rq, "height", "32");
    set(rq, "frames", "9");
    set(rq, "steps", "3");
    set(rq, "seed", "7");
}

static void run(const kn_request *rq, kn_result *ret)
{
    kn_err err = {0};
    const kn_model_desc *desc = NULL;
    if (kn_model_find(rq->model, &desc, NULL, &err) ||
        kn_generate(desc, rq, &(kn_generate_opts){0}, ret, &err))
        fail_msg("%s: %s", rq->model, err.msg);
}

static void make_clip(const char *output)
{
    kn_request rq;
    kn_result r;
    tiny(&rq, "testsrc");
    set(&rq, "output", output);
    run(&rq, &r);
    kn_result_done(&r);
    kn_request_done(&rq);
}

static int make_clips(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder))
        return -1;
    make_clip("control/");
    make_clip("mask/");
    make_clip("control.mp4");
    return 0;
}

static int remove_clips(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") || system(command);
}

static double work(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f;
}

static void near(const char *who, const char *phase, const char *what, double planned, double measured)
{
    if (!(fabs(planned - measured) <= 0.05 * measured))
        fail_msg("%s, %s: %s was planned as %.0f and measured as %.0f", who, phase, what, planned, measured);
}

static void check(const wan_variant *v, const char *dtype, const char *policy, const char *value,
                  char *ret_hash, size_t hash_size)
{
    kn_request rq;
    kn_result r;
    tiny(&rq, v->model);
    set(&rq, "dtype", dtype);
    if (policy)
        set(&rq, policy, value);
    set(&rq, "output", "out/");
    for (int i = 0; i + 1 < MAX_EXTRA && v->extra[i]; i += 2)
        set(&rq, v->extra[i] + 2, v->extra[i + 1]);
    run(&rq, &r);
    assert_true(r.plan.n_spans >= 3);
    assert_int_equal(r.n_spans, r.plan.n_spans);
    for (int i = 0; i < r.plan.n_spans; i++) {
        const kn_span *p = &r.plan.spans[i], *m = &r.spans[i];
        const char *phase = kn_phase_name(m->phase);
        assert_int_equal(p->phase, m->phase);
        assert_string_equal(p->detail, m->detail);
        near(v->name, phase, "peak", (double)p->peak_bytes, (double)m->peak_bytes);
        near(v->name, phase, "weights", (double)p->weights_bytes, (double)m->weights_bytes);
        near(v->name, phase, "work", work(&p->stats), work(&m->stats));
        near(v->name, phase, "loading", p->stats.loaded_bytes, m->stats.loaded_bytes);
    }
    near(v->name, "all", "peak", (double)r.plan.peak_bytes, (double)r.peak_bytes);
    print_message("%-22s %-5s %-16s %2d phases, peak %8zu bytes\n", v->name, dtype, policy ? policy : "",
                  r.plan.n_spans, r.peak_bytes);
    snprintf(ret_hash, hash_size, "%s", r.frames_hash);
    kn_result_done(&r);
    kn_request_done(&rq);
}

static void check_all(const char *dtype)
{
    char whole[24], other[24];
    for (size_t i = 0; i < sizeof wan_variants / sizeof *wan_variants; i++) {
        const wan_variant *v = &wan_variants[i];
        check(v, dtype, NULL, NULL, whole, sizeof whole);
        if (strcmp(dtype, "bf16") != 0)
            continue;
        for (int n = 0; n < 2; n++) { /* blocks that come and go change no bit */
            check(v, dtype, "resident_blocks", n ? "1" : "0", other, sizeof other);
            assert_string_equal(other, whole);
        }
        check(v, dtype, "vae_tile", "32", other, sizeof other);
    }
}

static void test_f32(void **state)
{
    (void)state;
    check_all("f32");
}

static void test_bf16(void **state)
{
    (void)state;
    check_all("bf16");
}

static void test_int8(void **state)
{
    (void)state;
    check_all("int8");
}

/* ---- models without files ---- */

/* Published sizes and any transformer/config.json can be planned (and measured) with random weights. */
static void plan_random(const kn_model_desc *desc, const char *config)
{
    kn_request rq;
    kn_plan p = {0};
    kn_err err = {0};
    kn_device *dev = NULL;
    void *model = NULL;
    kn_request_init(&rq);
    set(&rq, "prompt", "a red cat");
    set(&rq, "frames", "5");
    set(&rq, "width", "128");
    set(&rq, "height", "128");
    set(&rq, "seed", "1");
    if (strstr(config, "i2v"))
        set(&rq, "image", FIXTURE("wan21-i2v/image.png"));
    if (desc->open_random(config, false, &model, &err) || desc->prepare(model, &rq, NULL, NULL, &err) ||
        kn_cpu_device_open(&(kn_cpu_options){.n_threads = 1}, &dev, &err) ||
        kn_plan_choose(desc, model, &rq, dev, NULL, NULL, &p, &err))
        fail_msg("%s: %s", config, err.msg);
    assert_true(p.peak_bytes > 0);
    desc->close(model);
    kn_device_close(dev);
    kn_request_done(&rq);
}

static void test_random_models(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "wan-1.3b", "wan-14b", "wan-5b", "wan-i2v-a14b", FIXTURE("wan21-t2v/model/transformer/config.json"),
    };
    const kn_model_desc *desc = NULL;
    kn_err err = {0};
    assert_int_equal(kn_model_find(FIXTURE("wan21-t2v/model"), &desc, NULL, &err), 0);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        plan_random(desc, configs[i]);
}

/* ---- rounding is said, never silent ---- */

typedef struct notes {
    char text[8][160];
    int n;
} notes;

static void keep_note(void *ud, const char *text)
{
    notes *n = ud;
    if (n->n < 8)
        snprintf(n->text[n->n++], sizeof n->text[0], "%s", text);
}

static bool noted(const notes *n, const char *part)
{
    for (int i = 0; i < n->n; i++)
        if (strstr(n->text[i], part))
            return true;
    return false;
}

/* The reference: frames // 4 * 4 + 1, sizes down to a multiple. */
static void test_rounding(void **state)
{
    (void)state;
    kn_request rq;
    const kn_model_desc *desc = NULL;
    void *model = NULL;
    kn_err err = {0};
    notes n = {0};
    tiny(&rq, FIXTURE("wan21-t2v/model"));
    set(&rq, "frames", "80");
    set(&rq, "width", "50");
    set(&rq, "vae_tile", "9");
    if (kn_model_find(rq.model, &desc, NULL, &err) || desc->open(&rq, &model, &err) ||
        desc->prepare(model, &rq, keep_note, &n, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(rq.frames, 81);
    assert_int_equal(rq.width, 48);
    assert_int_equal(rq.height, 32);
    assert_true(noted(&n, "frames 80 -> 81"));
    assert_true(noted(&n, "width 50 -> 48"));
    assert_int_equal(rq.vae_tile, 16);
    assert_true(noted(&n, "vae_tile 9 -> 16"));
    assert_int_equal(n.n, 3); /* nothing is said of what did not change */
    desc->close(model);
    kn_request_done(&rq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),           cmocka_unit_test(test_bf16),     cmocka_unit_test(test_int8),
        cmocka_unit_test(test_random_models), cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, make_clips, remove_clips);
}
