/* Memory that runs out although the plan thought there was enough: the job goes on with less, to the same frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/generate.h"
#include "models/models.h"
#include "tensor/checkpoint.h"

/* ---- a model whose denoiser has 100 MB: the fixture with wider blocks ---- */

enum {
    HEADS = 8,
    HEAD_DIM = 64,
    DIM = HEADS * HEAD_DIM,
    FFN = 2048,
    LAYERS = 12,
    Z = 8,
    TEXT = 32,
    FREQ = 32,
    MAX = 512
};

static char folder[] = "/tmp/kinora-memory-XXXXXX";
static kn_save_tensor tensors[MAX];
static int n_tensors;
static uint16_t *values; /* as many as the largest tensor has */

static void add(const char *prefix, const char *name, int n_dims, const int64_t *dims)
{
    kn_save_tensor *t = &tensors[n_tensors++];
    assert_true(n_tensors <= MAX);
    *t = (kn_save_tensor){
        .name = kn_asprintf("%s%s", prefix, name), .dtype = KN_BF16, .n_dims = n_dims, .data = values};
    memcpy(t->dims, dims, (size_t)n_dims * sizeof *dims);
}

#define ADD(prefix, name, ...)                                                                               \
    add(prefix, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

static void add_linear(const char *prefix, const char *name, int64_t n_out, int64_t n_in)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    ADD(prefix, full, n_out, n_in);
    snprintf(full, sizeof full, "%s.bias", name);
    ADD(prefix, full, n_out);
}

static void add_block(int i)
{
    char b[32], a[48];
    snprintf(b, sizeof b, "blocks.%d.", i);
    for (int k = 1; k <= 2; k++) {
        snprintf(a, sizeof a, "%sattn%d.", b, k);
        add_linear(a, "to_q", DIM, DIM);
        add_linear(a, "to_k", DIM, DIM);
        add_linear(a, "to_v", DIM, DIM);
        add_linear(a, "to_out.0", DIM, DIM);
        ADD(a, "norm_q.weight", DIM);
        ADD(a, "norm_k.weight", DIM);
    }
    ADD(b, "norm2.weight", DIM);
    ADD(b, "norm2.bias", DIM);
    ADD(b, "scale_shift_table", 1, 6, DIM);
    add_linear(b, "ffn.net.0.proj", FFN, DIM);
    add_linear(b, "ffn.net.2", DIM, FFN);
}

static void add_transformer(void)
{
    add_linear("condition_embedder.", "text_embedder.linear_1", DIM, TEXT);
    add_linear("condition_embedder.", "text_embedder.linear_2", DIM, DIM);
    add_linear("condition_embedder.", "time_embedder.linear_1", DIM, FREQ);
    add_linear("condition_embedder.", "time_embedder.linear_2", DIM, DIM);
    add_linear("condition_embedder.", "time_proj", 6 * DIM, DIM);
    ADD("", "patch_embedding.weight", DIM, Z, 1, 2, 2);
    ADD("", "patch_embedding.bias", DIM);
    ADD("", "scale_shift_table", 1, 2, DIM);
    add_linear("", "proj_out", 4 * Z, DIM);
    for (int i = 0; i < LAYERS; i++)
        add_block(i);
}

static void write_config(void)
{
    FILE *f = fopen("model/transformer/config.json", "w");
    assert_non_null(f);
    fprintf(f,
            "{\"_class_name\": \"WanTransformer3DModel\", \"attention_head_dim\": %d, "
            "\"num_attention_heads\": %d, "
            "\"num_layers\": %d, \"ffn_dim\": %d, \"freq_dim\": %d, \"text_dim\": %d, \"in_channels\": %d, "
            "\"out_channels\": %d, \"patch_size\": [1, 2, 2], \"cross_attn_norm\": true, \"eps\": 1e-6, "
            "\"qk_norm\": \"rms_norm_across_heads\"}",
            HEAD_DIM, HEADS, LAYERS, FFN, FREQ, TEXT, Z, Z);
    fclose(f);
}

static int make_model(void **state)
{
    (void)state;
    kn_err err = {0};
    enum { LARGEST = 6 * DIM * DIM };
    if (!mkdtemp(folder) || chdir(folder) ||
        system("cp -r " KN_FIXTURES "/wan21-t2v/model . && chmod -R u+w model && rm model/transformer/*"))
        return -1;
    values = malloc(LARGEST * sizeof *values);
    for (int i = 0; i < LARGEST; i++)
        values[i] = kn_f32_to_bf16((float)((i * 2654435761u) % 2001u) / 1000.0f * 0.04f - 0.04f);
    add_transformer();
    write_config();
    int rc =
        kn_checkpoint_save("model/transformer/diffusion_pytorch_model.safetensors", n_tensors, tensors, &err);
    for (int i = 0; i < n_tensors; i++)
        free((char *)(uintptr_t)tensors[i].name);
    free(values);
    return rc;
}

static int remove_model(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") || system(command);
}

/* ---- running it ---- */

typedef struct notes {
    int n_tries;
    char last[512];
} notes;

static void on_event(void *ud, const kn_event *e)
{
    notes *n = ud;
    if (e->kind != KN_EVENT_NOTE)
        return;
    if (strstr(e->text, "trying again"))
        n->n_tries++;
    snprintf(n->last, sizeof n->last, "%s", e->text);
}

static void set(kn_request *rq, const char *name, const char *value)
{
    kn_err err = {0};
    if (kn_request_set(rq, name, value, &err))
        fail_msg("%s", err.msg);
}

static int run(const char *resident_blocks, notes *n, kn_result *ret, kn_err *err)
{
    kn_request rq;
    const kn_model_desc *desc = NULL;
    static const char *const usual[] = {
        "model",  "model", "prompt",  "a cat", "width",         "64",  "height", "32",
        "frames", "5",     "steps",   "2",     "seed",          "7",   "dtype",  "bf16",
        "output", "out/",  "threads", "2",     "memory_budget", "64G", NULL}; /* the plan is told there is plenty */
    kn_request_init(&rq);
    for (const char *const *p = usual; *p; p += 2)
        set(&rq, p[0], p[1]);
    if (resident_blocks)
        set(&rq, "resident_blocks", resident_blocks);
    *n = (notes){0};
    kn_generate_opts opts = {.event = on_event, .event_ud = n, .state_dir = "state"};
    int rc = kn_model_find("model", &desc, NULL, err);
    if (!rc)
        rc = kn_generate(desc, &rq, &opts, ret, err);
    kn_request_done(&rq);
    return rc;
}

/* Writable private memory of this process; RLIMIT_DATA bounds it. */
static size_t data_bytes(void)
{
    char line[256];
    size_t kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmData: %zu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb << 10;
}

static void limit_data(size_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_DATA, &l);
    l.rlim_cur = bytes ? (rlim_t)bytes : l.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_DATA, &l), 0);
}

/* Room for the pool, what is allocated beside it, and half of the weights. */
enum { ROOM = (64 + 24 + 50) << 20 };

static void goes_on_with_less(void **state)
{
    (void)state;
    kn_err err = {0};
    kn_result whole, reduced;
    notes n;
    limit_data(data_bytes() + ROOM);
    int rc = run(NULL, &n, &reduced, &err);
    limit_data(0);
    if (rc)
        fail_msg("%s", err.msg);
    print_message("%d of %d blocks after %d tries\n", reduced.plan.policy.n_resident, LAYERS, n.n_tries);
    assert_true(n.n_tries >= 1);
    assert_true(reduced.plan.policy.n_resident < LAYERS);

    if (run(NULL, &n, &whole, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(n.n_tries, 0);
    assert_int_equal(whole.plan.policy.n_resident, LAYERS);
    assert_string_equal(reduced.frames_hash, whole.frames_hash);
    kn_result_done(&whole);
    kn_result_done(&reduced);
}

/* Before anything else: memory that a run has freed stays with the allocator, outside of the limit's view.
 * What the user fixed is not changed, and the error says what to change. */
static void says_what_to_change(void **state)
{
    (void)state;
    kn_err err = {0};
    kn_result r;
    notes n;
    limit_data(data_bytes() + ROOM);
    int rc = run("12", &n, &r, &err);
    limit_data(0);
    assert_int_equal(rc, KN_ENOMEM);
    assert_int_equal(n.n_tries, 0);
    if (!strstr(err.msg, "to make it fit: "))
        fail_msg("%s", err.msg);
    print_message("%s\n", err.msg);
}

int main(void)
{
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
    return 0; /* their shadow memory and their allocators do not live under a limit */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_to_change),
        cmocka_unit_test(goes_on_with_less),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
