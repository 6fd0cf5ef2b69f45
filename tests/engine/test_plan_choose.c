/* The first policy that fits: nothing given up without need, no more than is needed, nothing that the request says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ram.h"
#include "engine/plan.h"
#include "models/models.h"

static const kn_model_desc *desc;
static kn_device *dev;

static void set(kn_request *rq, const char *name, const char *value)
{
    kn_err err = {0};
    if (kn_request_set(rq, name, value, &err))
        fail_msg("%s", err.msg);
}

/* A plan of Wan 2.1 1.3B at 832x480x17 with its encoder; extra: pairs of parameter and value, NULL-ended. */
static void choose(kn_plan *ret, const char *const *extra)
{
    kn_request rq;
    kn_err err = {0};
    void *model = NULL;
    kn_request_init(&rq);
    static const char *const usual[] = {"prompt", "a cat", "width", "832", "height", "480",  "frames", "17",
                                        "steps",  "10",    "seed",  "1",   "dtype",  "bf16", NULL};
    for (const char *const *p = usual; *p; p += 2)
        set(&rq, p[0], p[1]);
    for (const char *const *p = extra; *p; p += 2)
        set(&rq, p[0], p[1]);
    if (desc->open_random("wan-1.3b", true, &model, &err) || desc->prepare(model, &rq, NULL, NULL, &err) ||
        kn_plan_choose(desc, model, &rq, dev, NULL, NULL, ret, &err))
        fail_msg("%s", err.msg);
    desc->close(model);
    kn_request_done(&rq);
}

#define CHOOSE(plan, ...) choose(plan, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* A budget that leaves `bytes`: what the process holds already counts, and changes a little between two looks. */
static const char *budget(double bytes)
{
    static char text[32];
    snprintf(text, sizeof text, "%.0f", bytes + (double)kn_ram_resident());
    return text;
}

static void plenty_changes_nothing(void **state)
{
    (void)state;
    kn_plan p;
    char buf[160];
    CHOOSE(&p, "memory_budget", "64G");
    assert_true(kn_plan_fits(&p));
    assert_int_equal(p.n_candidates, 1);
    assert_int_equal(p.n_blocks, 30);
    assert_int_equal(p.policy.n_resident, 30);
    assert_int_equal(p.policy.vae_tile, 0);
    assert_string_equal(kn_plan_describe(&p, buf, sizeof buf), "");
}

static const kn_candidate *last(const kn_plan *p)
{
    assert_true(p->n_candidates > 0);
    return &p->candidates[p->n_candidates - 1];
}

static void as_many_blocks_stay_as_fit(void **state)
{
    (void)state;
    kn_plan all, p, more;
    int before = 31;
    /* pictures in tiles, so that the denoiser sets the peak */
    CHOOSE(&all, "memory_budget", "64G", "vae_tile", "128");
    for (int i = 1; i <= 6; i++) {
        double bytes = (double)all.need_bytes - i * 0.3e9;
        CHOOSE(&p, "vae_tile", "128", "memory_budget", budget(bytes));
        print_message("%.2f GB: %d of %d blocks, %.2f GB\n", bytes / 1e9, p.policy.n_resident, p.n_blocks,
                      (double)p.need_bytes / 1e9);
        assert_true(kn_plan_fits(&p));
        assert_true(last(&p)->fits);
        assert_true(p.policy.n_resident < before);
        before = p.policy.n_resident;
        char n[16];
        snprintf(n, sizeof n, "%d", p.policy.n_resident + 2);
        CHOOSE(&more, "vae_tile", "128", "resident_blocks", n, "memory_budget", budget(bytes));
        assert_false(kn_plan_fits(&more));
        assert_non_null(strstr(last(&more)->reason, "GB"));
        assert_true(p.need_bytes <= p.budget_bytes);
    }
}

static void tiles_only_where_whole_pictures_do_not_fit(void **state)
{
    (void)state;
    kn_plan whole, p;
    CHOOSE(&whole, "memory_budget", "64G", "resident_blocks", "0");
    CHOOSE(&p, "memory_budget", budget((double)whole.need_bytes + 50e6));
    assert_int_equal(p.policy.vae_tile, 0);
    CHOOSE(&p, "memory_budget", budget((double)whole.need_bytes - 50e6));
    assert_true(kn_plan_fits(&p));
    assert_int_equal(p.policy.vae_tile, 256);
    char buf[160];
    assert_non_null(strstr(kn_plan_describe(&p, buf, sizeof buf), "in tiles of 256"));
}

static void what_the_request_says_stays(void **state)
{
    (void)state;
    kn_plan p;
    kn_err err = {0};
    CHOOSE(&p, "memory_budget", "1500M", "vae_tile", "0", "resident_blocks", "30");
    assert_int_equal(p.n_candidates, 1);
    assert_int_equal(p.policy.n_resident, 30);
    assert_int_equal(p.policy.vae_tile, 0);
    assert_false(kn_plan_fits(&p));
    assert_int_equal(kn_plan_check(&p, &err), KN_ENOMEM);
    assert_non_null(strstr(err.msg, "the memory budget leaves"));
}

static void what_cannot_fit_says_so(void **state)
{
    (void)state;
    kn_plan p;
    kn_err err = {0};
    CHOOSE(&p, "memory_budget", "100M");
    assert_false(kn_plan_fits(&p));
    assert_int_equal(p.policy.n_resident, 0);
    assert_int_equal(p.policy.vae_tile, 128);
    assert_int_equal(kn_plan_check(&p, &err), KN_ENOMEM);
    assert_non_null(strstr(err.msg, "smaller picture"));
    print_message("%s\n", err.msg);
}

/* The JSON of a plan pins a request to it. */
static void a_plan_can_be_pinned(void **state)
{
    (void)state;
    kn_plan p;
    kn_request rq;
    kn_err err = {0};
    CHOOSE(&p, "memory_budget", "1500M");
    json_t *o = kn_plan_to_json(&p);
    assert_true(p.seconds > 0 ? json_real_value(json_object_get(o, "seconds")) == p.seconds
                              : json_is_null(json_object_get(o, "seconds")));
    kn_request_init(&rq);
    assert_int_equal(kn_plan_pin(o, "plan.json", &rq, &err), 0);
    assert_int_equal(rq.resident_blocks, p.policy.n_resident);
    assert_int_equal(rq.vae_tile, p.policy.vae_tile);
    assert_string_equal(rq.dtype, "bf16");
    kn_request_done(&rq);

    set(&rq, "resident_blocks", "3"); /* said by the user */
    assert_int_equal(kn_plan_pin(o, "plan.json", &rq, &err), 0);
    assert_int_equal(rq.resident_blocks, 3);

    json_object_set_new(json_object_get(o, "policy"), "vae_tile", json_string("small"));
    assert_int_equal(kn_plan_pin(o, "plan.json", &rq, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, "vae_tile: \"small\" is not a whole number"));
    json_object_del(o, "policy");
    assert_int_equal(kn_plan_pin(o, "plan.json", &rq, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, "plan.json has no \"policy\""));
    kn_request_done(&rq);
    json_decref(o);
}

static int set_up(void **state)
{
    (void)state;
    kn_err err = {0};
    for (int i = 0; kn_models[i]; i++)
        if (kn_models[i]->open_random)
            desc = kn_models[i];
    return desc ? kn_cpu_device_open(&(kn_cpu_options){.n_threads = 1}, &dev, &err) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kn_device_close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plenty_changes_nothing),
        cmocka_unit_test(as_many_blocks_stay_as_fit),
        cmocka_unit_test(tiles_only_where_whole_pictures_do_not_fit),
        cmocka_unit_test(what_the_request_says_stays),
        cmocka_unit_test(what_cannot_fit_says_so),
        cmocka_unit_test(a_plan_can_be_pinned),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
