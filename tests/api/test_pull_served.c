/* `kinora pull` and `kinora models` while a studio runs: it does the work. */
#include "studio.h"

#include "hub/stand_in.h"

typedef struct scene {
    place *place;
    stand_in *hub;
    studio studio;
} scene;

#define HERE "--data-dir", s->studio.data

static int make(void **state)
{
    scene *s = calloc(1, sizeof *s);
    void *p = NULL;
    if (!s || place_make(&p))
        return -1;
    s->place = p;
    s->hub = stand_in_with_model();
    setenv("HF_ENDPOINT", s->hub->url, 1);
    s->studio = studio_in(p);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1); /* of no interest: the server fetches */
    *state = s;
    return 0;
}

static int clear(void **state)
{
    scene *s = *state;
    void *p = s->place;
    studio_stop(&s->studio);
    stand_in_free(s->hub);
    unsetenv("HF_ENDPOINT");
    place_remove(&p);
    free(s);
    return 0;
}

static bool is_there(const scene *s, const char *name)
{
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/models/%s", s->studio.data, name);
    return kn_path_exists(path);
}

/* The newest download as the server knows it; for json_decref. *ret_n: how many there are. */
static json_t *newest(const scene *s, size_t *ret_n)
{
    reply r = get(&s->studio, "/api/v1/hub/downloads");
    expect(&r, 200);
    json_t *all = json_object_get(r.json, "downloads"), *first = json_incref(json_array_get(all, 0));
    if (ret_n)
        *ret_n = json_array_size(all);
    reply_done(&r);
    return first;
}

static void assert_newest(const scene *s, const char *state, size_t n)
{
    size_t found = 0;
    json_t *d = newest(s, &found);
    assert_string_equal(text_of(d, "state"), state);
    assert_int_equal(found, n);
    json_decref(d);
}

static void test_pull(void **state)
{
    scene *s = *state;
    outcome o = run("pull", HUB_ID, HERE);
    must_succeed(&o);
    assert_non_null(strstr(o.err, "data/models/" HUB_ID "  3.0 MB, 3 files, revision 0123456789ab"));
    assert_null(strstr(o.err, "was there"));
    outcome_done(&o);
    assert_true(is_there(s, HUB_ID "/vae/model.safetensors"));
    assert_newest(s, "completed", 1);
    o = run("pull", HUB_ID, "--json", HERE);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "\"event\":\"done\""));
    assert_non_null(strstr(o.out, "\"was_there\":true"));
    outcome_done(&o);
    check_runs(run("pull", HUB_ID, "--file", "lora.safetensors", HERE));
    assert_true(is_there(s, HUB_ID "/lora.safetensors"));
    check_fails(run("pull", "no/body", HERE), 4, "not found at the hub");
    check_fails(run("pull", "x", HERE), 2, "\"x\" is no model's name");
    check_fails(run("pull", HUB_ID, "--to", "x", "--server", "http://127.0.0.1:1"), 2, "exclude");
    assert_int_equal(count_asked(s->hub, "vae/model"), 1);
}

/* Ctrl-C cancels it at the server; the same words go on with the same download. */
static void test_interrupt(void **state)
{
    scene *s = *state;
    asked q;
    misbehave(s->hub, (rule){"vae/model", STALL, 2000000, NULL, 1});
    started p = start_args(NULL, ARGS("pull", HUB_ID, "--json", HERE));
    wait_for(&p, "\"done_bytes\":2000");
    kill(p.pid, SIGINT);
    outcome o = finish(p);
    must_fail(&o, 130, (const char *const[]){"cancelled; say it again to go on", NULL});
    outcome_done(&o);
    assert_newest(s, "cancelled", 1);
    assert_false(is_there(s, HUB_ID));
    behave(s->hub);
    check_runs(run("pull", HUB_ID, HERE));
    assert_newest(s, "completed", 1);
    assert_true(nth_asked(s->hub, "vae/model", 0, &q));
    assert_string_equal(q.range, "2000000-");
    assert_true(is_there(s, HUB_ID "/vae/model.safetensors"));
}

/* Two that want the same: one download, which goes on when the second one looks away. */
static void test_two(void **state)
{
    scene *s = *state;
    misbehave(s->hub, (rule){"vae/model", STALL, 2000000, NULL, 1});
    started first = start_args(NULL, ARGS("pull", HUB_ID, "--json", HERE));
    wait_for(&first, "\"done_bytes\":2000");
    started second = start_args(NULL, ARGS("pull", HUB_ID, "--json", HERE));
    wait_for(&second, "it is being fetched already");
    wait_for(&second, "\"done_bytes\":2000");
    kill(second.pid, SIGINT);
    outcome o = finish(second);
    must_fail(&o, 130, (const char *const[]){"the download goes on", NULL});
    outcome_done(&o);
    assert_newest(s, "running", 1);
    check_fails(run("pull", HUB_ID, "--file", "lora.safetensors", HERE), kn_err_exit(KN_EBUSY),
                "is being fetched already: dl_");
    json_t *d = newest(s, NULL);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/hub/downloads/%s/cancel", text_of(d, "id"));
    json_decref(d);
    reply r = send_json(&s->studio, "POST", path, "{}");
    expect(&r, 200);
    reply_done(&r);
    o = finish(first);
    must_fail(&o, 130, (const char *const[]){"cancelled at the server", NULL});
    outcome_done(&o);
    assert_int_equal(count_asked(s->hub, "vae/model"), 1);
}

static void test_search(void **state)
{
    scene *s = *state;
    s->hub->api = "[{\"id\": \"a/b\", \"downloads\": 7, \"pipeline_tag\": \"text-to-video\"}]";
    outcome o = run("pull", "--search", "wan 2&x", HERE);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "a/b"));
    outcome_done(&o);
    assert_int_equal(count_asked(s->hub, "search=wan%202%26x"), 1);
    s->hub->api = NULL;
}

/* The list, a description and the removal: with the server, and without one. */
static void check_models(const scene *s)
{
    outcome o = run("models", HERE);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "testsrc"));
    assert_non_null(strstr(o.out, "in the models folder\n" HUB_ID));
    outcome_done(&o);
    o = run("models", "--json", HERE);
    must_succeed(&o);
    json_t *all = parse_json(o.out), *last = json_array_get(all, json_array_size(all) - 1);
    assert_string_equal(text_of(last, "name"), HUB_ID);
    assert_string_equal(text_of(last, "support"), "not_supported");
    json_decref(all);
    outcome_done(&o);
    o = run("models", HUB_ID, HERE);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "\"source\""));
    outcome_done(&o);
    check_fails(run("models", "no/body", HERE), kn_err_exit(KN_ENOTFOUND), "no/body");
    check_fails(run("models", "--remove", "demo", HERE), kn_err_exit(KN_EINVAL), "comes with Kinora");
    check_fails(run("models", "--remove", "../lock", HERE), kn_err_exit(KN_EINVAL), "../lock");
    check_fails(run("models", "--remove", "no/body", HERE), kn_err_exit(KN_ENOTFOUND), "no/body");
    check_fails(run("models", "a", "--remove", "b", HERE), kn_err_exit(KN_EINVAL), "one too many");
}

static void check_removing(const scene *s)
{
    outcome o = run("models", "--remove", HUB_ID, HERE);
    must_succeed(&o);
    assert_string_equal(o.out, HUB_ID " removed\n");
    outcome_done(&o);
    assert_false(is_there(s, HUB_ID));
    assert_false(is_there(s, "acme"));
    o = run("models", HERE);
    must_succeed(&o);
    assert_null(strstr(o.out, HUB_ID));
    outcome_done(&o);
}

static void test_models(void **state)
{
    scene *s = *state;
    check_runs(run("pull", HUB_ID, HERE));
    check_models(s);
    check_removing(s);
    assert_newest(s, "completed", 1);
    check_runs(run("pull", HUB_ID, HERE));
    studio_stop(&s->studio);
    check_models(s); /* by itself */
    check_removing(s);
    s->studio = studio_start(s->studio.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pull, make, clear),
        cmocka_unit_test_setup_teardown(test_interrupt, make, clear),
        cmocka_unit_test_setup_teardown(test_two, make, clear),
        cmocka_unit_test_setup_teardown(test_search, make, clear),
        cmocka_unit_test_setup_teardown(test_models, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
