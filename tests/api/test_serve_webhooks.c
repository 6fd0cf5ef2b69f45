/* Webhooks, from the change of a job to who is told of it. */
#include "receiver.h"

#include "base/base64.h"
#include "hub/hmac.h"

#define QUICK "--webhook-delays", "0.1,0.1,0.1,0.1,0.1"
#define JOB   "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 32, \"height\": 16, \"frames\": 2}"
#define NO_JOB                                                                                               \
    "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 32, \"height\": 16, \"frames\": 100000}"

static studio start(const place *p)
{
    char data[PATH_BYTES + 8];
    snprintf(data, sizeof data, "%s/data", p->dir);
    return studio_start_with(data, QUICK);
}

static void allow_private(const studio *s, bool allow)
{
    reply r = send_json(s, "PUT", "/api/v1/settings",
                        allow ? "{\"webhook_allow_private\": true}" : "{\"webhook_allow_private\": false}");
    expect(&r, 200);
    reply_done(&r);
}

static reply post_hook(const studio *s, const char *url, const char *more)
{
    char body[512];
    snprintf(body, sizeof body, "{\"url\": \"%s\"%s}", url, more);
    return send_json(s, "POST", "/api/v1/webhooks", body);
}

/* Its id in id, its secret in secret (128 bytes; may be NULL). */
static void make_hook(const studio *s, const char *url, const char *more, char id[64], char *secret)
{
    reply r = post_hook(s, url, more);
    expect(&r, 201);
    snprintf(id, 64, "%s", text_of(r.json, "id"));
    assert_int_equal(strncmp(id, "wh_", 3), 0);
    if (secret)
        snprintf(secret, 128, "%s", text_of(r.json, "secret"));
    reply_done(&r);
}

static void drop_hook(const studio *s, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/webhooks/%s", id);
    reply r = call(s, "DELETE", path, "", NULL, 0);
    expect(&r, 200);
    reply_done(&r);
}

static json_t *hook_now(const studio *s, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/webhooks/%s", id);
    reply r = get(s, path);
    expect(&r, 200);
    json_t *o = json_incref(r.json);
    reply_done(&r);
    return o;
}

/* The newest delivery once it is in `state` and was tried `n_tries` times; for json_decref. */
static json_t *wait_delivery(const studio *s, const char *hook, const char *state, size_t n_tries)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/webhooks/%s/deliveries", hook);
    for (int i = 0; i < 3000; i++) {
        reply r = get(s, path);
        expect(&r, 200);
        json_t *d = json_incref(json_array_get(json_object_get(r.json, "deliveries"), 0));
        reply_done(&r);
        if (strcmp(text_of(d, "state"), state) == 0 &&
            json_array_size(json_object_get(d, "attempts")) >= n_tries)
            return d;
        json_decref(d);
        usleep(20000);
    }
    fail_msg("no delivery was %s in a minute", state);
    return NULL;
}

static json_t *attempt(const json_t *delivery, size_t i)
{
    return json_array_get(json_object_get(delivery, "attempts"), i);
}

static void check_signature(const got *g, const char *secret)
{
    unsigned char *key = NULL, digest[KN_HMAC_BYTES];
    size_t size = 0;
    char expected[128], *text = kn_asprintf("%s.%s.%s", g->id, g->timestamp, g->body);
    assert_int_equal(strncmp(secret, "whsec_", 6), 0);
    must(kn_base64_decode(secret + 6, strlen(secret + 6), &key, &size, err));
    assert_true(size >= 24);
    must(kn_hmac(key, size, text, strlen(text), digest, err));
    char *sum = kn_base64_encode(digest, sizeof digest);
    snprintf(expected, sizeof expected, "v1,%s", sum);
    assert_string_equal(g->signature, expected);
    free(sum);
    free(text);
    free(key);
}

/* ---- the tests ---- */

static void test_told_and_signed(void **state)
{
    studio s = start(*state);
    receiver *r = receiver_new(0, NULL);
    char hook[64], secret[128], id[64];
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, secret);
    submit(&s, JOB, id);
    got g = wait_got(r, 0);
    check_signature(&g, secret);
    assert_string_equal(g.path, "/hook");
    assert_string_equal(g.type, "application/json");
    assert_int_equal(strncmp(g.id, "msg_", 4), 0);
    assert_true(llabs(strtoll(g.timestamp, NULL, 10) - kn_clock_unix()) < 600);

    json_t *body = parse_json(g.body), *job = wait_job(&s, id, "completed");
    assert_string_equal(text_of(body, "type"), "job.completed");
    assert_int_equal(strlen(text_of(body, "timestamp")), strlen("2026-11-28T16:26:11.042Z"));
    json_t *data = json_object_get(body, "data");
    assert_true(json_equal(data, job));

    json_t *d = wait_delivery(&s, hook, "delivered", 1);
    assert_string_equal(text_of(d, "id"), g.id);
    assert_string_equal(text_of(d, "job_id"), id);
    assert_string_equal(text_of(d, "event"), "job.completed");
    assert_int_equal(json_integer_value(json_object_get(attempt(d, 0), "status")), 200);
    assert_true(json_is_null(json_object_get(d, "next_attempt_at")));
    json_decref(d);
    json_decref(body);
    json_decref(job);

    json_t *shown = hook_now(&s, hook); /* never again */
    assert_null(json_object_get(shown, "secret"));
    assert_true(json_is_true(json_object_get(shown, "active")));
    json_decref(shown);
    drop_hook(&s, hook);
    receiver_free(r);
    kill(s.program.pid, SIGTERM);
    outcome o = finish(s.program);
    assert_int_equal(o.code, 0);
    assert_null(strstr(o.err, secret + 6));
    outcome_done(&o);
}

static void test_what_is_asked_for(void **state)
{
    studio s = start(*state);
    receiver *all = receiver_new(0, NULL), *ends = receiver_new(0, NULL);
    char hook[64], other[64], id[64];
    allow_private(&s, true);
    make_hook(&s, all->url, ", \"events\": [\"queued\", \"planning\", \"cancelled\"]", hook, NULL);
    make_hook(&s, ends->url, ", \"secret\": \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"", other, NULL);
    submit(&s, NO_JOB, id);
    reply r = act(&s, id, "cancel");
    expect(&r, 200);
    reply_done(&r);
    json_decref(wait_job(&s, id, "cancelled"));
    got g = wait_got(ends, 0);
    check_signature(&g, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_non_null(strstr(g.body, "\"job.cancelled\""));
    got first = wait_got(all, 0);
    assert_non_null(strstr(first.body, "\"job.queued\""));
    for (int i = 1; i < 3; i++) { /* it may be cancelled before it was begun */
        got next = wait_got(all, i);
        if (strstr(next.body, "\"job.cancelled\""))
            break;
        assert_non_null(strstr(next.body, "\"job.planning\""));
    }
    assert_int_equal(n_got(ends), 1);
    drop_hook(&s, hook);
    drop_hook(&s, other);
    receiver_free(all);
    receiver_free(ends);
    studio_stop(&s);
}

static void test_again_until_it_is_taken(void **state)
{
    studio s = start(*state);
    receiver *r = receiver_new(0, (const int[]){500, 503, -1});
    char hook[64], secret[128], id[64];
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, secret);
    submit(&s, JOB, id);
    got first = wait_got(r, 0), last = wait_got(r, 2);
    check_signature(&last, secret);
    assert_string_equal(first.id, last.id);
    assert_string_equal(first.body, last.body);
    json_t *d = wait_delivery(&s, hook, "delivered", 3);
    assert_int_equal(json_array_size(json_object_get(d, "attempts")), 3);
    assert_int_equal(json_integer_value(json_object_get(attempt(d, 0), "status")), 500);
    assert_int_equal(json_integer_value(json_object_get(attempt(d, 1), "status")), 503);
    assert_int_equal(json_integer_value(json_object_get(attempt(d, 2), "status")), 200);
    json_decref(d);
    drop_hook(&s, hook);
    receiver_free(r);
    studio_stop(&s);
}

static void test_given_up(void **state)
{
    studio s = start(*state);
    receiver *r = receiver_new(0, (const int[]){500, 500, 500, 500, 500, 500, -1});
    char hook[64], id[64];
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, NULL);
    submit(&s, JOB, id);
    json_t *d = wait_delivery(&s, hook, "failed", 6);
    assert_int_equal(json_array_size(json_object_get(d, "attempts")), 6);
    assert_true(json_is_null(json_object_get(d, "next_attempt_at")));
    json_decref(d);
    assert_int_equal(n_got(r), 6);
    json_t *shown = hook_now(&s, hook);
    assert_true(json_is_true(json_object_get(shown, "active")));
    json_decref(shown);
    drop_hook(&s, hook);
    receiver_free(r);
    studio_stop(&s);
}

static void test_gone_for_good(void **state)
{
    studio s = start(*state);
    receiver *r = receiver_new(0, (const int[]){410, -1});
    char hook[64], id[64], path[128];
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, NULL);
    submit(&s, JOB, id);
    json_decref(wait_delivery(&s, hook, "failed", 1));
    json_t *shown = hook_now(&s, hook);
    assert_true(json_is_false(json_object_get(shown, "active")));
    assert_non_null(strstr(text_of(shown, "why_inactive"), "410"));
    json_decref(shown);
    submit(&s, JOB, id);
    json_decref(wait_job(&s, id, "completed"));
    snprintf(path, sizeof path, "/api/v1/webhooks/%s", hook);
    reply p = send_json(&s, "PATCH", path, "{\"active\": true}");
    expect(&p, 200);
    assert_true(json_is_true(json_object_get(p.json, "active")));
    assert_true(json_is_null(json_object_get(p.json, "why_inactive")));
    reply_done(&p);
    submit(&s, JOB, id);
    got g = wait_got(r, 1);
    assert_non_null(strstr(g.body, id)); /* and not the one before */
    drop_hook(&s, hook);
    receiver_free(r);
    studio_stop(&s);
}

static void test_not_led_astray(void **state)
{
    studio s = start(*state);
    receiver *there = receiver_new(0, NULL), *r = receiver_new(0, (const int[]){302, 307, -1});
    char hook[64], id[64], head[160];
    snprintf(head, sizeof head, "Location: %s\r\n", there->url);
    r->head = head;
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, NULL);
    submit(&s, JOB, id);
    json_t *d = wait_delivery(&s, hook, "delivered", 3);
    assert_int_equal(json_integer_value(json_object_get(attempt(d, 0), "status")), 302);
    assert_non_null(strstr(text_of(attempt(d, 0), "error"), "redirects are not followed"));
    json_decref(d);
    assert_int_equal(n_got(there), 0);
    drop_hook(&s, hook);
    receiver_free(r);
    receiver_free(there);
    studio_stop(&s);
}

/* Also that a server stops in time while somebody keeps it waiting. */
static void test_the_slow_hold_up_nobody(void **state)
{
    studio s = start(*state);
    receiver *slow = receiver_new(0, (const int[]){STALL, STALL, STALL, -1}), *r = receiver_new(0, NULL);
    char first[64], second[64], id[64];
    allow_private(&s, true);
    make_hook(&s, slow->url, "", first, NULL);
    make_hook(&s, r->url, "", second, NULL);
    submit(&s, JOB, id);
    wait_got(slow, 0);
    submit(&s, JOB, id);
    got g = wait_got(r, 1);
    assert_non_null(strstr(g.body, id));
    drop_hook(&s, first); /* under way */
    drop_hook(&s, second);
    studio_stop(&s);
    receiver_free(slow);
    receiver_free(r);
}

static void test_after_the_server_died(void **state)
{
    studio s = start(*state);
    receiver *r = receiver_new(0, NULL);
    char hook[64], secret[128], id[64], data[PATH_BYTES + 8];
    int port = r->port;
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, secret);
    receiver_free(r); /* nobody listens */
    submit(&s, JOB, id);
    json_decref(wait_job(&s, id, "completed"));
    snprintf(data, sizeof data, "%s", s.data);
    studio_kill(&s);
    r = receiver_new(port, NULL);
    s = studio_start(data);
    got g = wait_got(r, 0);
    check_signature(&g, secret);
    assert_non_null(strstr(g.body, id));
    json_decref(wait_delivery(&s, hook, "delivered", 1));
    drop_hook(&s, hook);
    receiver_free(r);
    studio_stop(&s);
}

static void test_no_way_inside(void **state)
{
    static const char *const inside[] = {"http://127.0.0.1:9/",
                                         "http://2130706433:9/",
                                         "http://0177.0.0.1:9/",
                                         "http://[::ffff:10.0.0.1]/",
                                         "http://169.254.169.254/x",
                                         "http://[::1]:9/",
                                         "http://0x7f.1/",
                                         "file:///etc/passwd",
                                         "https://user:pw@example.org/",
                                         "http://",
                                         ""};
    studio s = start(*state);
    receiver *r = receiver_new(0, NULL);
    char hook[64], named[64], id[64], url[64];
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        reply p = post_hook(&s, inside[i], "");
        if (p.status != 400)
            fail_msg("%s was taken", inside[i]);
        reply_done(&p);
    }
    snprintf(url, sizeof url, "http://localhost:%d/",
             r->port); /* what a name is shows when it is connected to */
    make_hook(&s, url, "", named, NULL);
    allow_private(&s, true);
    make_hook(&s, r->url, "", hook, NULL);
    allow_private(&s, false);
    submit(&s, JOB, id);
    json_t *d = wait_delivery(&s, hook, "waiting", 1);
    assert_non_null(strstr(text_of(attempt(d, 0), "error"), "webhook_allow_private"));
    json_decref(d);
    d = wait_delivery(&s, named, "waiting", 1);
    assert_non_null(strstr(text_of(attempt(d, 0), "error"), "webhook_allow_private"));
    json_decref(d);
    assert_int_equal(n_got(r), 0);
    allow_private(&s, true);
    wait_got(r, 1);
    drop_hook(&s, hook);
    drop_hook(&s, named);
    receiver_free(r);
    studio_stop(&s);
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{}", NULL},
        {"{\"url\": 7}", "url"},
        {"{\"url\": \"https://example.org/\", \"events\": []}", "events"},
        {"{\"url\": \"https://example.org/\", \"events\": [\"done\"]}", "events"},
        {"{\"url\": \"https://example.org/\", \"secret\": \"short\"}", "secret"},
        {"{\"url\": \"https://example.org/\", \"secret\": \"whsec_c2hvcnQ=\"}", "secret"},
        {"{\"url\": \"https://example.org/\", \"colour\": 1}", "colour"},
    };
    studio s = start(*state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reply r = send_json(&s, "POST", "/api/v1/webhooks", cases[i].body);
        expect(&r, 400);
        if (cases[i].param)
            assert_string_equal(text_of(json_object_get(r.json, "error"), "param"), cases[i].param);
        reply_done(&r);
    }
    reply r = get(&s, "/api/v1/webhooks/wh_00000000000000000000/deliveries");
    expect(&r, 404);
    reply_done(&r);
    r = get(&s, "/api/v1/webhooks");
    expect(&r, 200);
    assert_int_equal(json_array_size(json_object_get(r.json, "webhooks")), 0);
    reply_done(&r);
    studio_stop(&s);
    check_fails(run("serve", "--webhook-delays", "5,x"), 2, "--webhook-delays");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told_and_signed, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_what_is_asked_for, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_again_until_it_is_taken, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_given_up, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_gone_for_good, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_not_led_astray, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_the_slow_hold_up_nobody, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_after_the_server_died, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_no_way_inside, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_mistakes, place_make, place_remove),
    };
    return cmocka_run_group_tests_name("api/serve_webhooks", tests, NULL, NULL);
}
