/* Where results go: files, folders, tensors; and what happens if they cannot. */
#include "program.h"

#include "tensor/checkpoint.h"

#define BARS "--model", "testsrc", "--prompt", "bars", "--width", "64", "--height", "48", "--frames", "5"

static void nothing_left(const char *dir)
{
    static const char *const endings[] = {".mp4", ".webm", ".gif", ".webp"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        assert_int_equal(count_files(dir, endings[i]), 0);
    assert_int_equal(count_files(dir, ".part"), 0);
}

static void test_bad_names(void **state)
{
    (void)state;
    check_fails(run("generate", BARS, "-o", "out.xyz"), 2, "out.xyz", "NAME.mp4");
    check_fails(run("generate", BARS, "-o", "out"), 2, "out", "NAME.mp4");
    check_fails(run("generate", BARS, "-o", "nowhere/out.mp4"), 5, "nowhere/out.mp4",
                "No such file or directory");
    write_text("plain", "a file");
    check_fails(run("generate", BARS, "-o", "plain/"), 2, "plain is a file", "folder");
    assert_int_equal(unlink("plain"), 0);
    check_fails(run("generate", BARS, "-o", ""), 2, "output", "empty");
    nothing_left(".");
}

static void test_unwritable_folder(void **state)
{
    (void)state;
    if (geteuid() == 0) { /* root may write anywhere but here */
        check_fails(run("generate", BARS, "-o", "/proc/out.mp4"), 5, "/proc/out.mp4");
        return;
    }
    shell("mkdir locked && chmod 555 locked");
    check_fails(run("generate", BARS, "-o", "locked/out.mp4"), 5, "locked/out.mp4", "Permission denied");
    check_fails(run("generate", BARS, "-o", "locked/out.gif"), 5, "locked/out.gif", "Permission denied");
    check_fails(run("generate", BARS, "-o", "locked/out.webp"), 5, "locked/out.webp", "Permission denied");
    nothing_left("locked");
}

static void test_tensor_file(void **state)
{
    (void)state;
    check_fails(run("generate", BARS, "--save-tensors", "nowhere/t.safetensors"), 5, "nowhere/t.safetensors");
    shell("mkdir folder");
    check_fails(run("generate", BARS, "--save-tensors", "folder", "-o", "out.mp4"), 2, "folder is a folder");
    /* Refused before anything is made. */
    outcome o = run("generate", BARS, "--save-tensors", "nowhere/t.safetensors", "--json");
    assert_null(strstr(o.out, "\"phase\""));
    outcome_done(&o);
    nothing_left(".");
}

/* ---- disk full ---- */

static void small_files(void)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){2048, 2048});
}

/* clang's OpenMP runtime, which the ThreadSanitizer build uses, keeps a shared-memory file that the limit cuts. */
static bool limit_breaks_runtime(void)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

static void test_disk_full(void **state)
{
    (void)state;
    if (limit_breaks_runtime())
        skip();
    static const char *const outputs[] = {"full.mp4",  "full/",    "full.png",
                                          "full.webm", "full.gif", "full.webp"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        outcome o =
            finish(start_args(small_files, ARGS("generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt",
                                                "noise fills files", TINY, "--width", "128", "--frames",
                                                i == 2 ? "1" : "9", "-o", outputs[i])));
        must_fail(&o, 5, (const char *const[]){"full", "File too large", NULL});
        outcome_done(&o);
        nothing_left(".");
        assert_false(kn_path_exists("full"));
        assert_false(kn_path_exists("full.png"));
    }
    outcome o = finish(start_args(small_files, ARGS("generate", BARS, "--save-tensors", "full.safetensors")));
    must_fail(&o, 5, (const char *const[]){"full.safetensors", "File too large", NULL});
    outcome_done(&o);
    nothing_left(".");
    assert_false(kn_path_exists("full.safetensors"));
}

/* ---- what is written ---- */

static json_t *info_of(const char *path)
{
    outcome o = run("info", "--json", path);
    must_succeed(&o);
    json_t *j = parse_json(o.out);
    outcome_done(&o);
    return j;
}

static void check_info(const char *path, const char *codec, const char *pixel_format)
{
    json_t *j = info_of(path);
    const json_t *ours = json_object_get(j, "kinora"), *rq = json_object_get(ours, "request");
    assert_string_equal(json_string_value(json_object_get(j, "codec")), codec);
    assert_string_equal(json_string_value(json_object_get(j, "pixel_format")), pixel_format);
    assert_int_equal(json_integer_value(json_object_get(j, "frames")), 5);
    assert_int_equal(json_integer_value(json_object_get(j, "width")), 64);
    assert_string_equal(json_string_value(json_object_get(ours, "generator")), "kinora");
    assert_string_equal(json_string_value(json_object_get(ours, "family")), "testsrc");
    assert_string_equal(json_string_value(json_object_get(rq, "prompt")),
                        "bars \xE2\x86\x92 \"caf\xC3\xA9\"");
    assert_int_equal(json_integer_value(json_object_get(rq, "seed")), 4242);
    assert_true(json_array_size(json_object_get(ours, "timings")) > 0);
    assert_int_equal(json_string_length(json_object_get(ours, "frames_hash")), 16);
    json_decref(j);
}

#define CAFE                                                                                                 \
    "generate", "--model", "testsrc", "--prompt", "bars \xE2\x86\x92 \"caf\xC3\xA9\"", "--width", "64",      \
        "--height", "48", "--frames", "5", "--seed", "4242", "-o"

static void test_info_reads_back(void **state)
{
    (void)state;
    check_runs(run(CAFE, "bars.mp4"));
    outcome o = run("info", "bars.mp4");
    must_succeed(&o);
    assert_non_null(strstr(o.out, "64x48, 5 frames"));
    outcome_done(&o);
    json_t *j = info_of("bars.mp4");
    const char *codec = json_string_value(json_object_get(j, "codec"));
    assert_true(!strcmp(codec, "h264") || !strcmp(codec, "mpeg4"));
    check_info("bars.mp4", codec, "yuv420p");
    json_decref(j);
    unlink("bars.mp4");
}

static json_t *done_event(const char *lines)
{
    const char *done = strstr(lines, "\"generator\"");
    while (done && done > lines && done[-1] != '\n')
        done--;
    assert_non_null(done);
    return parse_json(done);
}

static void test_every_kind(void **state)
{
    static const struct {
        const char *file, *container, *codec, *pixels;
    } kinds[] = {{"bars.webm", "webm", NULL, "yuv420p"},
                 {"bars.gif", "gif", "gif", NULL},
                 {"bars.webp", "webp", "webp", "yuv420p"}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        outcome o = run(CAFE, kinds[i].file, "--json");
        must_succeed(&o);
        json_t *done = done_event(o.out), *j = info_of(kinds[i].file);
        outcome_done(&o);
        assert_string_equal(json_string_value(json_object_get(done, "output")), kinds[i].file);
        json_t *last = json_array_get(json_object_get(done, "encode_attempts"),
                                      json_array_size(json_object_get(done, "encode_attempts")) - 1);
        assert_true(json_is_true(json_object_get(last, "ok")));
        assert_string_equal(json_string_value(json_object_get(last, "name")),
                            json_string_value(json_object_get(done, "encoder")));
        assert_string_equal(json_string_value(json_object_get(j, "container")), kinds[i].container);
        assert_int_equal(json_integer_value(json_object_get(j, "height")), 48);
        double fps = json_number_value(json_object_get(j, "fps"));
        assert_true(fps > 23.5 && fps < 25.5);
        check_info(kinds[i].file,
                   kinds[i].codec ? kinds[i].codec : json_string_value(json_object_get(j, "codec")),
                   kinds[i].pixels ? kinds[i].pixels : json_string_value(json_object_get(j, "pixel_format")));
        json_decref(done);
        json_decref(j);
        unlink(kinds[i].file);
    }
}

static void test_named_encoder(void **state)
{
    (void)state;
    check_fails(run("generate", BARS, "--encoder", "mpeg4", "-o", "out.gif"), 2, "mpeg4", "one of gif");
    check_fails(run("generate", BARS, "--encoder", "libnothing", "-o", "out.mp4"), 2, "libnothing",
                "libx264");
    nothing_left(".");
    outcome o = run(CAFE, "out.mp4", "--encoder", "mpeg4", "--json");
    must_succeed(&o);
    json_t *done = done_event(o.out);
    assert_string_equal(json_string_value(json_object_get(done, "encoder")), "mpeg4");
    assert_int_equal(json_array_size(json_object_get(done, "encode_attempts")), 1);
    json_decref(done);
    outcome_done(&o);
    unlink("out.mp4");
}

/* Where no hardware encodes, this ends in a GIF beside the name, and says so. */
static void test_no_software(void **state)
{
    (void)state;
    outcome o = run(CAFE, "hard.mp4", "--allow-software-video-fallback", "off", "--json");
    must_succeed(&o);
    json_t *done = done_event(o.out);
    const char *output = json_string_value(json_object_get(done, "output"));
    const char *encoder = json_string_value(json_object_get(done, "encoder"));
    assert_true(!strcmp(output, "hard.mp4") ? !strncmp(encoder, "h264_", 5) : !strcmp(output, "hard.gif"));
    if (strcmp(output, "hard.mp4"))
        assert_non_null(strstr(o.out, "written as hard.gif"));
    assert_true(kn_path_exists(output));
    unlink(output);
    json_decref(done);
    outcome_done(&o);
    check_fails(run(CAFE, "hard.mp4", "--allow-software-video-fallback", "maybe"), 2, "on|off");
}

/* File names are bytes, prompts are UTF-8. */
static void test_latin1(void **state)
{
    (void)state;
    check_runs(run("generate", BARS, "-o", "caf\xe9.mp4"));
    json_t *j = info_of("caf\xe9.mp4");
    assert_string_equal(json_string_value(json_object_get(j, "container")), "mp4");
    json_decref(j);
    unlink("caf\xe9.mp4");
    check_fails(run("generate", "--model", "testsrc", "--prompt", "caf\xe9", "-o", "out.mp4"), 2, "prompt",
                "UTF-8");
    nothing_left(".");
}

/* The name of a long file is cut between characters, so that events stay valid. */
static void test_long_name(void **state)
{
    (void)state;
    char name[128] = "x";
    for (int i = 0; i < 50; i++)
        memcpy(name + 1 + 2 * i, "\xC3\xA9", 2);
    memcpy(name + 101, ".mp4", 5);
    outcome o = run("generate", BARS, "--json", "-o", name);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "\"phase\":\"saving\",\"detail\":\"x\xC3\xA9"));
    outcome_done(&o);
    unlink(name);
}

static void test_png_folder(void **state)
{
    (void)state;
    check_runs(run(CAFE, "frames/"));
    assert_int_equal(count_files("frames", ".png"), 5);
    assert_true(kn_path_exists("frames/frame_00000.png"));
    assert_int_equal(count_files("frames", ".part"), 0);
    check_info("frames", "png", "rgb24");
    /* Again, into the folder that is there. */
    check_runs(run(CAFE, "frames"));
    assert_int_equal(count_files("frames", ".png"), 5);
    /* Someone else's pictures stay. */
    shell("mkdir theirs && cp frames/frame_00000.png theirs/");
    check_fails(run(CAFE, "theirs"), 2, "theirs", "frame_00000.png");
    assert_int_equal(count_files("theirs", ""), 1);
}

static void test_overwrite(void **state)
{
    (void)state;
    write_text("old.mp4", "what was there before");
    outcome o = run("generate", "--model", "testsrc", "--prompt", "x", "--frames", "abc", "-o", "old.mp4");
    assert_int_equal(o.code, 2);
    outcome_done(&o);
    struct stat st;
    assert_int_equal(stat("old.mp4", &st), 0);
    assert_int_equal(st.st_size, 21); /* a failure leaves it */
    check_runs(run("generate", BARS, "-o", "old.mp4"));
    assert_int_equal(stat("old.mp4", &st), 0);
    assert_true(st.st_size > 500);
    unlink("old.mp4");
}

static void check_dims(kn_checkpoint *ck, const char *name, int n_dims, const int64_t *dims)
{
    const kn_entry *e = kn_checkpoint_find(ck, name);
    if (!e)
        fail_msg("no tensor %s", name);
    assert_int_equal(e->dtype, KN_F32);
    assert_int_equal(e->n_dims, n_dims);
    for (int i = 0; i < n_dims; i++)
        assert_int_equal(e->dims[i], dims[i]);
}

static void test_save_tensors(void **state)
{
    (void)state;
    kn_checkpoint *ck = NULL;
    check_runs(run("generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", TINY,
                   "--save-tensors", "t.safetensors"));
    must(kn_checkpoint_open("t.safetensors", NULL, &ck, err));
    assert_int_equal(kn_checkpoint_count(ck), 2);
    check_dims(ck, "latents", 5, (const int64_t[]){1, 8, 2, 4, 8});
    check_dims(ck, "frames", 4, (const int64_t[]){5, 32, 64, 3});
    float frames[5 * 32 * 64 * 3];
    must(kn_entry_to_f32(kn_checkpoint_find(ck, "frames"), frames, err));
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        assert_true(frames[i] >= 0 && frames[i] <= 1);
    kn_checkpoint_close(ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_names),       cmocka_unit_test(test_unwritable_folder),
        cmocka_unit_test(test_tensor_file),     cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_info_reads_back), cmocka_unit_test(test_png_folder),
        cmocka_unit_test(test_latin1),          cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_overwrite),       cmocka_unit_test(test_save_tensors),
        cmocka_unit_test(test_every_kind),      cmocka_unit_test(test_named_encoder),
        cmocka_unit_test(test_no_software),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
