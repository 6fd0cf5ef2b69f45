/* `kinora pull` against a hub inside the test. */
#include "api/program.h"
#include "hub/stand_in.h"

#define SECRET "hf_SecretSecretSecret"

typedef struct scene {
    place *place;
    stand_in *hub;
} scene;

/* "<dir>/<name>", valid for the next four calls. */
static const char *below(const scene *s, const char *name)
{
    static char paths[4][PATH_BYTES];
    static int n;
    char *path = paths[n++ % 4];
    snprintf(path, PATH_BYTES, "%.300s/%.200s", s->place->dir, name);
    return path;
}

static int make(void **state)
{
    scene *s = calloc(1, sizeof *s);
    void *p = NULL;
    if (!s || place_make(&p))
        return -1;
    s->place = p;
    s->hub = stand_in_with_model();
    setenv("HF_ENDPOINT", s->hub->url, 1);
    setenv("HF_TOKEN", SECRET, 1);
    setenv("KINORA_DATA_DIR", below(s, "data"), 1);
    *state = s;
    return 0;
}

static int clear(void **state)
{
    scene *s = *state;
    void *p = s->place;
    stand_in_free(s->hub);
    unsetenv("HF_ENDPOINT");
    unsetenv("HF_TOKEN");
    unsetenv("KINORA_DATA_DIR");
    place_remove(&p);
    free(s);
    return 0;
}

static void test_pull(void **state)
{
    scene *s = *state;
    asked q;
    outcome o = run("pull", HUB_ID);
    must_succeed(&o);
    assert_non_null(strstr(o.err, "data/models/" HUB_ID "  3.0 MB, 3 files, revision 0123456789ab"));
    assert_null(strstr(o.err, SECRET));
    assert_true(kn_path_exists(below(s, "data/models/" HUB_ID "/vae/model.safetensors")));
    assert_true(nth_asked(s->hub, "/api/", 0, &q));
    assert_string_equal(q.token, SECRET);
    outcome_done(&o);
    o = run("pull", HUB_ID, "--json");
    must_succeed(&o);
    char *last = strrchr(strstr(o.out, "\"event\":\"done\""), '}');
    assert_non_null(last);
    assert_non_null(strstr(o.out, "\"was_there\":true"));
    outcome_done(&o);
    o = run("pull", HUB_ID, "--file", "lora.safetensors", "--to", below(s, "other"));
    must_succeed(&o);
    assert_true(kn_path_exists(below(s, "other/" HUB_ID "/lora.safetensors")));
    outcome_done(&o);
}

/* Ctrl-C in the middle; the same words go on. */
static void test_interrupt(void **state)
{
    scene *s = *state;
    asked q;
    misbehave(s->hub, (rule){"vae/model", STALL, 2000000, NULL, 1});
    started p = start_args(NULL, ARGS("pull", HUB_ID, "--json"));
    wait_for(&p, "\"done_bytes\":2000");
    kill(p.pid, SIGINT);
    outcome o = finish(p);
    must_fail(&o, 130, (const char *const[]){"cancelled; say it again to go on", NULL});
    assert_non_null(strstr(o.out, "\"code\":\"KN_ECANCELLED\""));
    outcome_done(&o);
    assert_false(kn_path_exists(below(s, "data/models/acme")));
    behave(s->hub);
    check_runs(run("pull", HUB_ID));
    assert_true(nth_asked(s->hub, "vae/model", 0, &q));
    assert_string_equal(q.range, "2000000-");
    assert_true(kn_path_exists(below(s, "data/models/" HUB_ID "/vae/model.safetensors")));
}

/* Killed without a word. */
static void test_killed(void **state)
{
    scene *s = *state;
    misbehave(s->hub, (rule){"vae/model", STALL, 2000000, NULL, 1});
    started p = start_args(NULL, ARGS("pull", HUB_ID, "--json"));
    wait_for(&p, "\"done_bytes\":2000");
    kill(p.pid, SIGKILL);
    outcome o = finish(p);
    outcome_done(&o);
    assert_false(kn_path_exists(below(s, "data/models/acme")));
    check_runs(run("pull", HUB_ID));
    assert_true(kn_path_exists(below(s, "data/models/" HUB_ID "/vae/model.safetensors")));
}

static void test_refused(void **state)
{
    scene *s = *state;
    check_fails(run("pull"), 2, "OWNER/NAME");
    check_fails(run("pull", "x"), 2, "\"x\" is no model's name");
    check_fails(run("pull", HUB_ID, "--search", "x"), 2, "or --search");
    check_fails(run("pull", "no/body"), 4, "not found at the hub");
    misbehave(s->hub, (rule){"/api/", ANSWER, 403, "X-Error-Code: GatedRepo\r\n", 1});
    outcome o = run("pull", HUB_ID);
    must_fail(&o, 2, (const char *const[]){"is gated", NULL});
    assert_null(strstr(o.err, SECRET));
    outcome_done(&o);
}

static void test_search(void **state)
{
    scene *s = *state;
    s->hub->api = "[{\"id\": \"a/b\", \"downloads\": 7, \"pipeline_tag\": \"text-to-video\"}]";
    outcome o = run("pull", "--search", "wan");
    must_succeed(&o);
    assert_non_null(strstr(o.out, "a/b"));
    assert_non_null(strstr(o.out, "text-to-video"));
    outcome_done(&o);
    assert_int_equal(count_asked(s->hub, "search=wan"), 1);
    s->hub->api = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pull, make, clear),
        cmocka_unit_test_setup_teardown(test_interrupt, make, clear),
        cmocka_unit_test_setup_teardown(test_killed, make, clear),
        cmocka_unit_test_setup_teardown(test_refused, make, clear),
        cmocka_unit_test_setup_teardown(test_search, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
