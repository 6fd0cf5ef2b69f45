/* Clients that were written for other servers: OpenAI's video API, and VideoGen's. */
#include "studio.h"

/* A form of text fields and, if `file` is given, one PNG. */
static reply send_form(const char *path, const char *const fields[][2], const char *file, const char *png,
                       size_t size)
{
    kn_buf b;
    kn_buf_init(&b, 4 << 20);
    for (; (*fields)[0]; fields++)
        kn_buf_printf(&b, "--xyz\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", (*fields)[0],
                      (*fields)[1]);
    if (file) {
        kn_buf_printf(&b,
                      "--xyz\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"a.png\"\r\n"
                      "Content-Type: image/png\r\n\r\n",
                      file);
        kn_buf_append(&b, png, size);
        kn_buf_puts(&b, "\r\n");
    }
    kn_buf_puts(&b, "--xyz--\r\n");
    reply r =
        call(&server, "POST", path, "Content-Type: multipart/form-data; boundary=xyz\r\n", b.data, b.size);
    kn_buf_done(&b);
    return r;
}

/* ---- OpenAI ---- */

static json_t *wait_video(const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/videos/%s", id);
    for (int i = 0; i < 6000; i++) {
        reply r = get(&server, path);
        expect(&r, 200);
        assert_non_null(strstr(r.head, "openai-poll-after-ms"));
        json_t *video = json_incref(r.json);
        reply_done(&r);
        if (is_one_of(text_of(video, "status"), "completed failed"))
            return video;
        assert_true(json_integer_value(json_object_get(video, "progress")) < 100);
        json_decref(video);
        usleep(20000);
    }
    fail_msg("%s did not end", id);
    return NULL;
}

static void test_openai_json(void **state)
{
    char path[128], remix[64];
    (void)state;
    reply made = send_json(
        &server, "POST", "/v1/videos",
        "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"size\": \"64x64\", \"seconds\": \"1\", "
        "\"num_inference_steps\": 2, \"seed\": 5}");
    expect(&made, 200);
    assert_string_equal(text_of(made.json, "object"), "video");
    assert_string_equal(text_of(made.json, "size"), "64x64");
    json_t *video = wait_video(text_of(made.json, "id"));
    assert_string_equal(text_of(video, "status"), "completed");
    assert_int_equal(json_integer_value(json_object_get(video, "progress")), 100);
    assert_true(json_is_integer(json_object_get(video, "completed_at")));
    assert_true(json_is_null(json_object_get(video, "error")));
    json_t *job = job_now(&server, text_of(made.json, "id")),
           *request = json_object_get(json_object_get(job, "result"), "request");
    assert_int_equal(json_integer_value(json_object_get(request, "steps")), 2);
    assert_int_equal(json_integer_value(json_object_get(request, "frames")),
                     13); /* 12 a second, as 4 n + 1 */

    snprintf(path, sizeof path, "/v1/videos/%s/content", text_of(made.json, "id"));
    reply content = get(&server, path);
    expect(&content, 200);
    assert_memory_equal(content.body + 4, "ftyp", 4);
    snprintf(path, sizeof path, "/v1/videos/%s/content?variant=thumbnail", text_of(made.json, "id"));
    reply thumbnail = get(&server, path);
    expect(&thumbnail, 200);
    assert_memory_equal(thumbnail.body + 1, "PNG", 3);

    snprintf(path, sizeof path, "/v1/videos/%s/remix", text_of(made.json, "id"));
    reply again = send_json(&server, "POST", path, "{\"prompt\": \"a blue ball\"}");
    expect(&again, 200);
    assert_string_equal(text_of(again.json, "remixed_from_video_id"), text_of(made.json, "id"));
    snprintf(remix, sizeof remix, "%s", text_of(again.json, "id"));
    json_decref(wait_video(remix));

    reply all = get(&server, "/v1/videos?limit=1&order=asc");
    expect(&all, 200);
    assert_string_equal(text_of(all.json, "first_id"), text_of(made.json, "id"));
    assert_true(json_is_true(json_object_get(all.json, "has_more")));
    snprintf(path, sizeof path, "/v1/videos?order=asc&after=%s", text_of(made.json, "id"));
    reply rest = get(&server, path);
    expect(&rest, 200);
    assert_string_equal(text_of(json_array_get(json_object_get(rest.json, "data"), 0), "id"), remix);

    snprintf(path, sizeof path, "/v1/videos/%s", remix);
    reply gone = call(&server, "DELETE", path, "", NULL, 0);
    expect(&gone, 200);
    assert_true(json_is_true(json_object_get(gone.json, "deleted")));
    reply missing = get(&server, path);
    expect(&missing, 404);
    reply *const replies[] = {&made, &content, &thumbnail, &again, &all, &rest, &gone, &missing};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
        reply_done(replies[i]);
    json_decref(job);
    json_decref(video);
}

/* As OpenAI's own libraries send it. */
static void test_openai_form(void **state)
{
    static const char *const fields[][2] = {{"prompt", "a red ball"},
                                            {"model", "demo"},
                                            {"num_frames", "5"},
                                            {"num_inference_steps", "1"},
                                            {NULL, NULL}};
    char *png = NULL;
    size_t size = 0;
    (void)state;
    must(kn_file_read(FIXTURE("wan21-i2v/image.png"), 1 << 20, &png, &size, err));
    reply r = send_form("/v1/videos", fields, "input_reference", png, size);
    expect(&r, 200);
    json_t *video = wait_video(text_of(r.json, "id")), *job = job_now(&server, text_of(r.json, "id"));
    assert_string_equal(text_of(video, "status"), "completed");
    assert_memory_equal(text_of(json_object_get(job, "request"), "image"), "upl_", 4);
    json_decref(job);
    json_decref(video);
    reply_done(&r);
    free(png);
}

/* Deleting a video that is being made stops it. */
static void test_openai_delete_running(void **state)
{
    char path[128], id[64];
    (void)state;
    reply r = send_json(&server, "POST", "/v1/videos",
                        "{\"prompt\": \"a red ball\", \"num_inference_steps\": 500}");
    expect(&r, 200);
    snprintf(id, sizeof id, "%s", text_of(r.json, "id"));
    json_decref(wait_job(&server, id, "sampling"));
    snprintf(path, sizeof path, "/v1/videos/%s", id);
    reply gone = call(&server, "DELETE", path, "", NULL, 0);
    expect(&gone, 200);
    reply queue = get(&server, "/api/v1/queue");
    assert_int_equal(json_array_size(json_object_get(queue.json, "jobs")), 0);
    reply_done(&queue);
    reply_done(&gone);
    reply_done(&r);
}

static void test_openai_refused(void **state)
{
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{\"model\": \"demo\"}", "prompt"},
        {"{\"prompt\": \"x\", \"size\": \"big\"}", "size"},
        {"{\"prompt\": \"x\", \"size\": \"64x64x\"}", "size"},
        {"{\"prompt\": \"x\", \"seconds\": \"0\"}", "seconds"},
        {"{\"prompt\": \"x\", \"seconds\": \"long\"}", "seconds"},
        {"{\"prompt\": \"x\", \"seconds\": 1e9}", "seconds"},
        {"{\"prompt\": \"x\", \"num_inference_steps\": \"many\"}", "steps"},
        {"{\"prompt\": \"x\", \"colour\": \"red\"}", "colour"},
        {"{\"prompt\": \"x\", \"input_reference\": \"x\"}", "input_reference"},
        {"{\"prompt\": \"x\", \"input_reference\": {\"image_url\": \"http://127.0.0.1/x.png\"}}",
         "input_reference"},
        {"{\"prompt\": \"x\", \"input_reference\": {\"image_url\": \"data:image/png;base64,AAAA\"}}",
         "input_reference"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply r = send_json(&server, "POST", "/v1/videos", rows[i].body);
        if (r.status < 400 || r.status >= 600 ||
            strcmp(text_of(json_object_get(r.json, "error"), "param"), rows[i].param))
            fail_msg("%s: %d %s", rows[i].body, r.status, r.body);
        reply_done(&r);
    }
}

/* ---- VideoGen ---- */

static json_t *wait_task(const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/tasks/%s", id);
    for (int i = 0; i < 6000; i++) {
        reply r = get(&server, path);
        expect(&r, 200);
        json_t *task = json_incref(r.json);
        reply_done(&r);
        if (is_one_of(text_of(task, "status"), "completed error cancelled"))
            return task;
        json_decref(task);
        usleep(20000);
    }
    fail_msg("%s did not end", id);
    return NULL;
}

static void test_videogen(void **state)
{
    static const char *const fields[][2] = {{"prompt", "a red ball"},
                                            {"model_id", "demo"},
                                            {"duration_seconds", "0.5"},
                                            {"num_inference_steps", "1"},
                                            {NULL, NULL}};
    char *png = NULL, path[256];
    size_t size = 0;
    (void)state;
    reply made = send_json(
        &server, "POST", "/api/generate/text2video",
        "{\"prompt\": \"bars\", \"model_id\": \"testsrc\", \"num_frames\": 4, \"backend\": \"cpu\"}");
    expect(&made, 200);
    json_t *task = wait_task(text_of(made.json, "task_id"));
    assert_string_equal(text_of(task, "status"), "completed");
    assert_string_equal(text_of(task, "task_type"), "text2video");
    assert_string_equal(text_of(json_object_get(task, "result"), "backend"), "cpu");
    const char *file = text_of(json_object_get(task, "result"), "video_file");
    snprintf(path, sizeof path, "/api/videos/%s", file);
    reply video = get(&server, path);
    expect(&video, 200);
    assert_memory_equal(video.body + 4, "ftyp", 4);

    must(kn_file_read(FIXTURE("wan21-i2v/image.png"), 1 << 20, &png, &size, err));
    reply second = send_form("/api/generate/image2video", fields, "image", png, size);
    expect(&second, 200);
    json_t *other = wait_task(text_of(second.json, "task_id"));
    assert_string_equal(text_of(other, "status"), "completed");
    reply tasks = get(&server, "/api/tasks?task_type=image2video&status=completed");
    expect(&tasks, 200);
    assert_string_equal(text_of(json_array_get(json_object_get(tasks.json, "tasks"), 0), "id"),
                        text_of(second.json, "task_id"));
    reply outputs = get(&server, "/api/outputs");
    expect(&outputs, 200);
    snprintf(path, sizeof path, "{\"file_name\": \"%s\"}", file);
    reply gone = send_json(&server, "POST", "/api/outputs/delete", path);
    expect(&gone, 200);
    reply escape = send_json(&server, "POST", "/api/outputs/delete", "{\"file_name\": \"../studio.db\"}");
    expect(&escape, 404);
    reply *const replies[] = {&made, &video, &second, &tasks, &outputs, &gone, &escape};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
        reply_done(replies[i]);
    json_decref(other);
    json_decref(task);
    free(png);
}

static void test_videogen_refused(void **state)
{
    (void)state;
    reply r = send_json(&server, "POST", "/api/generate/text2video",
                        "{\"prompt\": \"bars\", \"model_id\": \"testsrc\", \"backend\": \"abacus\"}");
    expect(&r, 400);
    assert_non_null(strstr(r.body, "abacus"));
    assert_non_null(strstr(r.body, "auto|cpu|cuda"));
    reply_done(&r);
}

static void test_videogen_cancel(void **state)
{
    char body[128];
    (void)state;
    reply made = send_json(&server, "POST", "/api/generate/text2video",
                           "{\"prompt\": \"a red ball\", \"num_inference_steps\": 500}");
    expect(&made, 200);
    json_decref(wait_job(&server, text_of(made.json, "task_id"), "sampling"));
    snprintf(body, sizeof body, "{\"task_id\": \"%s\"}", text_of(made.json, "task_id"));
    reply r = send_json(&server, "POST", "/api/tasks/cancel", body);
    expect(&r, 200);
    assert_true(json_is_true(json_object_get(json_object_get(r.json, "task"), "cancel_requested")));
    json_t *task = wait_task(text_of(made.json, "task_id"));
    assert_string_equal(text_of(task, "status"), "cancelled");
    json_decref(task);
    reply_done(&r);
    reply_done(&made);
}

static void test_videogen_runtime(void **state)
{
    (void)state;
    reply runtime = get(&server, "/api/video/runtime");
    expect(&runtime, 200);
    assert_true(json_is_object(json_object_get(runtime.json, "hardware_profile")));
    assert_true(json_is_array(json_object_get(json_object_get(runtime.json, "load_policy"), "warnings")));
    reply models = get(&server, "/api/video/models?task=image-to-video");
    expect(&models, 200);
    const json_t *demo = json_array_get(json_object_get(models.json, "models"), 0);
    assert_string_equal(text_of(demo, "id"), "demo");
    assert_string_equal(text_of(demo, "effective_support_level"), "ready");
    assert_true(json_is_true(json_object_get(json_object_get(demo, "task_support"), "image-to-video")));
    reply settings =
        send_json(&server, "PUT", "/api/settings", "{\"storage\": {\"cleanup_max_age_days\": 30}}");
    expect(&settings, 200);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(settings.json, "storage"), "cleanup_max_age_days")),
                     30);
    reply bad = send_json(&server, "PUT", "/api/settings", "{\"storage\": {\"cleanup_max_age_days\": 0}}");
    expect(&bad, 400);
    reply logs = get(&server, "/api/logs/recent?lines=10");
    expect(&logs, 200);
    assert_true(json_is_array(json_object_get(logs.json, "lines")));
    reply *const replies[] = {&runtime, &models, &settings, &bad, &logs};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
        reply_done(replies[i]);
}

/* ---- programs that look on ---- */

static void test_meta(void **state)
{
    (void)state;
    reply doc = get(&server, "/openapi.json");
    expect(&doc, 200);
    const json_t *paths = json_object_get(doc.json, "paths");
    assert_true(json_is_object(json_object_get(json_object_get(paths, "/api/v1/jobs/{id}"), "delete")));
    assert_true(json_is_object(json_object_get(json_object_get(paths, "/v1/videos"), "post")));
    reply metrics = get(&server, "/metrics");
    expect(&metrics, 200);
    assert_non_null(strstr(metrics.body, "kinora_jobs{state=\"completed\"}"));
    assert_non_null(strstr(metrics.body, "\nkinora_workers 1\n"));
    reply_done(&metrics);
    reply_done(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_json),
        cmocka_unit_test(test_openai_form),
        cmocka_unit_test(test_openai_delete_running),
        cmocka_unit_test(test_openai_refused),
        cmocka_unit_test(test_videogen),
        cmocka_unit_test(test_videogen_refused),
        cmocka_unit_test(test_videogen_cancel),
        cmocka_unit_test(test_videogen_runtime),
        cmocka_unit_test(test_meta),
    };
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
