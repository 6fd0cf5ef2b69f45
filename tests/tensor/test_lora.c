#include "weights_check.h"

#include <math.h>

#include "tensor/lora.h"

/* ---- a small name map: blocks.N.self_attn.q <-> blocks.N.attn1.to_q and the like ---- */

static const char *const names[][2] = {
    {"self_attn.q", "attn1.to_q"},
    {"self_attn.k", "attn1.to_k"},
    {"self_attn.v", "attn1.to_v"},
    {"self_attn.o", "attn1.to_out.0"},
    {"cross_attn.q", "attn2.to_q"},
    {"cross_attn.k", "attn2.to_k"},
    {"cross_attn.v", "attn2.to_v"},
    {"cross_attn.o", "attn2.to_out.0"},
    {"ffn.0", "ffn.net.0.proj"},
    {"ffn.2", "ffn.net.2"},
    {"norm3", "norm2"},
    {"modulation", "scale_shift_table"},
    {"head.head", "proj_out"},
    {"time_projection.1", "condition_embedder.time_proj"},
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
};

static int translate(const char *name, int from, char *out, size_t size)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = strstr(name, names[i][from]);
        size_t n = strlen(names[i][from]);
        if (!at || (at != name && at[-1] != '.') || (at[n] && at[n] != '.'))
            continue;
        snprintf(out, size, "%.*s%s%s", (int)(at - name), name, names[i][1 - from], at + n);
        return 0;
    }
    return 2;
}

static int to_canonical(const char *name, char *out, size_t size)
{
    return translate(name, 0, out, size);
}

static int to_original(const char *name, char *out, size_t size)
{
    return translate(name, 1, out, size);
}

static const kn_name_map map = {to_canonical, to_original};

/* ---- what is expected, worked out in double precision ---- */

static float *values(kn_checkpoint *ck, const char *name, int64_t *n)
{
    const kn_entry *e = kn_checkpoint_find(ck, name);
    kn_err err = {0};
    if (!e)
        fail_msg("no %s", name);
    *n = kn_entry_numel(e);
    float *x = malloc((size_t)*n * sizeof *x);
    assert_int_equal(kn_entry_to_f32(e, x, &err), 0);
    return x;
}

static void check_product(const kn_lora_set *s, const char *tensor, int64_t n_out, int64_t n_in, double scale,
                          const float *up, const float *down, int64_t rank)
{
    kn_err err = {0};
    assert_true(kn_lora_set_touches(s, tensor));
    float *w = malloc((size_t)(n_out * n_in) * sizeof *w);
    for (int64_t i = 0; i < n_out * n_in; i++)
        w[i] = (float)(i % 7) - 3;
    assert_int_equal(kn_lora_set_apply(s, tensor, w, n_out, n_in, &err), 0);
    for (int64_t i = 0; i < n_out * n_in; i++) {
        double sum = 0;
        for (int64_t k = 0; k < rank; k++)
            sum += (double)up[i / n_in * rank + k] * (double)down[k * n_in + i % n_in];
        double expected = (double)(i % 7) - 3 + scale * sum;
        if (fabs((double)w[i] - expected) > 1e-5)
            fail_msg("%s element %lld is %g, expected %g", tensor, (long long)i, (double)w[i], expected);
    }
    free(w);
}

static kn_checkpoint *open_path(const char *path)
{
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    if (kn_checkpoint_open(path, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    return ck;
}

static kn_checkpoint *open_base(void)
{
    return open_path(KN_FIXTURES "/wan21-t2v/model/transformer");
}

static void fixture_files(void **state)
{
    (void)state;
    static const struct {
        const char *file, *up, *down, *tensor;
        double scale;
        bool alpha; /* multiply by the alpha tensor / rank instead */
        const char *alpha_key;
    } cases[] = {
        {"peft", "transformer.blocks.1.attn2.to_out.0.lora_B.weight",
         "transformer.blocks.1.attn2.to_out.0.lora_A.weight", "blocks.1.attn2.to_out.0.weight", 1, 0, NULL},
        {"peft_meta", "transformer.condition_embedder.time_proj.lora_B.weight",
         "transformer.condition_embedder.time_proj.lora_A.weight", "condition_embedder.time_proj.weight", 2,
         0, NULL},
        {"comfy", "diffusion_model.blocks.0.ffn.0.lora_up.weight",
         "diffusion_model.blocks.0.ffn.0.lora_down.weight", "blocks.0.ffn.net.0.proj.weight", 0.5, 0, NULL},
        {"kohya", "lora_unet_blocks_1_self_attn_o.lora_up.weight",
         "lora_unet_blocks_1_self_attn_o.lora_down.weight", "blocks.1.attn1.to_out.0.weight", 1, 1,
         "lora_unet_blocks_1_self_attn_o.alpha"},
        {"comfy_ab", "diffusion_model.head.head.lora_B.weight", "diffusion_model.head.head.lora_A.weight",
         "proj_out.weight", 1, 0, NULL},
        {"comfy_diffb", "diffusion_model.blocks.0.cross_attn.k.lora_up.weight",
         "diffusion_model.blocks.0.cross_attn.k.lora_down.weight", "blocks.0.attn2.to_k.weight", 1, 0, NULL},
    };
    kn_checkpoint *base = open_base();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/wan21-lora/%s.safetensors", KN_FIXTURES, cases[i].file);
        kn_lora_set *s = NULL;
        kn_err err = {0};
        assert_int_equal(kn_lora_set_new(&s, &err), 0);
        if (kn_lora_set_add(s, path, 0.6f, base, &map, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(kn_lora_set_count(s), 1);
        assert_false(kn_lora_set_touches(s, "patch_embedding.weight"));
        kn_checkpoint *file = open_path(path);
        int64_t n_up, n_down, one;
        float *up = values(file, cases[i].up, &n_up), *down = values(file, cases[i].down, &n_down);
        int64_t rank = kn_checkpoint_find(file, cases[i].down)->dims[0];
        double scale = cases[i].scale;
        if (cases[i].alpha) {
            float *alpha = values(file, cases[i].alpha_key, &one);
            scale = (double)alpha[0] / (double)rank;
            free(alpha);
        }
        check_product(s, cases[i].tensor, n_up / rank, n_down / rank, 0.6f * scale, up, down, rank);
        free(up);
        free(down);
        kn_checkpoint_close(file);
        kn_lora_set_free(s);
    }
    kn_checkpoint_close(base);
}

static void bias_difference(void **state)
{
    (void)state;
    const char *path = KN_FIXTURES "/wan21-lora/comfy_diffb.safetensors";
    kn_checkpoint *base = open_base(), *file = open_path(path);
    kn_lora_set *s = NULL;
    kn_err err = {0};
    int64_t n;
    float *diff = values(file, "diffusion_model.blocks.0.ffn.0.diff_b", &n), bias[64] = {0};
    assert_int_equal(n, 64);
    assert_int_equal(kn_lora_set_new(&s, &err), 0);
    assert_int_equal(kn_lora_set_add(s, path, 0.5f, base, &map, &err), 0);
    assert_int_equal(kn_lora_set_add(s, path, 0.25f, base, &map, &err), 0);
    assert_int_equal(kn_lora_set_apply(s, "blocks.0.ffn.net.0.proj.bias", bias, 64, 1, &err), 0);
    for (int i = 0; i < 64; i++)
        assert_true(fabsf(bias[i] - 0.75f * diff[i]) < 1e-6f);
    assert_int_equal(kn_lora_set_apply(s, "blocks.0.ffn.net.0.proj.bias", bias, 32, 1, &err), KN_EINTERNAL);
    free(diff);
    kn_lora_set_free(s);
    kn_checkpoint_close(file);
    kn_checkpoint_close(base);
}

/* ---- small files ---- */

enum { N_OUT = 6, N_IN = 4, RANK = 2 };
static const float up[N_OUT * RANK] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const float down[RANK * N_IN] = {1, -1, 0.5f, 2, 0.25f, 3, -2, 1};
static const float table[N_OUT] = {1, 2, 3, 4, 5, 6};

typedef struct small {
    char *dir, *base_path, *path;
    kn_checkpoint *base;
    kn_lora_set *set;
} small;

static int set_up(void **state)
{
    small *t = kn_calloc(1, sizeof *t);
    kn_err err = {0};
    static const float zeros[N_OUT * N_IN];
    const kn_save_tensor base[] = {
        {"blocks.0.attn1.to_q.weight", KN_F32, 2, {N_OUT, N_IN}, zeros},
        {"blocks.0.attn1.to_q.bias", KN_F32, 1, {N_OUT}, zeros},
        {"blocks.0.norm2.weight", KN_F32, 1, {N_OUT}, zeros},
        {"blocks.0.scale_shift_table", KN_F32, 3, {1, 2, 3}, zeros},
        {"conv.weight", KN_F32, 4, {N_OUT, 1, 2, 2}, zeros},
    };
    t->dir = make_folder();
    t->base_path = kn_path_join(t->dir, "base.safetensors");
    t->path = kn_path_join(t->dir, "adapter_model.safetensors");
    assert_int_equal(kn_checkpoint_save(t->base_path, 5, base, &err), 0);
    t->base = open_path(t->base_path);
    assert_int_equal(kn_lora_set_new(&t->set, &err), 0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    small *t = *state;
    const char *const files[] = {"base.safetensors", "adapter_model.safetensors", "adapter_config.json",
                                 NULL};
    kn_lora_set_free(t->set);
    kn_checkpoint_close(t->base);
    remove_folder(t->dir, files);
    free(t->base_path);
    free(t->path);
    free(t);
    return 0;
}

static int add(small *t, int n, const kn_save_tensor *tensors, kn_err *err)
{
    *err = (kn_err){0};
    assert_int_equal(kn_checkpoint_save(t->path, n, tensors, err), 0);
    return kn_lora_set_add(t->set, t->path, 1, t->base, &map, err);
}

static void must_add(small *t, int n, const kn_save_tensor *tensors)
{
    kn_err err;
    if (add(t, n, tensors, &err))
        fail_msg("%s", err.msg);
}

#define Q "blocks.0.attn1.to_q"
static const kn_save_tensor peft[2] = {
    {"base_model.model." Q ".lora_A.weight", KN_F32, 2, {RANK, N_IN}, down},
    {"base_model.model." Q ".lora_B.weight", KN_F32, 2, {N_OUT, RANK}, up}};

static void peft_config_beside(void **state)
{
    small *t = *state;
    char *config = kn_path_join(t->dir, "adapter_config.json");
    static const struct {
        const char *text;
        double scale;
    } cases[] = {
        {"{\"r\":2,\"lora_alpha\":6}", 3},
        {"{\"r\":2,\"lora_alpha\":8,\"use_rslora\":true}", 8 / 1.4142135623730951},
        {"{\"lora_alpha\":6,\"alpha_pattern\":{\"to_k\":100,\"attn1.to_q\":1}}", 0.5},
        {"{\"lora_alpha\":6,\"alpha_pattern\":{\"o_q\":100}}", 3},
        {"{}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_err err = {0};
        write_bytes(config, cases[i].text, strlen(cases[i].text));
        must_add(t, 2, peft);
        check_product(t->set, Q ".weight", N_OUT, N_IN, cases[i].scale, up, down, RANK);
        kn_lora_set_free(t->set);
        assert_int_equal(kn_lora_set_new(&t->set, &err), 0);
    }
    kn_err err;
    write_bytes(config, "{\"use_dora\":true}", 17);
    assert_int_equal(add(t, 2, peft, &err), KN_EUNSUPPORTED);
    assert_message(err, "use_dora");
    free(config);
}

static void shapes_of_convolutions(void **state)
{
    small *t = *state;
    const kn_save_tensor linear[] = {{Q ".lora_down.weight", KN_F32, 4, {RANK, N_IN, 1, 1}, down},
                                     {Q ".lora_up.weight", KN_F32, 4, {N_OUT, RANK, 1, 1}, up},
                                     {"unet.conv.lora.down.weight", KN_F32, 4, {RANK, 1, 2, 2}, down},
                                     {"unet.conv.lora.up.weight", KN_F32, 4, {N_OUT, RANK, 1, 1}, up}};
    must_add(t, 4, linear);
    check_product(t->set, Q ".weight", N_OUT, N_IN, 1, up, down, RANK);
    check_product(t->set, "conv.weight", N_OUT, N_IN, 1, up, down, RANK);
}

static void whole_differences(void **state)
{
    small *t = *state;
    const kn_save_tensor diffs[] = {{"diffusion_model.blocks.0.norm3.diff", KN_F32, 1, {N_OUT}, table},
                                    {"diffusion_model.blocks.0.diff_m", KN_F32, 3, {1, 2, 3}, table},
                                    {"lora_unet_blocks_0_self_attn_q.diff_b", KN_F32, 1, {N_OUT}, table},
                                    {Q ".lora_A.weight", KN_F32, 2, {RANK, N_IN}, down},
                                    {Q ".lora_B.weight", KN_F32, 2, {N_OUT, RANK}, up},
                                    {Q ".lora_B.bias", KN_F32, 1, {N_OUT}, table},
                                    {Q ".alpha", KN_F32, 0, {0}, &up[3]}};
    must_add(t, 7, diffs);
    kn_err err = {0};
    float norm[N_OUT] = {0}, shift[N_OUT] = {0}, bias[N_OUT] = {0};
    assert_int_equal(kn_lora_set_apply(t->set, "blocks.0.norm2.weight", norm, N_OUT, 1, &err), 0);
    assert_int_equal(kn_lora_set_apply(t->set, "blocks.0.scale_shift_table", shift, N_OUT, 1, &err), 0);
    assert_int_equal(kn_lora_set_apply(t->set, Q ".bias", bias, N_OUT, 1, &err), 0);
    assert_memory_equal(norm, table, sizeof norm);
    assert_memory_equal(shift, table, sizeof shift);
    for (int i = 0; i < N_OUT; i++)
        assert_true(bias[i] == 3 * table[i]); /* once whole, once with alpha / rank = 2 */
    check_product(t->set, Q ".weight", N_OUT, N_IN, 2, up, down, RANK);
}

static void lycoris(void **state)
{
    small *t = *state;
    static const float w1[2] = {2, -1}, w2[N_OUT * N_IN / 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                       alpha = 4;
    const kn_save_tensor loha[] = {
        {Q ".hada_w1_a", KN_F32, 2, {N_OUT, RANK}, up}, {Q ".hada_w1_b", KN_F32, 2, {RANK, N_IN}, down},
        {Q ".hada_w2_a", KN_F32, 2, {N_OUT, RANK}, up}, {Q ".hada_w2_b", KN_F32, 2, {RANK, N_IN}, down},
        {Q ".alpha", KN_F32, 0, {0}, &alpha},
    };
    /* conv: 6 x 4 = (2 x 1) (x) (3 x 4), the second a product of rank 2 */
    const kn_save_tensor lokr[] = {{"conv.lokr_w1", KN_F32, 2, {2, 1}, w1},
                                   {"conv.lokr_w2_a", KN_F32, 2, {3, RANK}, up},
                                   {"conv.lokr_w2_b", KN_F32, 2, {RANK, N_IN}, down},
                                   {"conv.alpha", KN_F32, 0, {0}, &alpha},
                                   {Q ".lokr_w1", KN_F32, 2, {1, 2}, w1},
                                   {Q ".lokr_w2", KN_F32, 2, {N_OUT, 2}, w2},
                                   {Q ".alpha", KN_F32, 0, {0}, &alpha}};
    must_add(t, 5, loha);
    kn_err err = {0};
    float w[N_OUT * N_IN] = {0}, v[N_OUT * N_IN] = {0};
    assert_int_equal(kn_lora_set_apply(t->set, Q ".weight", w, N_OUT, N_IN, &err), 0);
    for (int i = 0; i < N_OUT * N_IN; i++) {
        float p = up[i / 4 * 2] * down[i % 4] + up[i / 4 * 2 + 1] * down[4 + i % 4];
        assert_true(fabsf(w[i] - 2 * p * p) < 1e-3f);
    }
    kn_lora_set_free(t->set);
    assert_int_equal(kn_lora_set_new(&t->set, &err), 0);
    must_add(t, 7, lokr);
    assert_int_equal(kn_lora_set_apply(t->set, "conv.weight", v, N_OUT, N_IN, &err), 0);
    for (int i = 0; i < N_OUT * N_IN; i++) {
        int row = i / 4 % 3;
        float p = up[row * 2] * down[i % 4] + up[row * 2 + 1] * down[4 + i % 4];
        assert_true(fabsf(v[i] - 2 * w1[i / 12] * p) < 1e-4f);
    }
    memset(v, 0, sizeof v);
    assert_int_equal(kn_lora_set_apply(t->set, Q ".weight", v, N_OUT, N_IN, &err), 0);
    for (int i = 0; i < N_OUT * N_IN; i++)
        assert_true(fabsf(v[i] - w1[i % 4 / 2] * w2[i / 4 * 2 + i % 2]) < 1e-4f);
}

static void refuses(void **state)
{
    small *t = *state;
    static const float bad_alpha = NAN;
    const struct {
        int n;
        kn_save_tensor tensors[3];
        int code;
        const char *text;
    } cases[] = {
        {1, {peft[0]}, KN_EFORMAT, Q ".lora_A.weight has no base_model.model." Q ".lora_B.weight"},
        {1, {peft[1]}, KN_EFORMAT, Q ".lora_B.weight is not understood or lacks its partner"},
        {2,
         {{"transformer.blocks.9.attn1.to_q.lora_A.weight", KN_F32, 2, {RANK, N_IN}, down},
          {"transformer.blocks.9.attn1.to_q.lora_B.weight", KN_F32, 2, {N_OUT, RANK}, up}},
         KN_EFORMAT,
         "key transformer.blocks.9.attn1.to_q.lora_A.weight names no module"},
        {2,
         {{"lora_te_q.lora_down.weight", KN_F32, 2, {RANK, N_IN}, down},
          {"lora_te_q.lora_up.weight", KN_F32, 2, {N_OUT, RANK}, up}},
         KN_EFORMAT,
         "lora_te_q.lora_down.weight names no module"},
        {2,
         {{Q ".lora_A.weight", KN_F32, 2, {N_IN, RANK}, down},
          {Q ".lora_B.weight", KN_F32, 2, {N_OUT, RANK}, up}},
         KN_EFORMAT,
         "is [4, 2], which does not fit tensor " Q ".weight [6, 4]"},
        {2,
         {{Q ".lora_A.weight", KN_F32, 2, {RANK, N_IN}, down},
          {Q ".lora_B.weight", KN_F32, 2, {RANK, N_OUT}, up}},
         KN_EFORMAT,
         "is [2, 6], which does not fit"},
        {2,
         {{Q ".lora_A.weight", KN_F32, 2, {0, N_IN}, down}, {Q ".lora_B.weight", KN_F32, 2, {N_OUT, 0}, up}},
         KN_EFORMAT,
         "is [0, 4], which does not fit"},
        {3,
         {peft[0], peft[1], {"base_model.model." Q ".alpha", KN_F32, 0, {0}, &bad_alpha}},
         KN_EFORMAT,
         "finite"},
        {3, {peft[0], peft[1], {Q ".dora_scale", KN_F32, 1, {N_OUT}, up}}, KN_EUNSUPPORTED, Q ".dora_scale"},
        {3, {peft[0], peft[1], {"extra", KN_F32, 1, {N_OUT}, up}}, KN_EFORMAT, "key extra is not understood"},
        {1, {{Q ".diff", KN_F32, 1, {N_OUT}, up}}, KN_EFORMAT, "is [6], which does not fit"},
        {1, {{"conv.diff_b", KN_F32, 1, {N_OUT}, up}}, KN_EFORMAT, "conv.diff_b names no module"},
        {0, {{0}}, KN_EFORMAT, "no tensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_err err;
        int rc = add(t, cases[i].n, cases[i].tensors, &err);
        if (rc != cases[i].code)
            fail_msg("case %zu: %d (%s)", i, rc, err.msg);
        assert_message(err, cases[i].text);
        assert_int_equal(kn_lora_set_count(t->set), 0);
        assert_false(kn_lora_set_touches(t->set, Q ".weight"));
    }
    kn_err err = {0};
    assert_int_equal(kn_lora_set_add(t->set, t->path, NAN, t->base, &map, &err), KN_EINVAL);
    kn_checkpoint *random = NULL;
    assert_int_equal(kn_checkpoint_random(1, &random, &err), 0);
    assert_int_equal(kn_lora_set_add(t->set, t->path, 1, random, &map, &err), KN_EINVAL);
    kn_checkpoint_close(random);
    must_add(t, 2, peft); /* a failure after a success keeps what was there */
    assert_int_equal(add(t, 1, peft, &err), KN_EFORMAT);
    check_product(t->set, Q ".weight", N_OUT, N_IN, 1, up, down, RANK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixture_files),
        cmocka_unit_test(bias_difference),
        cmocka_unit_test_setup_teardown(peft_config_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shapes_of_convolutions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whole_differences, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lycoris, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
