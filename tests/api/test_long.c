/* A video longer than its model's own length: segments that go on from each other, as a user meets them. */
#include "program.h"

/* The fixture's model, told by its folder that its own length is 5 frames. */
#define MODEL "model"
#define OF(model, frames, steps)                                                                             \
    "generate", "--model", model, "--prompt", "a cat", "--width", "64", "--height", "32", "--frames",        \
        frames, "--steps", steps, "--seed", "7", "--threads", "1", "--json"
#define LONG OF(MODEL, "17", "2") /* 4 segments */

static int make(void **state)
{
    if (place_make(state))
        return -1;
    shell("cp -r '%s' " MODEL " && chmod -R u+w " MODEL, FIXTURE("wan22-ti2v-5b/model"));
    write_text(MODEL "/kinora.json", "{\"title\": \"Short\", \"defaults\": {\"frames\": 5}}");
    return 0;
}

/* A member of the result that a run printed last. */
static json_t *result_of(outcome *o)
{
    must_succeed(o);
    const char *last = strstr(o->out, "\"event\":\"done\"");
    assert_non_null(last);
    while (last > o->out && last[-1] != '\n')
        last--;
    return parse_json(last);
}

typedef struct made {
    char hash[20];
    int64_t segments, first_step, peak;
} made;

/* Consumes o. */
static made made_by(outcome o)
{
    made m = {0};
    json_t *r = result_of(&o);
    snprintf(m.hash, sizeof m.hash, "%s", json_string_value(json_object_get(r, "frames_hash")));
    m.segments = json_integer_value(json_object_get(r, "segments"));
    m.first_step = json_integer_value(json_object_get(r, "first_step"));
    m.peak = json_integer_value(json_object_get(r, "peak_bytes"));
    json_decref(r);
    outcome_done(&o);
    return m;
}

static void check_same_file(const char *a, const char *b, bool same)
{
    char *da = NULL, *db = NULL;
    size_t na = 0, nb = 0;
    must(kn_file_read(a, 1 << 20, &da, &na, err));
    must(kn_file_read(b, 1 << 20, &db, &nb, err));
    if ((na == nb && memcmp(da, db, na) == 0) != same)
        fail_msg("%s and %s are %s", a, b, same ? "not the same" : "the same");
    free(da);
    free(db);
}

/* Frames [first, last] of two folders. */
static void check_frames(const char *a, const char *b, int first, int last, bool same)
{
    char pa[64], pb[64];
    for (int i = first; i <= last; i++) {
        snprintf(pa, sizeof pa, "%s/frame_%05d.png", a, i);
        snprintf(pb, sizeof pb, "%s/frame_%05d.png", b, i);
        check_same_file(pa, pb, same);
    }
}

static void test_frames_and_the_same_again(void **state)
{
    (void)state;
    outcome o = run(LONG, "-o", "long/");
    assert_non_null(strstr(o.out, "17 frames in 4 segments of 5"));
    assert_non_null(strstr(o.out, "segment 4 of 4"));
    made a = made_by(o), b = made_by(run(LONG, "-o", "again.mp4"));
    assert_int_equal(a.segments, 4);
    assert_string_equal(a.hash, b.hash);
    assert_int_equal(count_files("long", ".png"), 17);
    made plain = made_by(run(OF(MODEL, "5", "2"), "-o", "plain/"));
    assert_int_equal(plain.segments, 1);
    check_frames("long", "plain", 0, 4, true);
    /* in one piece it is another video */
    made one = made_by(run(LONG, "--segment-frames", "0", "-o", "one.mp4"));
    assert_int_equal(one.segments, 1);
    assert_string_not_equal(one.hash, a.hash);
    /* a number of frames that no piece could have; what is longer begins alike */
    made_by(run(OF(MODEL, "12", "2"), "-o", "twelve/"));
    assert_int_equal(count_files("twelve", ".png"), 12);
    check_frames("long", "twelve", 0, 11, true);
}

static void test_what_the_video_says(void **state)
{
    (void)state;
    made a = made_by(run(LONG, "-o", "said.mp4"));
    outcome o = run("info", "--json", "said.mp4");
    must_succeed(&o);
    json_t *j = parse_json(o.out), *k = json_object_get(j, "kinora");
    assert_int_equal(json_integer_value(json_object_get(j, "frames")), 17);
    assert_string_equal(json_string_value(json_object_get(k, "frames_hash")), a.hash);
    json_t *rq = json_object_get(k, "request");
    assert_int_equal(json_integer_value(json_object_get(rq, "frames")), 17);
    assert_int_equal(json_integer_value(json_object_get(rq, "segment_frames")), 5);
    assert_int_equal(json_integer_value(json_object_get(rq, "overlap")), 1);
    assert_int_equal(json_integer_value(json_object_get(rq, "seed")), 7);
    json_decref(j);
    outcome_done(&o);
}

static void test_prompts(void **state)
{
    (void)state;
    made_by(run(LONG, "-o", "same/"));
    made_by(run(LONG, "--segment-prompt", "a cat", "--segment-prompt", "a dog in the rain", "-o", "other/"));
    check_frames("same", "other", 0, 4, true);
    check_frames("same", "other", 5, 16, false);
    made_by(run("generate", "--model", MODEL, "--segment-prompt", "a cat", "--width", "64", "--height", "32",
                "--frames", "17", "--steps", "2", "--seed", "7", "--threads", "1", "--json", "-o",
                "without/"));
    check_frames("same", "without", 0, 16, true);
}

/* A picture begins the first segment; each other one begins with the last of the one before. */
static void test_picture(void **state)
{
    (void)state;
    const char *image = FIXTURE("wan22-ti2v-5b/image.png");
    if (!kn_path_exists(image))
        image = FIXTURE("wan21-i2v/image.png");
    made_by(run(LONG, "--image", image, "-o", "from/"));
    made_by(run(OF(MODEL, "5", "2"), "--image", image, "-o", "piece/"));
    made_by(run(LONG, "-o", "free/"));
    check_frames("from", "piece", 0, 4, true);
    check_frames("from", "free", 5, 16, false);
}

/* With more than one frame given, and with a tail: other frames, the same number of them. */
static void test_overlap_and_tail(void **state)
{
    (void)state;
    made a = made_by(run(OF(MODEL, "21", "2"), "--segment-frames", "9", "-o", "a/"));
    made b = made_by(run(OF(MODEL, "21", "2"), "--segment-frames", "9", "--overlap", "5", "-o", "b/"));
    made c = made_by(run(OF(MODEL, "21", "2"), "--segment-frames", "9", "--segment-tail", "4", "-o", "c/"));
    assert_int_equal(a.segments, 3);
    assert_int_equal(b.segments, 4);
    assert_int_equal(c.segments, 4);
    assert_int_equal(count_files("a", ".png"), 21);
    assert_int_equal(count_files("b", ".png"), 21);
    assert_int_equal(count_files("c", ".png"), 21);
    check_frames("a", "b", 0, 8, true);
    check_frames("a", "b", 9, 20, false);
    check_frames("a", "c", 0, 4, true);
    check_frames("a", "c", 5, 20, false);
}

/* Models with condition channels take given pictures, too, and a last one for the end. */
static void test_condition_channels(void **state)
{
    (void)state;
    const char *i2v = FIXTURE("wan21-i2v/model"), *two = FIXTURE("wan22-i2v-a14b/model"),
               *image = FIXTURE("wan21-i2v/image.png");
    made_by(run(OF(i2v, "13", "1"), "--segment-frames", "5", "--image", image, "-o", "i2v/"));
    assert_int_equal(count_files("i2v", ".png"), 13);
    made_by(run(OF(i2v, "5", "1"), "--image", image, "-o", "i2v-piece/"));
    check_frames("i2v", "i2v-piece", 0, 4, true);
    made_by(run(OF(two, "12", "2"), "--segment-frames", "5", "--image", image, "-o", "open/"));
    made_by(run(OF(two, "12", "2"), "--segment-frames", "5", "--image", image, "--last-image", image, "-o",
                "closed/"));
    assert_int_equal(count_files("closed", ".png"), 12);
    check_frames("open", "closed", 0, 4, true);
    check_frames("open", "closed", 11, 11, false);
}

/* Runs until `after` is printed, then signals. */
static void interrupt(const char *const *args, const char *after, int signal)
{
    started s = start_args(NULL, args);
    wait_for(&s, after);
    kill(s.pid, signal);
    outcome o = finish(s);
    assert_int_not_equal(o.code, 0);
    outcome_done(&o);
}

/* Stopped in the second segment, by Ctrl-C and without a warning: the same frames in the end. */
static void test_resumed(void **state)
{
    place *p = *state;
    const char *const go[] = {KN_PROGRAM, OF(MODEL, "17", "600"), "-o", "go.mp4", NULL};
    made whole = made_by(run(OF(MODEL, "17", "600"), "-o", "whole.mp4"));
    assert_int_equal(whole.first_step, 0);
    static const char second[] =
        "\"phase\":\"sampling\",\"detail\":\"segment 2 of 4\",\"total\":600,\"elapsed_s\"";
    interrupt(go, second, SIGINT);
    assert_false(kn_path_exists("go.mp4"));
    outcome o = run(OF(MODEL, "17", "600"), "-o", "go.mp4", "--resume");
    assert_non_null(strstr(o.out, "resumed in segment 2 of 4, after step "));
    assert_null(strstr(o.out, "\"phase\":\"sampling\",\"detail\":\"segment 1 of 4\""));
    made resumed = made_by(o);
    assert_true(resumed.first_step > 600 && resumed.first_step < 1200);
    assert_string_equal(resumed.hash, whole.hash);
    unlink("go.mp4");
    interrupt(go, second, SIGKILL);
    o = run(OF(MODEL, "17", "600"), "-o", "go.mp4", "--resume");
    assert_non_null(strstr(o.out, "resumed "));
    resumed = made_by(o);
    assert_true(resumed.first_step >= 600 && resumed.first_step < 1200);
    assert_string_equal(resumed.hash, whole.hash);
    char runs[PATH_BYTES + 16];
    snprintf(runs, sizeof runs, "%s/runs", p->state);
    assert_int_equal(count_files(runs, ""), 0);
}

/* What an interrupted run left of later segments is not used by a run that begins anew. */
static void test_begun_anew(void **state)
{
    (void)state;
    const char *const go[] = {KN_PROGRAM, OF(MODEL, "17", "400"), "-o", "anew.mp4", NULL};
    interrupt(go, "\"phase\":\"decoding\",\"detail\":\"segment 3 of 4\"", SIGKILL);
    outcome o = run(OF(MODEL, "17", "400"), "-o", "anew.mp4");
    assert_non_null(strstr(o.out, "could have been resumed"));
    assert_int_equal(made_by(o).first_step, 0);
}

static void test_grows(void **state)
{
    (void)state;
    started s =
        start_args(NULL, ARGS(OF(MODEL, "2000", "2"), "--fps", "8", "--encoder", "mpeg4", "-o", "grows.mp4"));
    int64_t n = 0;
    for (int i = 0; i < 6000 && n < 16; i++) {
        outcome o = run("info", "--json", "grows.mp4.part");
        json_t *j = o.code ? NULL : parse_json(o.out);
        n = json_integer_value(json_object_get(j, "frames"));
        json_decref(j);
        outcome_done(&o);
        usleep(10000);
    }
    assert_true(n >= 16 && n < 2000);
    assert_false(kn_path_exists("grows.mp4"));
    kill(s.pid, SIGINT);
    outcome o = finish(s);
    assert_int_equal(o.code, 130);
    outcome_done(&o);
    assert_false(kn_path_exists("grows.mp4.part"));
}

static int64_t member(const char *frames, const char *name)
{
    outcome o = run("plan", "--model", MODEL, "--prompt", "a cat", "--width", "64", "--height", "32",
                    "--frames", frames, "-o", "x.mp4", "--json");
    must_succeed(&o);
    json_t *j = parse_json(o.out);
    int64_t v = json_integer_value(json_object_get(j, name));
    json_decref(j);
    outcome_done(&o);
    return v;
}

/* Memory does not grow with the length: as planned, and as it is. */
static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(member("48", "segments"), 12);
    assert_int_equal(member("240", "segments"), 60);
    int64_t peak = member("48", "peak_bytes");
    assert_int_equal(member("240", "peak_bytes"), peak);
    made a = made_by(run(OF(MODEL, "48", "1"), "-o", "48.mp4")),
         b = made_by(run(OF(MODEL, "240", "1"), "-o", "240.mp4"));
    assert_int_equal(a.segments, 12);
    assert_int_equal(b.segments, 60);
    assert_true(a.peak <= peak);
    assert_int_equal(b.peak, a.peak);
}

/* A model that takes no picture samples the whole in windows, blended in every step. */
static void test_windows(void **state)
{
    (void)state;
    const char *t2v = FIXTURE("wan21-t2v/model");
    outcome o = run(OF(t2v, "33", "2"), "--context-frames", "9", "-o", "windows/");
    assert_non_null(strstr(o.out, "33 frames in 4 windows of 9 that overlap by 4"));
    made a = made_by(o), again = made_by(run(OF(t2v, "33", "2"), "--context-frames", "9", "-o", "x.mp4"));
    assert_int_equal(a.segments, 1);
    assert_int_equal(count_files("windows", ".png"), 33);
    assert_string_equal(a.hash, again.hash);
    /* blocks that come and go predict for both prompts at once: the same frames */
    made streamed =
        made_by(run(OF(t2v, "33", "2"), "--context-frames", "9", "--resident-blocks", "0", "-o", "x.mp4"));
    assert_string_equal(streamed.hash, a.hash);
    made whole = made_by(run(OF(t2v, "33", "2"), "-o", "x.mp4"));
    assert_string_not_equal(whole.hash, a.hash);
    made more =
        made_by(run(OF(t2v, "33", "2"), "--context-frames", "9", "--context-overlap", "8", "-o", "x.mp4"));
    assert_string_not_equal(more.hash, a.hash);
    /* the model's own length: windows without being asked; as long as the video: none */
    o = run("plan", "--model", t2v, "--prompt", "a cat", "--width", "64", "--height", "32", "--frames",
            "121");
    assert_non_null(strstr(o.err, "121 frames in 2 windows of 81 that overlap by 40"));
    outcome_done(&o);
    made one = made_by(run(OF(t2v, "33", "2"), "--context-frames", "33", "-o", "x.mp4"));
    assert_string_equal(one.hash, whole.hash);
}

/* The picture of TI2V is in the first window alone. */
static void test_windows_from_a_picture(void **state)
{
    (void)state;
    const char *image = FIXTURE("wan21-i2v/image.png");
    made_by(run(OF(MODEL, "21", "2"), "--context-frames", "9", "--image", image, "-o", "wi/"));
    made_by(run(OF(MODEL, "21", "2"), "--context-frames", "9", "-o", "wt/"));
    made_by(run(OF(MODEL, "9", "2"), "--segment-frames", "0", "--image", image, "-o", "wp/"));
    assert_int_equal(count_files("wi", ".png"), 21);
    check_frames("wi", "wt", 0, 20, false);
    check_frames("wi", "wp", 0, 0, true);
}

static void test_bad_values(void **state)
{
    (void)state;
    check_fails(run(LONG, "-o", "x.mp4", "--overlap", "5"), 2, "overlap 5 and segment_tail 0 leave nothing");
    check_fails(run(LONG, "-o", "x.mp4", "--overlap", "0"), 2, "overlap: 0 is outside 1..");
    check_fails(run(LONG, "-o", "x.mp4", "--segment-frames", "-1"), 2, "segment_frames: -1 is outside");
    check_fails(run(LONG, "-o", "x.mp4", "--segment-frames", "many"), 2, "\"many\" is not a whole number");
    check_fails(run(LONG, "-o", "x.mp4", "--colour-match", "maybe"), 2, "\"maybe\" is not one of on|off");
    check_fails(run(LONG, "-o", "x.mp4", "--segment-prompt", "\xff"), 2, "segment_prompt");
    check_fails(run(OF(MODEL, "5", "2"), "-o", "x.mp4", "--segment-prompt", "a"), 2,
                "5 frames are one segment");
    check_fails(run(OF(FIXTURE("wan21-t2v/model"), "17", "2"), "-o", "x.mp4", "--segment-frames", "5"), 2,
                "this model is T2V: it cannot go on from pictures");
    check_fails(run(LONG, "-o", "x.mp4", "--segment-frames", "5", "--context-frames", "5"), 2,
                "two ways to make");
    check_fails(run(OF(FIXTURE("wan21-vace/model"), "17", "2"), "-o", "x.mp4", "--context-frames", "5"), 2,
                "this model is VACE: it has no context windows");
    check_fails(
        run("generate", "--model", "testsrc", "--prompt", "a", "-o", "x.mp4", "--segment-frames", "5"), 2,
        "does not take segment_frames");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_and_the_same_again),
        cmocka_unit_test(test_what_the_video_says),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_overlap_and_tail),
        cmocka_unit_test(test_condition_channels),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_begun_anew),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_windows_from_a_picture),
        cmocka_unit_test(test_bad_values),
    };
    return cmocka_run_group_tests(tests, make, place_remove);
}
