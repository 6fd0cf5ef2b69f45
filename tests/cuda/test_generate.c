/* The program on the CUDA device: what it makes is what the processor makes, also with blocks that come and go. */
#include "cuda/both.h"

#include "tensor/checkpoint.h"

static char folder[] = "/tmp/kinora-cuda-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
#ifdef KN_CUDA_LIBRARY
    setenv("KINORA_CUDA_LIBRARY", KN_CUDA_LIBRARY, 0);
#endif
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* The final latents, on the heap; NULL where there is no such device. */
static float *generate(const char *device, const char *more, int64_t *ret_n)
{
    char command[1024], file[128];
    snprintf(file, sizeof file, "%s/%s.safetensors", folder, device);
    snprintf(command, sizeof command,
             "KINORA_STATE_DIR=%s/state KINORA_CACHE_DIR=%s/cache %s generate --model demo --prompt 'a red "
             "ball moves left' --device %s "
             "--dtype f32 --width 32 --height 32 --frames 5 --steps 2 --seed 1 --save-tensors %s %s -o "
             "%s/out.gif >%s/log 2>&1",
             folder, folder, KN_PROGRAM, device, file, more, folder, folder);
    int status = system(command);
    if (WEXITSTATUS(status) == kn_err_exit(KN_EDEVICE))
        return NULL;
    assert_int_equal(status, 0);
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    if (kn_checkpoint_open(file, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    const kn_entry *e = kn_checkpoint_find(ck, "latents");
    assert_non_null(e);
    *ret_n = kn_entry_numel(e);
    float *v = malloc((size_t)*ret_n * sizeof *v);
    assert_non_null(v);
    assert_int_equal(kn_entry_to_f32(e, v, &err), 0);
    kn_checkpoint_close(ck);
    return v;
}

static void same_video(void **state)
{
    (void)state;
    int64_t n = 0, m = 0;
    float *card = generate("cuda", "", &m);
    if (!card)
        skip();
    float *cpu = generate("cpu", "", &n), *streamed = generate("cuda", "--resident-blocks 0", &m);
    assert_int_equal(n, m);
    assert_true(both_distance(card, cpu, n) < 1e-4);
    assert_memory_equal(card, streamed, (size_t)n * sizeof *card);
    free(cpu);
    free(card);
    free(streamed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_video)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
