/* What an interrupted run leaves: when it is saved, what is refused, how much is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "engine/run_state.h"
#include "tensor/checkpoint.h"

enum { N = 8, STEPS = 10 };

typedef struct fixture {
    char dir[64];
    kn_request asked;
    kn_device *dev;
    kn_ctx ctx;
    kn_run run;
    kn_scheduler *scheduler;
    kn_step_cache cache;
} fixture;

#define KEPT(f, at) (&(kn_kept_step){(f)->scheduler, &(f)->cache, at, N})

static void must(int rc, const kn_err *err)
{
    if (rc)
        fail_msg("%s", err->msg);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    kn_err err = {0};
    kn_scheduler_config sc;
    assert_non_null(f);
    strcpy(f->dir, "/tmp/kn-run-state-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    kn_request_init(&f->asked);
    must(kn_request_set(&f->asked, "model", "/nowhere/model", &err), &err);
    must(kn_request_set(&f->asked, "prompt", "a cat", &err), &err);
    must(kn_request_set(&f->asked, "steps", "10", &err), &err);
    must(kn_request_set(&f->asked, "seed", "7", &err), &err);
    must(kn_cpu_device_open(&(kn_cpu_options){0}, &f->dev, &err), &err);
    must(kn_ctx_init(&f->ctx, f->dev, KN_F32, 0, &err), &err);
    kn_run_init(&f->run, &f->ctx, &f->asked);
    kn_scheduler_config_default(&sc);
    must(kn_scheduler_new(&sc, STEPS, N, &f->scheduler, &err), &err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[96];
    kn_run_state_close(f->run.state);
    kn_run_done(&f->run);
    kn_ctx_done(&f->ctx);
    kn_device_close(f->dev);
    kn_scheduler_free(f->scheduler);
    kn_request_done(&f->asked);
    snprintf(command, sizeof command, "rm -r '%s'", f->dir);
    free(f);
    return system(command);
}

/* The state of a run that begins, or (resume) of one that goes on; says what the run notes. */
static void begin(fixture *f, bool resume, char why[200])
{
    kn_err err = {0};
    kn_run_state_close(f->run.state);
    f->run.state = NULL;
    must(kn_run_state_open(f->dir, &f->asked, &f->run.state, &err), &err);
    if (resume)
        must(kn_run_state_load(f->run.state, &f->asked, &err), &err);
    must(kn_run_state_identify(f->run.state, &f->asked, 5, "a device", why, 200, &err), &err);
}

/* What the step cache knows is kept to the bit. */
static void test_step_cache(void **state)
{
    fixture *f = *state;
    char why[200];
    float latents[N] = {1, 2, 3}, back[N], arrays[KN_STEP_CACHE_ARRAYS * N];
    kn_err err = {0};
    begin(f, false, why);
    must(kn_step_cache_init(&f->cache, &(kn_step_cache_opts){.speed = 2}, STEPS, N, &err), &err);
    for (int i = 0; i < KN_STEP_CACHE_ARRAYS * N; i++)
        f->cache.arrays[i] = arrays[i] = (float)i / 3;
    f->cache.state = (kn_step_cache_state){0.1, 0.05, 0.02, 0.3, 4, 3, 2, 4, 3, 1};
    kn_run_keep_step(&f->run, KEPT(f, latents), 4, true);
    begin(f, true, why);
    kn_step_cache_done(&f->cache);
    must(kn_step_cache_init(&f->cache, &(kn_step_cache_opts){.speed = 2}, STEPS, N, &err), &err);
    must(kn_run_restore_step(&f->run, KEPT(f, back), &err), &err);
    assert_memory_equal(f->cache.arrays, arrays, sizeof arrays);
    assert_true(f->cache.state.slope == 0.1 && f->cache.state.sum == 0.02 && f->cache.state.threshold == 0.3);
    assert_int_equal(f->cache.state.n_computed, 3);
    assert_int_equal(f->cache.state.last, 2);
    kn_step_cache_done(&f->cache);
}

static int count_runs(const char *dir)
{
    char runs[80];
    int n = 0;
    snprintf(runs, sizeof runs, "%s/runs", dir);
    DIR *d = opendir(runs);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_steps(void **state)
{
    fixture *f = *state;
    char why[200];
    float latents[N], back[N] = {0};
    kn_err err = {0};
    begin(f, false, why);
    assert_string_equal(why, "");
    assert_int_equal(kn_run_first_step(&f->run), 0);
    for (int i = 0; i < N; i++)
        latents[i] = (float)i / 3;
    for (int i = 0; i < 5 * N; i++)
        f->scheduler->state[i] = (float)i / 7;
    f->scheduler->last_order = 2;
    kn_run_keep_step(&f->run, KEPT(f, latents), 4, true);
    begin(f, true, why);
    assert_string_equal(why, "");
    assert_int_equal(kn_run_first_step(&f->run), 4);
    assert_false(kn_run_has_latents(&f->run));
    memset(f->scheduler->state, 0, 5 * N * sizeof(float));
    f->scheduler->last_order = 0;
    must(kn_run_restore_step(&f->run, KEPT(f, back), &err), &err);
    assert_memory_equal(back, latents, sizeof latents);
    for (int i = 0; i < 5 * N; i++)
        assert_true(f->scheduler->state[i] == (float)i / 7);
    assert_int_equal(f->scheduler->last_order, 2);
}

static void test_shape_is_checked(void **state)
{
    fixture *f = *state;
    char why[200];
    float latents[N] = {0}, many[2 * N];
    kn_err err = {0};
    begin(f, false, why);
    kn_run_keep_step(&f->run, KEPT(f, latents), 4, true);
    begin(f, true, why);
    assert_int_equal(
        kn_run_restore_step(&f->run, &(kn_kept_step){f->scheduler, &f->cache, many, 2 * N}, &err),
        KN_EFORMAT);
    assert_non_null(strstr(err.msg, "has no latents that fits"));
}

static void test_final_latents(void **state)
{
    fixture *f = *state;
    char why[200];
    const float latents[N] = {1, 2, 3, 4, 5, 6, 7, 8};
    float back[N] = {0};
    kn_err err = {0};
    begin(f, false, why);
    kn_run_keep_latents(&f->run, 2, (const int64_t[]){2, 4}, latents);
    begin(f, true, why);
    assert_true(kn_run_has_latents(&f->run));
    assert_int_equal(kn_run_first_step(&f->run), 0);
    assert_int_equal(kn_run_restore_latents(&f->run, 2, (const int64_t[]){4, 2}, back, &err), KN_EFORMAT);
    must(kn_run_restore_latents(&f->run, 2, (const int64_t[]){2, 4}, back, &err), &err);
    assert_memory_equal(back, latents, sizeof latents);
}

/* The first step is too early to be worth a save; a later one is saved without being asked for. */
static void test_saves_in_time(void **state)
{
    fixture *f = *state;
    char why[200], is_saved[128];
    float latents[N] = {0};
    begin(f, false, why);
    snprintf(is_saved, sizeof is_saved, "ls '%s'/runs/*/state.safetensors >/dev/null 2>&1", f->dir);
    kn_run_keep_step(&f->run, KEPT(f, latents), 1, false);
    assert_int_not_equal(system(is_saved), 0);
    for (int i = 0; i < 6000 && system(is_saved); i++) {
        kn_run_keep_step(&f->run, KEPT(f, latents), 2 + i % (STEPS - 2), false);
        usleep(10000);
    }
    assert_int_equal(system(is_saved), 0);
}

static void test_what_differs(void **state)
{
    fixture *f = *state;
    char why[200];
    float latents[N] = {0};
    kn_err err = {0};
    begin(f, false, why);
    kn_run_keep_step(&f->run, KEPT(f, latents), 4, true);
    kn_run_state_close(f->run.state);
    f->run.state = NULL;
    struct {
        uint64_t files;
        const char *device, *says;
        int first;
    } cases[] = {{5, "a device", "", 4},
                 {5, "another", "device is not what it was: frames may differ in their last bits", 4},
                 {6, "a device", "a file that it reads is not what it was; beginning anew", 0}};
    for (int i = 0; i < 3; i++) {
        must(kn_run_state_open(f->dir, &f->asked, &f->run.state, &err), &err);
        must(kn_run_state_load(f->run.state, &f->asked, &err), &err);
        must(kn_run_state_identify(f->run.state, &f->asked, cases[i].files, cases[i].device, why, sizeof why,
                                   &err),
             &err);
        assert_string_equal(why, cases[i].says);
        assert_int_equal(kn_run_first_step(&f->run), cases[i].first);
        kn_run_state_close(f->run.state);
        f->run.state = NULL;
    }
    /* a default that another version fills in otherwise */
    kn_request complete;
    kn_request_init(&complete);
    must(kn_request_copy(&f->asked, &complete, &err), &err);
    must(kn_request_set(&complete, "guidance", "3", &err), &err);
    must(kn_run_state_open(f->dir, &f->asked, &f->run.state, &err), &err);
    must(kn_run_state_load(f->run.state, &f->asked, &err), &err);
    must(kn_run_state_identify(f->run.state, &complete, 5, "a device", why, sizeof why, &err), &err);
    assert_string_equal(why, "guidance is not what it was; beginning anew");
    kn_request_done(&complete);
}

static void test_locked(void **state)
{
    fixture *f = *state;
    char why[200];
    kn_run_state *second = NULL;
    kn_err err = {0};
    begin(f, false, why);
    assert_int_equal(kn_run_state_open(f->dir, &f->asked, &second, &err), KN_EBUSY);
    assert_null(second);
}

static void test_nothing_left(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    must(kn_run_state_open(f->dir, &f->asked, &f->run.state, &err), &err);
    assert_int_equal(kn_run_state_load(f->run.state, &f->asked, &err), KN_ENOTFOUND);
    kn_run_state_discard(f->run.state);
    f->run.state = NULL;
    assert_int_equal(count_runs(f->dir), 0);
}

/* The oldest states go; the one in use stays. */
static void test_pruned(void **state)
{
    fixture *f = *state;
    char why[200], seed[16];
    float latents[N] = {0};
    kn_err err = {0};
    for (int i = 0; i < KN_LIMIT_RUN_STATES + 3; i++) {
        snprintf(seed, sizeof seed, "%d", i);
        must(kn_request_set(&f->asked, "seed", seed, &err), &err);
        begin(f, false, why);
        kn_run_keep_step(&f->run, KEPT(f, latents), 4, true);
        usleep(2000);
    }
    assert_int_equal(count_runs(f->dir), KN_LIMIT_RUN_STATES);
    begin(f, true, why); /* the newest */
    assert_int_equal(kn_run_first_step(&f->run), 4);
    must(kn_request_set(&f->asked, "seed", "0", &err), &err);
    kn_run_state_close(f->run.state);
    f->run.state = NULL;
    must(kn_run_state_open(f->dir, &f->asked, &f->run.state, &err), &err);
    assert_int_equal(kn_run_state_load(f->run.state, &f->asked, &err), KN_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_step_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shape_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_final_latents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saves_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_differs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pruned, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
