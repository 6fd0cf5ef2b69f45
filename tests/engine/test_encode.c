/* Encoders that fail at their work: the job ends in a file all the same, without sampling twice, and says which encoder
 * made it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/generate.h"
#include "models/models.h"

#define MODEL KN_FIXTURES "/wan21-t2v/model"
#define NO_HARDWARE                                                                                          \
    {.encoder = "h264_nvenc"}, {.encoder = "h264_amf"}, {.encoder = "h264_vaapi"},                           \
    {                                                                                                        \
        .encoder = "h264_qsv"                                                                                \
    }

static char folder[] = "/tmp/kinora-encode-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && !chdir(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "cd / && rm -rf %s", folder);
    return system(command) ? -1 : 0;
}

/* What a run says while it goes on. */
typedef struct heard {
    int n_next, n_sampled, n_decoded; /* "trying the next encoder"; phases that were begun */
    char notes[4096];
} heard;

static void on_event(void *ud, const kn_event *e)
{
    heard *h = ud;
    h->n_sampled += e->kind == KN_EVENT_STEP && e->phase == KN_PHASE_SAMPLE;
    h->n_decoded += e->kind == KN_EVENT_PHASE && e->phase == KN_PHASE_DECODE;
    if (e->kind != KN_EVENT_NOTE)
        return;
    h->n_next += strstr(e->text, "trying the next encoder") != NULL;
    size_t used = strlen(h->notes);
    snprintf(h->notes + used, sizeof h->notes - used, "%s\n", e->text);
}

typedef struct how {
    const char *output, *encoder, *allow;
    const kn_sink_fault *faults;
    int n_faults;
    bool keeps; /* final latents are kept */
} how;

static void set(kn_request *rq, const char *name, const char *value)
{
    kn_err err = {0};
    if (kn_request_set(rq, name, value, &err))
        fail_msg("%s", err.msg);
}

static int run(const how *w, heard *h, kn_result *ret, kn_err *err)
{
    static const char *const usual[] = {"model",  MODEL, "prompt", "a cat", "width", "64",
                                        "height", "32",  "frames", "5",     "steps", "2",
                                        "seed",   "7",   "dtype",  "f32",   NULL};
    kn_request rq;
    const kn_model_desc *desc = NULL;
    kn_request_init(&rq);
    for (const char *const *p = usual; *p; p += 2)
        set(&rq, p[0], p[1]);
    set(&rq, "output", w->output);
    if (w->allow)
        set(&rq, "allow_software_video_fallback", w->allow);
    *h = (heard){0};
    kn_generate_opts opts = {.event = on_event,
                             .event_ud = h,
                             .encoder = w->encoder,
                             .faults = w->faults,
                             .n_faults = w->n_faults,
                             .state_dir = w->keeps ? "state" : NULL};
    int rc = kn_model_find(MODEL, &desc, NULL, err);
    if (!rc)
        rc = kn_generate(desc, &rq, &opts, ret, err);
    kn_request_done(&rq);
    return rc;
}

static void must_run(const how *w, heard *h, kn_result *ret)
{
    kn_err err = {0};
    if (run(w, h, ret, &err))
        fail_msg("%s", err.msg);
}

static void check_file(const kn_result *r, const char *path, const char *encoder)
{
    kn_media_info info = {0};
    kn_err err = {0};
    char name[96];
    assert_string_equal(r->output, path);
    assert_string_equal(r->encoder, encoder);
    if (kn_media_info_read(path, &info, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(info.n_frames, 5);
    assert_int_equal(info.width, 64);
    snprintf(name, sizeof name, "\"encoder\":\"%s\"", encoder);
    assert_non_null(strstr(info.comment, name));
    assert_non_null(strstr(info.comment, "\"encode_attempts\":[{"));
    kn_media_info_done(&info);
}

static const kn_sink_attempt *attempt_of(const kn_result *r, const char *name)
{
    for (int i = 0; i < r->n_encode_attempts; i++)
        if (!strcmp(r->encode_attempts[i].name, name))
            return &r->encode_attempts[i];
    fail_msg("%s was not tried", name);
    return NULL;
}

/* The frames are those of a run where nothing failed; after the failure only the decoder works again. */
static void test_fails_in_the_middle(void **state)
{
    static const kn_sink_fault faults[] = {NO_HARDWARE, {.encoder = "libx264", .frame = 4}},
                               none[] = {NO_HARDWARE};
    kn_result whole, r;
    heard h;
    (void)state;
    must_run(&(how){.output = "whole.mp4", .faults = none, .n_faults = 4, .keeps = true}, &h, &whole);
    const char *best = whole.encoder;
    if (strcmp(best, "libx264"))
        skip();
    assert_int_equal(h.n_next, 0);
    int n_sampled = h.n_sampled;
    must_run(&(how){.output = "a.mp4", .faults = faults, .n_faults = 5, .keeps = true}, &h, &r);
    assert_int_equal(h.n_next, 1);
    assert_int_equal(h.n_sampled, n_sampled);
    assert_int_equal(h.n_decoded, 2);
    assert_non_null(strstr(h.notes, "libx264 failed at frame 4"));
    assert_string_equal(r.frames_hash, whole.frames_hash);
    assert_string_not_equal(r.encoder, "libx264");
    check_file(&r, "a.mp4", r.encoder);
    const kn_sink_attempt *a = attempt_of(&r, "libx264");
    assert_false(a->ok);
    assert_non_null(strstr(a->reason, "frame 4"));
    assert_true(attempt_of(&r, r.encoder)->ok);
    kn_result_done(&r);
    kn_result_done(&whole);
}

/* Nothing was kept: all is made again, and the video is there. */
static void test_fails_at_the_end_with_nothing_kept(void **state)
{
    static const kn_sink_fault faults[] = {NO_HARDWARE, {.encoder = "mpeg4", .frame = 1000}};
    kn_result r;
    heard h;
    (void)state;
    must_run(&(how){.output = "b.mp4", .encoder = "mpeg4", .faults = faults, .n_faults = 5}, &h, &r);
    assert_int_equal(h.n_next, 1);
    assert_int_equal(h.n_decoded, 2);
    assert_string_not_equal(r.encoder, "mpeg4"); /* it was named, and had its chance */
    check_file(&r, "b.mp4", r.encoder);
    kn_result_done(&r);
}

/* Every MP4 encoder fails in the middle, GIF too: pictures. */
static void test_all_fail_in_turn(void **state)
{
    static const kn_sink_fault faults[] = {NO_HARDWARE,
                                           {.encoder = "libx264", .frame = 1},
                                           {.encoder = "libopenh264", .frame = 1},
                                           {.encoder = "libx265", .frame = 2},
                                           {.encoder = "libvpx-vp9", .frame = 3},
                                           {.encoder = "libaom-av1", .frame = 5},
                                           {.encoder = "libsvtav1"},
                                           {.encoder = "mpeg4", .frame = 6},
                                           {.encoder = "gif", .frame = 5}};
    kn_result r;
    heard h;
    (void)state;
    must_run(
        &(how){
            .output = "c.mp4", .faults = faults, .n_faults = sizeof faults / sizeof *faults, .keeps = true},
        &h, &r);
    assert_true(h.n_next >= 2);
    assert_int_equal(h.n_sampled, 2);
    check_file(&r, "c_frames/", "png");
    assert_false(kn_path_exists("c.mp4"));
    assert_false(kn_path_exists("c.gif"));
    assert_non_null(strstr(h.notes, "written as c_frames/"));
    assert_false(attempt_of(&r, "gif")->ok);
    kn_result_done(&r);
}

static void test_without_software(void **state)
{
    static const kn_sink_fault faults[] = {NO_HARDWARE};
    kn_result r;
    heard h;
    (void)state;
    must_run(&(how){.output = "d.mp4", .allow = "off", .faults = faults, .n_faults = 4}, &h, &r);
    check_file(&r, "d.gif", "gif");
    assert_non_null(strstr(attempt_of(&r, "libx264")->reason, "allow_software_video_fallback"));
    kn_result_done(&r);
}

/* Nothing left at all: an error, and what was sampled is kept for --resume. */
static void test_nothing_left(void **state)
{
    static const kn_sink_fault faults[] = {NO_HARDWARE,
                                           {.encoder = "libx264"},
                                           {.encoder = "libopenh264"},
                                           {.encoder = "libx265"},
                                           {.encoder = "libvpx-vp9"},
                                           {.encoder = "libaom-av1"},
                                           {.encoder = "libsvtav1"},
                                           {.encoder = "mpeg4", .frame = 3},
                                           {.encoder = "gif"},
                                           {.encoder = "png"}};
    kn_result r;
    heard h;
    kn_err err = {0};
    (void)state;
    assert_int_equal(run(&(how){.output = "e.mp4",
                                .faults = faults,
                                .n_faults = sizeof faults / sizeof *faults,
                                .keeps = true},
                         &h, &r, &err),
                     KN_EUNSUPPORTED);
    assert_non_null(strstr(h.notes, "--resume"));
    assert_false(kn_path_exists("e.mp4"));
    assert_false(kn_path_exists("e_frames"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fails_in_the_middle), cmocka_unit_test(test_fails_at_the_end_with_nothing_kept),
        cmocka_unit_test(test_all_fail_in_turn),    cmocka_unit_test(test_without_software),
        cmocka_unit_test(test_nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
