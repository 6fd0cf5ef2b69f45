/* An interrupted run goes on where it stopped, and makes the frames of one that was not interrupted. */
#include "program.h"

#define MODEL "model" /* a copy, so that its files can be changed */
#define OF(model, side, frames, steps)                                                                       \
    "generate", "--model", model, "--prompt", "a cat", "--width", side, "--height", side, "--frames",        \
        frames, "--steps", steps, "--json"
/* Long enough to be killed in, and to save its state on the way; about a second; with two experts. */
#define RUN   OF(MODEL, "384", "17", lengths.run), "--seed", "1"
#define SHORT OF(MODEL, "192", "17", lengths.brief)
#define TWO   OF(FIXTURE("wan22-t2v-a14b/model"), "128", "17", lengths.two), "-o", "two.mp4"

/* Numbers of steps, measured: the same lengths in seconds on every machine, sanitizers included. */
static struct {
    char run[8], brief[8], two[8], most_of_two[24];
} lengths;
#define HASH 20

static int steps_of(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

/* How many steps take so many seconds, by the time a step takes in a run. */
static void measure(char *ret, size_t size, double seconds, const char *const *args)
{
    outcome o = finish(start_args(NULL, args));
    must_succeed(&o);
    const char *last = NULL, *key = "\"unit_s\":";
    for (const char *at = o.out; (at = strstr(at, "\"event\":\"step\",\"phase\":\"sampling\"")); at++)
        last = strstr(at, key);
    assert_non_null(last);
    double steps = seconds / strtod(last + strlen(key), NULL);
    snprintf(ret, size, "%d", steps < 60 ? 60 : steps > 1000 ? 1000 : (int)steps);
    outcome_done(&o);
}

static int make(void **state)
{
    if (place_make(state))
        return -1;
    shell("cp -r '%s' " MODEL " && chmod -R u+w " MODEL, FIXTURE("wan22-ti2v-5b/model"));
    measure(lengths.run, sizeof lengths.run, 3, ARGS(OF(MODEL, "384", "17", "60"), "-o", "measured.mp4"));
    measure(lengths.brief, sizeof lengths.brief, 1, ARGS(OF(MODEL, "192", "17", "60"), "-o", "measured.mp4"));
    snprintf(lengths.two, sizeof lengths.two, "60");
    measure(lengths.two, sizeof lengths.two, 1, ARGS(TWO));
    snprintf(lengths.most_of_two, sizeof lengths.most_of_two, "\"done\":%d,", steps_of(lengths.two) * 7 / 10);
    return 0;
}

/* A member of the result that a run printed last. */
static json_t *result_of(const outcome *o)
{
    const char *last = strstr(o->out, "{\"event\":\"done\"");
    if (!last)
        last = strstr(o->out, "\"event\":\"done\"");
    assert_non_null(last);
    while (last > o->out && last[-1] != '\n')
        last--;
    return parse_json(last);
}

typedef struct made {
    char hash[HASH];
    int first_step;
    int64_t seed;
} made;

/* How a run that ended well ended; consumes o. */
static made made_by(outcome o)
{
    made m = {0};
    must_succeed(&o);
    json_t *r = result_of(&o);
    snprintf(m.hash, sizeof m.hash, "%s", json_string_value(json_object_get(r, "frames_hash")));
    m.first_step = (int)json_integer_value(json_object_get(r, "first_step"));
    m.seed = json_integer_value(json_object_get(json_object_get(r, "request"), "seed"));
    json_decref(r);
    outcome_done(&o);
    return m;
}

/* Runs until `after` is printed, then signals. */
static outcome interrupted(const char *const *args, const char *after, int signal)
{
    started s = start_args(NULL, args);
    wait_for(&s, after);
    kill(s.pid, signal);
    return finish(s);
}

#define interrupt(after, signal, ...)                                                                        \
    do {                                                                                                     \
        outcome o_ = interrupted(ARGS(__VA_ARGS__), after, signal);                                          \
        assert_int_not_equal(o_.code, 0);                                                                    \
        outcome_done(&o_);                                                                                   \
    } while (0)

static void assert_nothing_kept(const place *p)
{
    char runs[PATH_BYTES + 16];
    snprintf(runs, sizeof runs, "%s/runs", p->state);
    assert_int_equal(count_files(runs, ""), 0);
}

static void assert_says(const outcome *o, const char *text)
{
    if (!strstr(o->out, text))
        fail_msg("\"%s\" is not in: %s", text, o->out);
}

/* Ctrl-C keeps the very step. */
static void test_after_ctrl_c(void **state)
{
    made whole = made_by(run(SHORT, "--seed", "1", "-o", "whole.mp4"));
    assert_int_equal(whole.first_step, 0);
    assert_nothing_kept(*state);
    outcome o = interrupted(ARGS(SHORT, "--seed", "1", "-o", "out.mp4"), "\"done\":20,", SIGINT);
    assert_int_equal(o.code, 130);
    assert_says(&o, "what was done is kept");
    outcome_done(&o);
    assert_false(kn_path_exists("out.mp4"));
    made resumed = made_by(run(SHORT, "--seed", "1", "-o", "out.mp4", "--resume"));
    assert_true(resumed.first_step >= 20 && resumed.first_step < steps_of(lengths.brief));
    assert_string_equal(resumed.hash, whole.hash);
    assert_true(kn_path_exists("out.mp4"));
    assert_nothing_kept(*state);
}

/* A seed that was chosen stays; two experts: the right one is loaded. */
static void test_chosen_seed_and_experts(void **state)
{
    interrupt(lengths.most_of_two, SIGTERM, TWO);
    made resumed = made_by(run(TWO, "--resume"));
    assert_true(resumed.first_step >= steps_of(lengths.two) * 7 / 10);
    char seed[24];
    snprintf(seed, sizeof seed, "%lld", (long long)resumed.seed);
    made whole = made_by(run(TWO, "--seed", seed));
    assert_int_equal(whole.first_step, 0);
    assert_string_equal(resumed.hash, whole.hash);
    assert_nothing_kept(*state);
}

/* The hash inside a video. */
static void check_hash_inside(const char *video, const char *hash)
{
    outcome o = run("info", "--json", video);
    must_succeed(&o);
    if (!strstr(o.out, hash))
        fail_msg("%s is not the hash in %s", hash, o.out);
    outcome_done(&o);
}

/* Killed again and again at moments that nobody chose. */
static void test_kill_9(void **state)
{
    made whole = made_by(run(RUN, "-o", "whole.mp4"));
    double began = kn_clock_s();
    made_by(run(RUN, "-o", "whole.mp4"));
    double takes = kn_clock_s() - began;
    unsigned random = 12345;
    int kills = 0;
    for (; kills < 8 && !kn_path_exists("killed.mp4"); kills++) {
        started s = start_args(NULL, ARGS(RUN, "-o", "killed.mp4", "--resume"));
        random = random * 1103515245 + 12345;
        usleep((useconds_t)(takes * 1e6 * (0.45 + 0.5 * (random >> 16 & 1023) / 1024)));
        kill(s.pid, SIGKILL);
        outcome o = finish(s);
        outcome_done(&o);
    }
    made last = made_by(run(RUN, "-o", "killed.mp4", "--resume"));
    assert_string_equal(last.hash, whole.hash);
    check_hash_inside("killed.mp4", whole.hash);
    print_message("killed %d times, a run takes %.1f s\n", kills, takes);
    assert_nothing_kept(*state);
}

/* What was sampled is kept until the video is safe. */
static void test_output_lost(void **state)
{
    made whole = made_by(run(SHORT, "--seed", "1", "-o", "whole.mp4"));
    shell("mkdir gone");
    started s = start_args(NULL, ARGS(SHORT, "--seed", "1", "-o", "gone/out.mp4"));
    wait_for(&s, "\"done\":2,");
    shell("rm -r gone");
    check_fails(finish(s), 5, "gone/out.mp4");
    shell("mkdir gone");
    outcome o = run(SHORT, "--seed", "1", "-o", "gone/out.mp4", "--resume");
    assert_says(&o, "resumed after sampling");
    assert_null(strstr(o.out, "\"phase\":\"sampling\""));
    assert_null(strstr(o.out, "\"phase\":\"encoding\""));
    made resumed = made_by(o);
    assert_int_equal(resumed.first_step, steps_of(lengths.brief));
    assert_string_equal(resumed.hash, whole.hash);
    assert_nothing_kept(*state);
}

/* Who forgets to say --resume is told. */
static void test_forgotten(void **state)
{
    interrupt("\"done\":20,", SIGINT, SHORT, "--seed", "1", "-o", "out.mp4");
    outcome o = run(SHORT, "--seed", "1", "-o", "out.mp4");
    assert_says(&o, "could have been resumed (--resume)");
    assert_int_equal(made_by(o).first_step, 0);
    assert_nothing_kept(*state);
}

static void test_nothing_to_resume(void **state)
{
    (void)state;
    outcome o =
        run("generate", "--model", "testsrc", "--prompt", "bars", "--json", "-o", "bars.mp4", "--resume");
    must_succeed(&o);
    assert_says(&o, "nothing to resume");
    outcome_done(&o);
}

/* Another request's state is not touched. */
static void test_other_request(void **state)
{
    interrupt("\"done\":20,", SIGINT, SHORT, "--seed", "1", "-o", "out.mp4");
    made other = made_by(run(SHORT, "--seed", "2", "-o", "other.mp4", "--resume"));
    assert_int_equal(other.first_step, 0);
    made resumed = made_by(run(SHORT, "--seed", "1", "-o", "elsewhere.mp4", "--resume"));
    assert_true(resumed.first_step >= 20);
    assert_nothing_kept(*state);
}

static void test_changed_model(void **state)
{
    const char *file = MODEL "/transformer/config.json";
    interrupt("\"done\":20,", SIGINT, SHORT, "--seed", "1", "-o", "out.mp4");
    if (utimensat(AT_FDCWD, file, (const struct timespec[2]){{1000, 0}, {1000, 0}}, 0))
        fail_msg("cannot touch %s", file);
    outcome o = run(SHORT, "--seed", "1", "-o", "out.mp4", "--resume");
    assert_says(&o, "a file that it reads is not what it was; beginning anew");
    assert_int_equal(made_by(o).first_step, 0);
    assert_nothing_kept(*state);
}

static void test_other_threads(void **state)
{
    interrupt("\"done\":20,", SIGINT, SHORT, "--seed", "1", "--threads", "1", "-o", "out.mp4");
    outcome o = run(SHORT, "--seed", "1", "--threads", "1", "-o", "out.mp4", "--resume");
    assert_null(strstr(o.out, "last bits"));
    assert_true(made_by(o).first_step >= 20);
    assert_nothing_kept(*state);
}

static void test_damaged(void **state)
{
    interrupt("\"done\":20,", SIGINT, SHORT, "--seed", "1", "-o", "out.mp4");
    shell("for f in state/runs/*/*; do head -c 3000 $f > cut && mv cut $f; done");
    outcome o = run(SHORT, "--seed", "1", "-o", "out.mp4", "--resume");
    assert_says(&o, "nothing to resume: ");
    assert_int_equal(made_by(o).first_step, 0);
    assert_nothing_kept(*state);
}

static void nowhere(void)
{
    setenv("KINORA_STATE_DIR", "/dev/null/state", 1);
}

/* No place for the state is a note, not an end; so is a disk that is full later. */
static void test_unwritable(void **state)
{
    place *p = *state;
    outcome o = finish(start_args(nowhere, ARGS(SHORT, "--seed", "1", "-o", "out.mp4", "--resume")));
    assert_says(&o, "cannot be resumed");
    made_by(o);
    started s = start_args(NULL, ARGS(SHORT, "--seed", "1", "-o", "out.mp4"));
    wait_for(&s, "\"done\":2,");
    shell("rm -r '%s'", p->state);
    o = finish(s);
    assert_says(&o, "cannot be resumed");
    made_by(o);
    shell("mkdir -p '%s/runs'", p->state);
}

static void test_two_at_once(void **state)
{
    started s = start_args(NULL, ARGS(OF(MODEL, "64", "5", "1000"), "--seed", "1", "-o", "first.mp4"));
    wait_for(&s, "\"done\":2,");
    outcome o = run(OF(MODEL, "64", "5", "1000"), "--seed", "1", "-o", "second.mp4", "--resume");
    assert_says(&o, "another run of this request is using it");
    made second = made_by(o), first = made_by(finish(s));
    assert_string_equal(first.hash, second.hash);
    assert_nothing_kept(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_ctrl_c),  cmocka_unit_test(test_chosen_seed_and_experts),
        cmocka_unit_test(test_kill_9),        cmocka_unit_test(test_output_lost),
        cmocka_unit_test(test_other_request), cmocka_unit_test(test_nothing_to_resume),
        cmocka_unit_test(test_forgotten),     cmocka_unit_test(test_changed_model),
        cmocka_unit_test(test_other_threads), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_unwritable),    cmocka_unit_test(test_two_at_once),
    };
    return cmocka_run_group_tests(tests, make, place_remove);
}
