/* JSON events, and that the same request makes the same video. */
#include "program.h"

#include <math.h>

#include "tensor/checkpoint.h"

#define CAT "generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", TINY

/* The lines of the output as a list of objects; each must parse. */
static json_t *events_of(const outcome *o)
{
    json_t *list = json_array();
    char *text = strdup(o->out), *save = NULL;
    assert_non_null(text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *e = parse_json(line);
        assert_true(json_is_object(e));
        assert_true(json_is_string(json_object_get(e, "event")));
        json_array_append_new(list, e);
    }
    free(text);
    return list;
}

static const char *member(const json_t *e, const char *key)
{
    const char *s = json_string_value(json_object_get(e, key));
    return s ? s : "";
}

static int count(const json_t *events, const char *kind, const char *phase)
{
    int n = 0;
    size_t i;
    const json_t *e;
    json_array_foreach((json_t *)(uintptr_t)events, i, e)
    {
        n += !strcmp(member(e, "event"), kind) && (!phase || !strcmp(member(e, "phase"), phase));
    }
    return n;
}

static const json_t *last_of(const json_t *events)
{
    return json_array_get(events, json_array_size(events) - 1);
}

static void test_events(void **state)
{
    (void)state;
    outcome o = run(CAT, "--width", "50", "--frames", "6", "--json", "-o", "cat.mp4");
    must_succeed(&o);
    assert_string_equal(o.err, "");
    json_t *events = events_of(&o);
    static const char *const phases[] = {"encoding", "loading", "sampling", "decoding", "saving"};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        assert_true(count(events, "phase", phases[i]) >= 1);
        assert_int_equal(count(events, "phase", phases[i]), count(events, "phase_end", phases[i]));
    }
    assert_int_equal(count(events, "step", "sampling"), 2);
    assert_int_equal(count(events, "note", NULL), 2); /* 50 -> 48 pixels, 6 -> 5 frames */
    assert_int_equal(count(events, "done", NULL), 1);
    const json_t *done = last_of(events), *rq = json_object_get(done, "request");
    assert_string_equal(member(done, "event"), "done");
    assert_string_equal(member(done, "output"), "cat.mp4");
    assert_string_equal(member(done, "family"), "wan");
    assert_int_equal(json_integer_value(json_object_get(rq, "width")), 48);
    assert_int_equal(json_integer_value(json_object_get(rq, "frames")), 5);
    assert_int_equal(json_integer_value(json_object_get(rq, "seed")), 7);
    assert_true(json_integer_value(json_object_get(done, "peak_bytes")) > 0);
    json_decref(events);
    outcome_done(&o);
}

static void test_error_event(void **state)
{
    (void)state;
    outcome o = run(CAT, "--json", "--latents", "no.safetensors", "-o", "cat.mp4");
    must_fail(&o, 4, (const char *const[]){"no.safetensors", NULL});
    json_t *events = events_of(&o);
    assert_int_equal(count(events, "error", NULL), 1);
    assert_string_equal(member(last_of(events), "code"), "KN_ENOTFOUND");
    assert_non_null(strstr(member(last_of(events), "message"), "no.safetensors"));
    json_decref(events);
    outcome_done(&o);
}

static void test_plain_lines(void **state)
{
    (void)state;
    outcome o = run(CAT, "--width", "50", "-o", "cat.mp4");
    must_succeed(&o);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "note: width 50 -> 48"));
    assert_non_null(strstr(o.err, "cat.mp4  48x32, 5 frames, seed 7"));
    assert_null(strchr(o.err, '\r')); /* no terminal, no bar */
    outcome_done(&o);
}

/* ---- repeatable ---- */

static void hash_of(outcome o, char ret[32])
{
    must_succeed(&o);
    json_t *events = events_of(&o);
    snprintf(ret, 32, "%s", member(last_of(events), "frames_hash"));
    assert_int_equal(strlen(ret), 16);
    json_decref(events);
    outcome_done(&o);
}

static void test_same_request_same_frames(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"f32", "bf16", "int8"};
    char first[32], again[32], other[32];
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        hash_of(run(CAT, "--dtype", dtypes[i], "--json", "--threads", "2", "-o", "a.mp4"), first);
        hash_of(run(CAT, "--dtype", dtypes[i], "--json", "--threads", "2", "-o", "b.mp4"), again);
        hash_of(run(CAT, "--dtype", dtypes[i], "--json", "--threads", "2", "--seed", "8", "-o", "c.mp4"),
                other);
        assert_string_equal(first, again);
        assert_string_not_equal(first, other);
    }
}

static float *frames_of(const char *path, int64_t *ret_n)
{
    kn_checkpoint *ck = NULL;
    must(kn_checkpoint_open(path, NULL, &ck, err));
    const kn_entry *e = kn_checkpoint_find(ck, "frames");
    assert_non_null(e);
    *ret_n = kn_entry_numel(e);
    float *x = malloc((size_t)*ret_n * sizeof *x);
    assert_non_null(x);
    must(kn_entry_to_f32(e, x, err));
    kn_checkpoint_close(ck);
    return x;
}

static void test_thread_count(void **state)
{
    (void)state;
    static const char *const threads[] = {"1", "2", "3"};
    float *x[3];
    int64_t n[3];
    for (int k = 0; k < 3; k++) {
        check_runs(run(CAT, "--dtype", "f32", "--threads", threads[k], "--save-tensors", "t.safetensors"));
        x[k] = frames_of("t.safetensors", &n[k]);
    }
    for (int k = 1; k < 3; k++) {
        double d = 0, all = 0;
        assert_int_equal(n[k], n[0]);
        for (int64_t i = 0; i < n[0]; i++) {
            d += pow((double)x[k][i] - x[0][i], 2);
            all += pow(x[0][i], 2);
        }
        print_message("%s threads: relative L2 %.1e\n", threads[k], sqrt(d / all));
        assert_true(sqrt(d / all) <= 1e-5);
    }
    for (int k = 0; k < 3; k++)
        free(x[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),       cmocka_unit_test(test_error_event),
        cmocka_unit_test(test_plain_lines),  cmocka_unit_test(test_same_request_same_frames),
        cmocka_unit_test(test_thread_count),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
