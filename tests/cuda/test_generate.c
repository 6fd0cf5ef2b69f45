/* The program on the CUDA device: what it makes is what the processor makes, also with blocks that come and go. */
#include "api/program.h"

#include <math.h>

#include "tensor/checkpoint.h"

static int find_library(void **state)
{
#ifdef KN_CUDA_LIBRARY
    setenv("KINORA_CUDA_LIBRARY", KN_CUDA_LIBRARY, 0);
#endif
    return place_make(state);
}

#define MAKE(device, ...)                                                                                    \
    run("generate", "--model", "demo", "--prompt", "a red ball moves left", "--device", device, "--dtype",   \
        "f32", TINY, "-o", "out.gif", "--save-tensors", __VA_ARGS__)

/* The final latents of a run that worked, on the heap. */
static float *latents(outcome o, const char *file, int64_t *ret_n)
{
    must_succeed(&o);
    outcome_done(&o);
    kn_checkpoint *ck = NULL;
    must(kn_checkpoint_open(file, NULL, &ck, err));
    const kn_entry *e = kn_checkpoint_find(ck, "latents");
    assert_non_null(e);
    *ret_n = kn_entry_numel(e);
    float *v = malloc((size_t)*ret_n * sizeof *v);
    assert_non_null(v);
    must(kn_entry_to_f32(e, v, err));
    kn_checkpoint_close(ck);
    return v;
}

static double distance(const float *got, const float *want, int64_t n)
{
    double d = 0, w = 0;
    for (int64_t i = 0; i < n; i++) {
        d += pow((double)got[i] - (double)want[i], 2);
        w += pow((double)want[i], 2);
    }
    return sqrt(d / w);
}

static void test_same_video(void **state)
{
    (void)state;
    outcome first = MAKE("cuda", "card.safetensors");
    if (first.code == kn_err_exit(KN_EDEVICE)) {
        print_message("skipped: %s", first.err);
        outcome_done(&first);
        skip();
    }
    int64_t n = 0, m = 0;
    float *card = latents(first, "card.safetensors", &m);
    float *cpu = latents(MAKE("cpu", "cpu.safetensors"), "cpu.safetensors", &n);
    assert_int_equal(n, m);
    assert_true(distance(card, cpu, n) < 1e-4);
    float *streamed =
        latents(MAKE("cuda", "streamed.safetensors", "--resident-blocks", "0"), "streamed.safetensors", &m);
    assert_memory_equal(card, streamed, (size_t)n * sizeof *card);
    free(cpu);
    free(card);
    free(streamed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_video)};
    return cmocka_run_group_tests(tests, find_library, place_remove);
}
