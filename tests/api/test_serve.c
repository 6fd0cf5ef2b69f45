/* `kinora serve`, from the first request to the file. */
#include "studio.h"

#define BARS                                                                                                 \
    "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 64, \"height\": 48, \"frames\": 6, "          \
    "\"steps\": 2, \"seed\": 3}"

static void test_health(void **state)
{
    (void)state;
    reply r = get(&server, "/api/health");
    expect(&r, 200);
    assert_string_equal(text_of(r.json, "status"), "ok");
    reply_done(&r);
}

static void test_job(void **state)
{
    char id[64], path[PATH_BYTES + 128];
    (void)state;
    submit(&server, BARS, id);
    json_t *job = wait_job(&server, id, "completed");
    assert_string_equal(text_of(job, "model"), "testsrc");
    assert_int_equal(json_integer_value(json_object_get(job, "attempt")), 1);
    assert_true(json_is_object(json_object_get(job, "plan")));
    assert_int_equal(strlen(text_of(json_object_get(job, "result"), "frames_hash")), 16);
    assert_true(json_is_null(json_object_get(job, "error")));

    reply video = get(&server, text_of(job, "video_url"));
    expect(&video, 200);
    assert_non_null(strstr(video.head, "video/mp4"));
    assert_memory_equal(video.body + 4, "ftyp", 4);
    reply part = call(&server, "GET", text_of(job, "video_url"), "Range: bytes=4-7\r\n", NULL, 0);
    expect(&part, 206);
    assert_int_equal(part.size, 4);
    assert_memory_equal(part.body, "ftyp", 4);
    reply picture = get(&server, text_of(job, "thumbnail_url"));
    expect(&picture, 200);
    assert_memory_equal(picture.body + 1, "PNG", 3);

    snprintf(path, sizeof path, "%s/outputs/%s.mp4", server.data, id);
    assert_true(kn_path_exists(path));
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    reply gone = call(&server, "DELETE", path, "", NULL, 0);
    expect(&gone, 200);
    reply after = get(&server, path);
    expect(&after, 404);
    snprintf(path, sizeof path, "%s/outputs/%s.mp4", server.data, id);
    assert_false(kn_path_exists(path));
    reply_done(&after);
    reply_done(&gone);
    reply_done(&picture);
    reply_done(&part);
    reply_done(&video);
    json_decref(job);
}

/* The same frames as the command line makes. */
static void test_same_frames(void **state)
{
    char id[64];
    (void)state;
    submit(&server, BARS, id);
    outcome o = run("generate", "--model", "testsrc", "--prompt", "bars", "--width", "64", "--height", "48",
                    "--frames", "6", "--steps", "2", "--seed", "3", "--json", "-o", "direct.mp4");
    must_succeed(&o);
    json_t *job = wait_job(&server, id, "completed");
    const char *hash = text_of(json_object_get(job, "result"), "frames_hash");
    assert_int_equal(strlen(hash), 16);
    assert_non_null(strstr(o.out, hash));
    json_decref(job);
    outcome_done(&o);
}

static void test_lists(void **state)
{
    char a[64], b[64];
    (void)state;
    submit(&server, BARS, a);
    submit(&server,
           "{\"model\": \"testsrc\", \"prompt\": \"a Needle in hay\", \"width\": 64, \"height\": 48, "
           "\"frames\": 2}",
           b);
    json_decref(wait_job(&server, a, "completed"));
    json_decref(wait_job(&server, b, "completed"));
    reply newest = get(&server, "/api/v1/jobs?limit=1");
    expect(&newest, 200);
    assert_string_equal(text_of(json_array_get(json_object_get(newest.json, "jobs"), 0), "id"), b);
    assert_true(json_is_true(json_object_get(newest.json, "has_more")));
    reply found = get(&server, "/api/v1/jobs?text=needle&state=completed,failed");
    expect(&found, 200);
    assert_int_equal(json_array_size(json_object_get(found.json, "jobs")), 1);
    reply queue = get(&server, "/api/v1/queue");
    expect(&queue, 200);
    assert_int_equal(json_array_size(json_object_get(queue.json, "jobs")), 0);
    assert_true(json_integer_value(json_object_get(json_object_get(queue.json, "counts"), "completed")) >= 2);
    reply_done(&queue);
    reply_done(&found);
    reply_done(&newest);
}

/* What can be known to be wrong is told at once, with the parameter's name. */
static void test_refused(void **state)
{
    static const struct {
        const char *body, *param, *says;
        int status;
    } rows[] = {
        {"{\"model\": \"testsrc\", \"prompt\": \"x\", \"steps\": 2000}", "steps", "2000", 400},
        {"{\"model\": \"testsrc\", \"prompt\": \"x\", \"step\": 4}", NULL, "step", 400},
        {"{\"model\": \"testsrc\", \"prompt\": 3}", "prompt", "prompt", 400},
        {"{\"prompt\": \"x\"}", "model", "missing", 400},
        {"{\"model\": \"testsrc\"}", "prompt", "missing", 400},
        {"{\"model\": \"no-such\", \"prompt\": \"x\"}", "model", "no-such", 404},
        {"{\"model\": \"/etc\", \"prompt\": \"x\"}", "model", "/etc", 404},
        {"{\"model\": \"../../etc\", \"prompt\": \"x\"}", "model", "etc", 404},
        {"{\"model\": \"testsrc\", \"prompt\": \"x\", \"output\": \"/tmp/x.mp4\"}", "output", "cannot be set",
         400},
        {"{\"model\": \"demo\", \"prompt\": \"x\", \"image\": \"/etc/passwd\"}", "image", "expected the id",
         400},
        {"{\"model\": \"demo\", \"prompt\": \"x\", \"image\": \"upl_none.png\"}", "image", "upl_none", 404},
        {"{\"model\": \"testsrc\", \"prompt\": \"x\", \"priority\": 101}", "priority", "100", 400},
        {"{\"model\": \"testsrc\", \"prompt\": \"x\", \"labels\": 3}", NULL, "labels", 400},
        {"[1]", NULL, "object", 400},
        {"{\"model\"", NULL, "", 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply r = send_json(&server, "POST", "/api/v1/jobs", rows[i].body);
        const json_t *error = json_object_get(r.json, "error");
        if (r.status != rows[i].status || !strstr(text_of(error, "message"), rows[i].says) ||
            (rows[i].param && strcmp(text_of(error, "param"), rows[i].param)))
            fail_msg("%s: %d %s", rows[i].body, r.status, r.body);
        reply_done(&r);
    }
}

static void test_plan(void **state)
{
    (void)state;
    reply r = send_json(&server, "POST", "/api/v1/plan", "{\"model\": \"demo\", \"prompt\": \"a red ball\"}");
    expect(&r, 200);
    assert_true(json_integer_value(json_object_get(r.json, "need_bytes")) > 1 << 20);
    assert_true(json_is_true(json_object_get(r.json, "fits")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r.json, "request"), "width")), 96);
    reply small = send_json(&server, "POST", "/api/v1/plan",
                            "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"memory_budget\": 20000000}");
    expect(&small, 200);
    assert_true(json_is_false(json_object_get(small.json, "fits")));
    assert_true(strlen(text_of(small.json, "advice")) > 10);
    reply_done(&small);
    reply_done(&r);
}

static void test_models(void **state)
{
    (void)state;
    shell("cp -r '%s' '%s/models/tiny'", FIXTURE("wan22-ti2v-5b/model"), server.data);
    shell("mkdir -p '%s/models/broken' && echo '{}' > '%s/models/broken/model_index.json'", server.data,
          server.data);
    reply r = get(&server, "/api/v1/models");
    expect(&r, 200);
    size_t i;
    json_t *m;
    int n_ready = 0, n_broken = 0;
    json_array_foreach(json_object_get(r.json, "models"), i, m)
    {
        bool ready = strcmp(text_of(m, "support"), "ready") == 0;
        if (strcmp(text_of(m, "name"), "tiny") == 0) {
            n_ready += ready;
            assert_string_equal(text_of(m, "family"), "wan");
            assert_true(json_array_size(json_object_get(m, "parameters")) > 10);
            assert_true(json_integer_value(json_object_get(m, "size_bytes")) > 1000);
        }
        if (strcmp(text_of(m, "name"), "broken") == 0) {
            n_broken += !ready;
            assert_true(strlen(text_of(m, "error")) > 5);
        }
    }
    assert_int_equal(n_ready, 1);
    assert_int_equal(n_broken, 1);
    reply_done(&r);
}

static void test_settings(void **state)
{
    (void)state;
    reply put = send_json(&server, "PUT", "/api/v1/settings", "{\"max_queue_size\": 7}");
    expect(&put, 200);
    reply bad = send_json(&server, "PUT", "/api/v1/settings", "{\"max_queue_size\": 0, \"max_attempts\": 2}");
    expect(&bad, 400);
    reply unknown = send_json(&server, "PUT", "/api/v1/settings", "{\"max_queue\": 1}");
    expect(&unknown, 400);
    reply now = get(&server, "/api/v1/settings");
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(now.json, "settings"), i, o)
    {
        if (strcmp(text_of(o, "name"), "max_queue_size") == 0)
            assert_int_equal(json_integer_value(json_object_get(o, "value")), 7);
        if (strcmp(text_of(o, "name"), "max_attempts") == 0)
            assert_int_equal(json_integer_value(json_object_get(o, "value")), 3);
    }
    reply back = send_json(&server, "PUT", "/api/v1/settings", "{\"max_queue_size\": 1000}");
    expect(&back, 200);
    reply_done(&back);
    reply_done(&now);
    reply_done(&unknown);
    reply_done(&bad);
    reply_done(&put);
}

static void test_upload(void **state)
{
    char *png = NULL, body[512], id[64];
    size_t size = 0;
    (void)state;
    must(kn_file_read(FIXTURE("wan21-i2v/image.png"), 1 << 20, &png, &size, err));
    reply r = call(&server, "POST", "/api/v1/uploads", "Content-Type: image/png\r\n", png, size);
    expect(&r, 201);
    assert_int_equal(json_integer_value(json_object_get(r.json, "width")), 48);
    assert_int_equal(json_integer_value(json_object_get(r.json, "height")), 32);
    reply bytes = get(&server, text_of(r.json, "url"));
    expect(&bytes, 200);
    assert_int_equal(bytes.size, size);
    assert_memory_equal(bytes.body, png, size);
    snprintf(
        body, sizeof body,
        "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"image\": \"%s\", \"steps\": 1, \"frames\": 5}",
        text_of(r.json, "id"));
    submit(&server, body, id);
    json_t *job = wait_job(&server, id, "completed");
    assert_string_equal(text_of(json_object_get(job, "request"), "image"), text_of(r.json, "id"));
    reply bad = call(&server, "POST", "/api/v1/uploads", "Content-Type: image/png\r\n", "no picture", 10);
    assert_true(bad.status >= 400 && bad.status < 500);
    char folder[PATH_BYTES + 16];
    snprintf(folder, sizeof folder, "%s/uploads", server.data);
    assert_int_equal(count_files(folder, ""), 1);
    reply_done(&bad);
    json_decref(job);
    reply_done(&bytes);
    reply_done(&r);
    free(png);
}

static void test_one_server_a_folder(void **state)
{
    (void)state;
    check_fails(run("serve", "--port", "0", "--data-dir", server.data), kn_err_exit(KN_EBUSY),
                "another kinora serve");
}

static void test_bad_options(void **state)
{
    (void)state;
    check_fails(run("serve", "--port", "70000"), kn_err_exit(KN_EINVAL), "--port", "70000");
    check_fails(run("serve", "--port", "0", "--host", "0.0.0.0", "--data-dir", "elsewhere"),
                kn_err_exit(KN_EINVAL), "KINORA_TOKEN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),      cmocka_unit_test(test_job),
        cmocka_unit_test(test_same_frames), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_plan),
        cmocka_unit_test(test_models),      cmocka_unit_test(test_settings),
        cmocka_unit_test(test_upload),      cmocka_unit_test(test_one_server_a_folder),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
