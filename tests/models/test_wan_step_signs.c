/* What step caches see of a model is what its forward computes. */
#include "wan_dit.h"

#include "models/wan/step_signs.h"

enum { FRAMES = 3, SIDE = 40, TOKENS = FRAMES * SIDE / 2 * SIDE / 2, MAX_DIM = 256 };

/* Values of a forward by their names. */
typedef struct seen {
    kn_ctx *c;
    float patch[TOKENS * MAX_DIM], block[TOKENS * MAX_DIM], time[6 * MAX_DIM];
} seen;

static void look(void *ud, const char *name, kn_tensor t)
{
    seen *s = ud;
    if (strcmp(name, "dit.patch") == 0)
        kn_to_f32(s->c, t, s->patch);
    else if (strcmp(name, "dit.block0.out") == 0)
        kn_to_f32(s->c, t, s->block);
    else if (strcmp(name, "dit.time_proj") == 0)
        kn_to_f32(s->c, t, s->time);
}

static int open_device(void **state)
{
    *state = open_cpu();
    return 0;
}

static int close_device(void **state)
{
    kn_device_close(*state);
    return 0;
}

typedef struct scene {
    dit d;
    kn_rope rope;
    kn_wan_context context;
    float noise[FRAMES * SIDE * SIDE * 64];
    seen seen;
} scene;

static scene *scene_new(kn_device *dev)
{
    scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    dit_open(&s->d, dev, FIXTURE("wan21-t2v/model/transformer"),
             FIXTURE("wan21-t2v/model/transformer/config.json"), KN_F32);
    const kn_wan_config *f = &s->d.m.config;
    float text[8 * 64];
    assert_true(f->dim <= MAX_DIM && f->in_channels <= 64 && f->text_dim <= 64 && f->patch[1] == 2);
    for (int i = 0; i < 8 * 64; i++)
        text[i] = (float)((i * 7919) % 201) / 100.0f - 1.0f;
    for (int64_t i = 0; i < FRAMES * SIDE * SIDE * f->in_channels; i++)
        s->noise[i] = (float)((i * 104729) % 201) / 100.0f - 1.0f;
    kn_tensor t = kn_from_f32(&s->d.c, KN_F32, KN_DIMS(8, f->text_dim), text);
    kn_wan_context_init(&s->d.c, &s->d.m, t, (kn_tensor){0}, NULL, &s->context);
    s->rope = kn_wan_rope(&s->d.c, f->head_dim, FRAMES, SIDE / 2, SIDE / 2);
    s->seen.c = &s->d.c;
    return s;
}

static void scene_free(scene *s, kn_scope scope)
{
    kn_scope_close(&s->d.c, scope, (kn_tensor){0});
    dit_close(&s->d);
    free(s);
}

static kn_wan_input input(scene *s, int64_t frames)
{
    static const float timestep = 700;
    kn_wan_input in = {.timesteps = &timestep, .n_timesteps = 1, .context = &s->context, .rope = &s->rope};
    in.latents =
        kn_from_f32(&s->d.c, KN_F32, KN_DIMS(frames, SIDE, SIDE, s->d.m.config.in_channels), s->noise);
    return in;
}

/* More tokens than are looked at: the first and the last run of them are where they should be. */
static void the_first_block(void **state)
{
    scene *s = scene_new(*state);
    int64_t dim = s->d.m.config.dim, run = KN_WAN_SAMPLE_TOKENS / 16;
    kn_scope scope = kn_scope_open(&s->d.c);
    kn_wan_input in = input(s, FRAMES);
    in.trace = &(kn_trace){look, &s->seen};
    kn_wan_transformer_forward(&s->d.c, &s->d.m, &in);
    in.trace = NULL;
    assert_int_equal(kn_wan_first_block_size(&s->d.m.config, &in), KN_WAN_SAMPLE_TOKENS * dim);
    float *got = calloc((size_t)(KN_WAN_SAMPLE_TOKENS * dim), sizeof *got);
    kn_wan_transformer_first_block(&s->d.c, &s->d.m, &in, got);
    must_be_ok(&s->d.c);
    for (int64_t i = 0; i < run * dim; i++) {
        int64_t last = (TOKENS - run) * dim + i, at = (KN_WAN_SAMPLE_TOKENS - run) * dim + i;
        assert_true(got[i] == s->seen.block[i] - s->seen.patch[i]);
        assert_true(got[at] == s->seen.block[last] - s->seen.patch[last]);
    }
    free(got);
    scene_free(s, scope);
}

static void the_timestep(void **state)
{
    scene *s = scene_new(*state);
    kn_scope scope = kn_scope_open(&s->d.c);
    float got[6 * MAX_DIM];
    kn_wan_input in = input(s, FRAMES);
    in.trace = &(kn_trace){look, &s->seen};
    kn_wan_transformer_forward(&s->d.c, &s->d.m, &in);
    kn_wan_transformer_projected_time(&s->d.c, &s->d.m, 700, got);
    must_be_ok(&s->d.c);
    assert_memory_equal(got, s->seen.time, (size_t)kn_wan_projected_time_size(&s->d.m.config) * sizeof *got);
    scene_free(s, scope);
}

/* Nothing to compare with; the same again; something else. */
static void probes(void **state)
{
    scene *s = scene_new(*state);
    kn_scope scope = kn_scope_open(&s->d.c);
    kn_wan_probe p = {0};
    double change = 0;
    kn_wan_input in = input(s, 1);
    kn_rope whole = s->rope;
    s->rope = kn_wan_rope(&s->d.c, s->d.m.config.head_dim, 1, SIDE / 2, SIDE / 2);
    size_t before = s->d.c.dev->mem_host_bytes;
    kn_wan_probe_run(&p, &s->d.c, &s->d.m, &in, &change);
    assert_true(isinf(change));
    kn_wan_probe_keep(&p);
    kn_wan_probe_run(&p, &s->d.c, &s->d.m, &in, &change);
    assert_true(change == 0);
    in.timesteps = (const float[]){500};
    kn_wan_probe_run(&p, &s->d.c, &s->d.m, &in, &change);
    assert_true(change > 0 && change < 10);
    must_be_ok(&s->d.c);
    assert_true(s->d.c.dev->mem_host_bytes > before);
    kn_wan_probe_done(&p, s->d.c.dev);
    assert_int_equal(s->d.c.dev->mem_host_bytes, before);
    s->rope = whole;
    scene_free(s, scope);
}

/* A transformer of the tests' size, told to be Wan 2.1 1.3B: the polynomial of what the timesteps change, step by step. */
static void teacache_table(void **state)
{
    scene *s = scene_new(*state);
    kn_scope scope = kn_scope_open(&s->d.c);
    const double timesteps[] = {999, 900, 900, 100};
    double table[4];
    kn_wan_model m = {.scheduler = {.flow_shift = 3}};
    kn_request rq;
    kn_request_init(&rq);
    rq.steps = 4;
    m.dit[KN_WAN_HIGH] = (kn_wan_config){.dim = 1536, .n_layers = 30, .in_channels = 16, .out_channels = 16};
    must(kn_wan_cache_table(&m, &s->d.c, &s->d.m, &rq, timesteps, "tea", table, err));
    assert_true(table[0] == 0);
    assert_true(table[1] != table[2] && table[1] != table[3]);
    assert_true(fabs(table[2] + 0.0499875664) < 1e-9); /* nothing changes: the constant term */
    must(kn_wan_cache_table(&m, &s->d.c, &s->d.m, &rq, timesteps, "mag", table, err));
    assert_true(table[0] == 1 && table[3] == 0.81838);
    m.dit[KN_WAN_HIGH].dim = 192;
    kn_err why = {0};
    assert_int_equal(kn_wan_cache_table(&m, &s->d.c, &s->d.m, &rq, timesteps, "tea", table, &why), KN_EINVAL);
    kn_request_done(&rq);
    scene_free(s, scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_block),
        cmocka_unit_test(the_timestep),
        cmocka_unit_test(probes),
        cmocka_unit_test(teacache_table),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
