/* Whole models: what comes, where it comes to, and what is left when it does not. */
#include "hub/pull_fixture.h"

#include <fcntl.h>
#include <sys/file.h>

#include "hub/manifest.h"

#define VAE "vae/diffusion_pytorch_model.safetensors"
#define DIT "transformer/diffusion_pytorch_model.safetensors"

/* A pipeline beside the single file. */
static int make_pipeline(void **state)
{
    if (fixture_make(state))
        return -1;
    stand_in *s = ((fixture *)*state)->hub;
    has_text(s, "model_index.json",
             "{\"_class_name\": \"WanPipeline\", \"vae\": [\"diffusers\", \"V\"], \"transformer\": "
             "[\"diffusers\", "
             "\"T\"], \"scheduler\": [\"diffusers\", \"S\"], \"image_encoder\": [null, null]}");
    has_text(s, "scheduler/scheduler_config.json", "{\"a\": 1}");
    has_text(s, "vae/config.json", "{}");
    has_text(s, "transformer/config.json", "{\"b\": 2}");
    has_text(s, ".gitattributes", "x");
    has_text(s, "empty/nothing.txt", "");
    has_weights(s, VAE, 30000, 2);
    has_weights(s, DIT, 150000, 3);
    return 0;
}

static void check_pipeline(const fixture *f)
{
    static const char *const names[] = {"model_index.json",
                                        "scheduler/scheduler_config.json",
                                        "vae/config.json",
                                        "transformer/config.json",
                                        VAE,
                                        DIT};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        must_have(f, names[i], NULL);
    assert_false(is_there(f, HUB_ID "/" ONE));
    assert_false(is_there(f, HUB_ID "/.gitattributes"));
    assert_false(is_there(f, ".partial/acme--tiny"));
}

static json_t *manifest_of(const fixture *f)
{
    json_t *m = NULL;
    char folder[200];
    snprintf(folder, sizeof folder, "%s/" HUB_ID, f->models);
    assert_int_equal(kn_manifest_load(folder, &m, NULL), 0);
    return m;
}

static void test_pipeline(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    assert_int_equal(pull_with(f, NULL, NULL, &got), 0);
    check_pipeline(f);
    assert_false(got.was_there);
    assert_int_equal(got.n_files, 6);
    assert_string_equal(got.revision, HUB_COMMIT);
    assert_non_null(strstr(got.path, "/" HUB_ID));
    assert_int_equal(f->last.n_done, 6);
    assert_int_equal(f->last.done_bytes, got.bytes);
    assert_int_equal(f->last.phase, KN_HUB_FINISHING);
    free(got.path);
    json_t *m = manifest_of(f);
    assert_string_equal(json_string_value(json_object_get(m, "repo")), HUB_ID);
    assert_int_equal(json_array_size(json_object_get(m, "files")), 6);
    json_decref(m);
}

static void test_again(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    must_pull(f, NULL);
    behave(f->hub);
    assert_int_equal(pull_with(f, NULL, NULL, &got), 0);
    assert_true(got.was_there);
    assert_int_equal(count_asked(f->hub, "/resolve/"), 1); /* model_index.json, to know what is wanted */
    free(got.path);
    /* one file is gone: only that is fetched */
    char path[300];
    snprintf(path, sizeof path, "%s/" HUB_ID "/" VAE, f->models);
    assert_int_equal(unlink(path), 0);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(count_asked(f->hub, "/resolve/"), 2);
}

/* Nothing is seen of it while it is not whole; what was fetched stays for the next time. */
static void test_interrupted(void **state)
{
    fixture *f = *state;
    asked q;
    misbehave(f->hub, (rule){DIT, CUT, 90000, NULL, 1});
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    assert_false(is_there(f, "acme"));
    assert_true(is_there(f, ".partial/acme--tiny/" DIT ".part"));
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(count_asked(f->hub, DIT), 1);
    assert_true(nth_asked(f->hub, DIT, 0, &q));
    assert_string_equal(q.range, "90000-");
    assert_string_equal(q.if_range, "\"one\"");
    assert_false(f->went_back);
}

/* The machine went down and the beginning of the file is rubbish: the digest tells, it is fetched anew. */
static void test_damaged_part(void **state)
{
    fixture *f = *state;
    char path[300];
    misbehave(f->hub, (rule){DIT, CUT, 90000, NULL, 1});
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    snprintf(path, sizeof path, "%s/.partial/acme--tiny/" DIT ".part", f->models);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fputs("rubbish", file);
    fclose(file);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(count_asked(f->hub, DIT), 2);
}

/* All bytes are there, but the program died before the file got its name. */
static void test_part_is_whole(void **state)
{
    fixture *f = *state;
    char path[300];
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    snprintf(path, sizeof path, "%s/.partial/acme--tiny/" DIT ".part", f->models);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < f->hub->n_files; i++)
        if (strcmp(f->hub->files[i].path, DIT) == 0)
            fwrite(f->hub->files[i].data, 1, f->hub->files[i].size, file);
    fclose(file);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(count_asked(f->hub, DIT), 0);
}

static void test_part_is_too_long(void **state)
{
    fixture *f = *state;
    char path[300];
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    snprintf(path, sizeof path, "%s/.partial/acme--tiny/" DIT ".part", f->models);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 150001; i++)
        fputc('x', file);
    fclose(file);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
}

/* The repository has another version now: of what an earlier attempt left only what is the same is kept. */
static void test_changed_between(void **state)
{
    fixture *f = *state;
    asked q;
    misbehave(f->hub, (rule){DIT, CUT, 90000, NULL, 1});
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    behave(f->hub);
    has_weights(f->hub, DIT, 150000, 77);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_true(nth_asked(f->hub, DIT, 0, &q));
    assert_string_equal(q.range, "");
}

static void test_cancel(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){DIT, STALL, 40000, NULL, 0});
    f->cancel_at = 40000;
    must_refuse(f, NULL, KN_ECANCELLED, "cancelled");
    assert_false(is_there(f, "acme"));
    assert_true(is_there(f, ".partial/acme--tiny/" DIT ".part"));
    f->cancel_at = 0;
    atomic_store(&f->cancel, false);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(kn_hub_forget(f->models, HUB_ID, NULL), 0);
}

static void test_forget(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 0});
    must_refuse(f, NULL, KN_EIO, "503");
    assert_true(is_there(f, ".partial/acme--tiny"));
    assert_int_equal(kn_hub_forget(f->models, HUB_ID, NULL), 0);
    assert_false(is_there(f, ".partial/acme--tiny"));
    assert_int_equal(kn_hub_forget(f->models, HUB_ID, NULL), 0);
    assert_int_equal(kn_hub_forget("/nonexistent", HUB_ID, NULL), 0);
    assert_int_equal(kn_hub_forget(f->models, "../x", NULL), KN_EINVAL);
}

/* Fetched twice at the same time: the second is told. */
static void test_locked(void **state)
{
    fixture *f = *state;
    char path[200];
    must_pull(f, ONE);
    snprintf(path, sizeof path, "%s/.partial/acme--tiny.lock", f->models);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    must_refuse(f, NULL, KN_EBUSY, "being fetched already");
    assert_int_equal(kn_hub_forget(f->models, HUB_ID, NULL), KN_EBUSY);
    close(fd);
    must_pull(f, NULL);
}

/* A folder of the user's own is never touched. */
static void test_foreign_folder(void **state)
{
    fixture *f = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/" HUB_ID "/mine", f->models);
    assert_int_equal(kn_dir_make(path, NULL), 0);
    must_refuse(f, NULL, KN_EBUSY, "not fetched by Kinora");
    assert_true(is_there(f, HUB_ID "/mine"));
    assert_int_equal(count_asked(f->hub, "/"), 0);
}

/* A new version: what is the same is not fetched again, the old one is there until the new one is. */
static void test_update(void **state)
{
    fixture *f = *state;
    must_pull(f, NULL);
    behave(f->hub);
    has_weights(f->hub, DIT, 140000, 9);
    misbehave(f->hub, (rule){DIT, ANSWER, 503, NULL, 4});
    must_refuse(f, NULL, KN_EIO, "503");
    assert_true(is_there(f, HUB_ID "/" DIT));
    assert_int_equal(count_asked(f->hub, VAE), 0);
    behave(f->hub);
    must_pull(f, NULL);
    check_pipeline(f);
    assert_int_equal(count_asked(f->hub, VAE), 0);
    assert_false(is_there(f, ".partial/acme--tiny--old"));
}

/* Single files and the pipeline share the folder. */
static void test_single_beside(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    must_pull(f, NULL);
    assert_int_equal(pull_with(f, ONE, NULL, &got), 0);
    assert_non_null(strstr(got.path, HUB_ID "/" ONE));
    free(got.path);
    must_have(f, ONE, NULL);
    must_have(f, DIT, NULL);
    json_t *m = manifest_of(f);
    assert_int_equal(json_array_size(json_object_get(m, "files")), 7);
    json_decref(m);
    has_weights(f->hub, DIT, 140000, 9);
    must_pull(f, NULL); /* a new version of the pipeline leaves it */
    must_have(f, ONE, NULL);
    must_have(f, DIT, NULL);
    behave(f->hub);
    must_pull(f, ONE);
    assert_int_equal(count_asked(f->hub, "/resolve/"), 0);
}

static void test_variant(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    has_weights(f->hub, "vae/diffusion_pytorch_model.fp16.safetensors", 15000, 5);
    assert_int_equal(pull_with(f, NULL, "fp16", &got), 0);
    free(got.path);
    must_have(f, "vae/diffusion_pytorch_model.fp16.safetensors", VAE);
    must_have(f, DIT, NULL);
    assert_int_equal(pull_with(f, NULL, "fp8", &got), KN_ENOTFOUND);
    must_pull(f, NULL); /* the plain ones take their place */
    must_have(f, VAE, NULL);
}

static void test_several_at_a_time(void **state)
{
    fixture *f = *state;
    char names[12][64];
    for (int i = 0; i < 12; i++) {
        snprintf(names[i], sizeof names[i], "vae/model-%05d-of-00012.safetensors", i + 1);
        has_weights(f->hub, names[i], 20000 + (size_t)i, (unsigned)i);
        misbehave(f->hub, (rule){names[i], CUT, 5000 * (i % 3), NULL, 1});
    }
    f->hub->files[f->hub->n_files - 13 - 1].path = "vae/other.bin"; /* instead of the whole VAE */
    has_text(f->hub, "vae/model.safetensors.index.json", "{\"weight_map\": {}}");
    must_pull(f, NULL);
    for (int i = 0; i < 12; i++)
        must_have(f, names[i], NULL);
}

/* ---- what the hub says of the model ---- */

static void refuse_answer(fixture *f, const char *api, int code, const char *says)
{
    f->hub->api = api;
    must_refuse(f, ONE, code, says);
    f->hub->api = NULL;
    assert_false(is_there(f, "acme"));
}

static void test_hostile_answers(void **state)
{
    fixture *f = *state;
    char *huge = malloc(34 << 20);
    refuse_answer(f, "", KN_EFORMAT, "not JSON");
    refuse_answer(f, "[]", KN_EFORMAT, "no list of files");
    refuse_answer(f, "{\"sha\": \"../..\", \"siblings\": []}", KN_EFORMAT, "commit");
    refuse_answer(f,
                  "{\"sha\": \"" HUB_COMMIT "\", \"siblings\": [{\"rfilename\": \"../" ONE
                  "\", \"size\": 1, \"blobId\": "
                  "\"" HUB_COMMIT "\"}]}",
                  KN_EFORMAT, "\"../" ONE "\"");
    memset(huge, ' ', (34 << 20) - 1);
    huge[(34 << 20) - 1] = '\0';
    refuse_answer(f, huge, KN_ELIMIT, "at most 33554432 are taken");
    misbehave(f->hub, (rule){"/api/", MORE, 10, NULL, 0});
    refuse_answer(f, huge, KN_ELIMIT, "more than the 33554432 bytes");
    memset(huge, '[', 1000);
    huge[1000] = '\0';
    refuse_answer(f, huge, KN_ELIMIT, "nested");
    free(huge);
}

static void test_broken_index(void **state)
{
    fixture *f = *state;
    has_text(f->hub, "model_index.json", "[]");
    must_refuse(f, NULL, KN_EFORMAT, "model_index.json");
    has_text(f->hub, "model_index.json", "{\"../x\": [\"a\", \"b\"]}");
    must_refuse(f, NULL, KN_EFORMAT, "../x");
    assert_false(is_there(f, "acme"));
}

/* A file of 1 TB is not begun on a disk that is smaller. */
static void test_no_room(void **state)
{
    fixture *f = *state;
    f->hub->api =
        "{\"sha\": \"" HUB_COMMIT "\", \"siblings\": [{\"rfilename\": \"" ONE "\", \"lfs\": {\"size\": "
        "1000000000000, \"sha256\": \"" HUB_COMMIT "012345670123456701234567\"}}]}";
    must_refuse(f, ONE, KN_EIO, "1000.00 GB are to be fetched");
    assert_int_equal(count_asked(f->hub, "/resolve/"), 0);
    f->hub->api = NULL;
}

static void test_arguments(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    kn_hub_pull_opts o = {.id = "../../etc", .models_dir = f->models};
    assert_int_equal(kn_hub_pull(&f->config, &o, &got, NULL), KN_EINVAL);
    o = (kn_hub_pull_opts){.id = HUB_ID, .revision = "a/../b", .models_dir = f->models};
    assert_int_equal(kn_hub_pull(&f->config, &o, &got, NULL), KN_EINVAL);
    o.revision = "x y";
    assert_int_equal(kn_hub_pull(&f->config, &o, &got, NULL), KN_EINVAL);
    o.revision = NULL;
    o.models_dir = "/proc/nothing";
    assert_int_equal(kn_hub_pull(&f->config, &o, &got, NULL), KN_EIO);
    f->config.endpoint = "file:///etc";
    must_refuse(f, NULL, KN_EINVAL, "no address of a hub");
}

static void test_revision(void **state)
{
    fixture *f = *state;
    kn_hub_pulled got = {0};
    kn_hub_pull_opts o = {.id = HUB_ID, .revision = "refs/pr/1", .file = ONE, .models_dir = f->models};
    assert_int_equal(kn_hub_pull(&f->config, &o, &got, NULL), 0);
    free(got.path);
    assert_int_equal(count_asked(f->hub, "/api/models/" HUB_ID "/revision/refs%2Fpr%2F1?blobs=true"), 1);
    assert_int_equal(count_asked(f->hub, "/resolve/" HUB_COMMIT "/"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, make_pipeline, fixture_remove)
        T(test_pipeline),        T(test_again),          T(test_interrupted),
        T(test_damaged_part),    T(test_part_is_whole),  T(test_part_is_too_long),
        T(test_changed_between), T(test_cancel),         T(test_forget),
        T(test_locked),          T(test_foreign_folder), T(test_update),
        T(test_single_beside),   T(test_variant),        T(test_several_at_a_time),
        T(test_hostile_answers), T(test_broken_index),   T(test_no_room),
        T(test_arguments),       T(test_revision),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
