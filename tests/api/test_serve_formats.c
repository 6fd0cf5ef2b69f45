/* Kinds of files that a job can be asked for. */
#define _GNU_SOURCE
#include "studio.h"

#include "jobs/queue_internal.h"

static const char *header(const reply *r, const char *name)
{
    static char value[256];
    const char *at = strcasestr(r->head, name);
    *value = '\0';
    if (at)
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r\n"), at);
    return value;
}

static void make(const studio *s, const char *more, char id[64])
{
    char request[512];
    snprintf(request, sizeof request,
             "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 64, \"height\": 32, \"frames\": 5, "
             "\"fps\": "
             "10%s}",
             more);
    submit(s, request, id);
    json_decref(wait_job(s, id, "completed"));
}

static reply get_of(const studio *s, const char *id, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s/%s", id, what);
    return get(s, path);
}

static void delete_job(const studio *s, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    reply r = call(s, "DELETE", path, "", NULL, 0);
    expect(&r, 200);
    reply_done(&r);
}

static int count_outputs(const studio *s)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/outputs", s->data);
    return count_files(path, "");
}

static void check_format(const studio *s, const char *format, const char *type, const char *magic, size_t at)
{
    char id[64], again[64], more[64], name[96];
    snprintf(more, sizeof more, ", \"format\": \"%s\"", format);
    make(s, *format ? more : "", id);
    snprintf(name, sizeof name, "filename=\"%s.%s\"", id, *format ? format : "mp4");
    json_t *job = job_now(s, id);
    assert_string_equal(text_of(job, "video_type"), type);
    json_decref(job);
    reply r = get_of(s, id, "video?download=1");
    expect(&r, 200);
    assert_non_null(strstr(header(&r, "Content-Type:"), type));
    assert_non_null(strstr(header(&r, "Content-Disposition:"), name));
    assert_true(r.size > at + strlen(magic));
    assert_memory_equal(r.body + at, magic, strlen(magic));
    reply_done(&r);
    r = get_of(s, id, "thumbnail");
    expect(&r, 200);
    reply_done(&r);
    r = act(s, id, "duplicate"); /* the same kind */
    expect(&r, 201);
    snprintf(again, sizeof again, "%s", text_of(r.json, "id"));
    reply_done(&r);
    job = wait_job(s, again, "completed");
    assert_string_equal(text_of(job, "video_type"), type);
    json_decref(job);
    assert_int_equal(count_outputs(s), 2);
    delete_job(s, id);
    delete_job(s, again);
    assert_int_equal(count_outputs(s), 0);
}

static void test_formats(void **state)
{
    (void)state;
    check_format(&server, "", "video/mp4", "ftyp", 4);
    check_format(&server, "mp4", "video/mp4", "ftyp", 4);
    check_format(&server, "webm", "video/webm", "\x1a\x45\xdf\xa3", 0);
    check_format(&server, "gif", "image/gif", "GIF89a", 0);
    check_format(&server, "webp", "image/webp", "WEBP", 8);
}

static void test_others(void **state)
{
    static const char *const bad[] = {"\"avi\"", "\"\"", "\"mp4|gif\"", "\"png\"", "7"};
    char request[256];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(request, sizeof request, "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"format\": %s}",
                 bad[i]);
        reply r = send_json(&server, "POST", "/api/v1/jobs", request);
        expect(&r, 400);
        assert_string_equal(text_of(json_object_get(r.json, "error"), "param"), "format");
        reply_done(&r);
    }
}

/* A folder of frames in place of a job's video: what is left where no encoder works. */
static void become_frames(const char *data, const char *id)
{
    char path[PATH_BYTES + 128], sql[PATH_BYTES + 256];
    kn_db *db = NULL;
    snprintf(path, sizeof path, "%s/outputs/%s.mp4", data, id);
    assert_int_equal(unlink(path), 0);
    check_runs(run("generate", "--model", "testsrc", "--prompt", "bars", "--width", "64", "--height", "32",
                   "--frames", "5", "-o", "frames/"));
    shell("mv frames '%s/outputs/%s_frames'", data, id);
    snprintf(path, sizeof path, "%s/studio.db", data);
    must(kn_db_open(path, &kn_queue_schema, &db, err));
    snprintf(sql, sizeof sql, "UPDATE jobs SET output = '%s/outputs/%s_frames'", data, id);
    must(kn_db_exec(db, sql, err));
    kn_db_close(db);
}

static void test_frames(void **state)
{
    char id[64], url[128];
    studio s;
    (void)state;
    make(&server, "", id);
    studio_stop(&server);
    become_frames(server.data, id);
    s = studio_start(server.data);
    json_t *job = job_now(&s, id);
    assert_string_equal(text_of(job, "video_type"), "application/zip");
    json_decref(job);
    static const char *const paths[] = {"/api/v1/jobs/%s/video", "/v1/videos/%s/content",
                                        "/api/videos/%s_frames"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *p = strchr(paths[i], '%');
        snprintf(url, sizeof url, "%.*s%s%s", (int)(p - paths[i]), paths[i], id, p + 2);
        reply r = get(&s, url);
        expect(&r, 200);
        assert_non_null(strstr(header(&r, "Content-Type:"), "application/zip"));
        assert_non_null(strstr(header(&r, "Content-Disposition:"), "_frames.zip"));
        assert_memory_equal(r.body, "PK\3\4", 4);
        assert_memory_equal(r.body + r.size - 22, "PK\5\6", 4);
        assert_int_equal(r.body[r.size - 12], 6); /* five frames and what they were made of */
        reply_done(&r);
    }
    delete_job(&s, id);
    assert_int_equal(count_outputs(&s), 0);
    server = s;
}

/* The command line has the output's name. */
static void test_command_line(void **state)
{
    (void)state;
    check_fails(run("generate", "--model", "testsrc", "--prompt", "bars", "--format", "webm", "-o", "x.mp4"),
                2, "--format", "x.mp4", "NAME.webm");
    check_runs(run("generate", "--model", "testsrc", "--prompt", "bars", "--width", "64", "--height", "32",
                   "--frames", "2", "--format", "gif", "-o", "x.gif"));
    assert_int_equal(unlink("x.gif"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests_name("api/serve_formats", tests, server_make, server_stop);
}
