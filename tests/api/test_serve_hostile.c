/* Requests that should not be: each is refused with the right status and a clear error, and the server lives on. */
#include "studio.h"

static void check_alive(const char *after)
{
    reply r = get(&server, "/api/health");
    if (r.status != 200)
        fail_msg("the server is gone after %s", after);
    reply_done(&r);
}

/* `statuses`: "400 413". */
static void check_refused(const reply *r, const char *statuses, const char *what)
{
    char status[8];
    const json_t *error = json_object_get(r->json, "error");
    snprintf(status, sizeof status, "%d", r->status);
    if (!strstr(statuses, status))
        fail_msg("%.200s: status %d, expected %s: %.300s", what, r->status, statuses, r->body ? r->body : "");
    if (!*text_of(error, "message") || strncmp(text_of(error, "code"), "KN_", 3))
        fail_msg("%.200s: no clear error: %.300s", what, r->body ? r->body : "");
    check_alive(what);
}

/* ---- bodies ---- */

static const char *const json_routes[][2] = {
    {"POST", "/api/v1/jobs"},
    {"POST", "/api/v1/plan"},
    {"PUT", "/api/v1/settings"},
    {"PATCH", "/api/v1/jobs/job_none"},
    {"POST", "/api/v1/prompt/enhance"},
    {"POST", "/api/v1/cleanup"},
    {"POST", "/v1/videos"},
    {"POST", "/v1/videos/job_none/remix"},
    {"POST", "/api/generate/text2video"},
    {"POST", "/api/tasks/cancel"},
    {"POST", "/api/outputs/delete"},
    {"PUT", "/api/settings"},
};

enum { N_JSON_ROUTES = sizeof json_routes / sizeof *json_routes };

static void test_bad_json(void **state)
{
    static const struct {
        const char *body;
        size_t size; /* 0: all of the text */
    } bodies[] = {
        {"{\"prompt\": \"x\"", 0},
        {"[]", 0},
        {"\"text\"", 0},
        {"{\"prompt\": \"x\", \"prompt\": \"y\"}", 0},
        {"{\"prompt\": \"\xff\xfe\"}", 0},
        {"{\"prompt\": \"a\\u0000b\"}", 0},
        {"{\"prompt\": \"x\"}\0garbage", 22},
        {"{\"no_such_field\": 1}", 0},
        {"{'prompt': 'x'}", 0},
        {"{\"prompt\": 1e999}", 0},
    };
    (void)state;
    for (int i = 0; i < N_JSON_ROUTES; i++)
        for (size_t k = 0; k < sizeof bodies / sizeof *bodies; k++) {
            size_t size = bodies[k].size ? bodies[k].size : strlen(bodies[k].body);
            char what[200];
            snprintf(what, sizeof what, "%s %s %s", json_routes[i][0], json_routes[i][1], bodies[k].body);
            reply r = call(&server, json_routes[i][0], json_routes[i][1],
                           "Content-Type: application/json\r\n", bodies[k].body, size);
            check_refused(&r, "400 404 422", what);
            reply_done(&r);
        }
}

static void test_deep_and_large(void **state)
{
    size_t n = 2 << 20;
    char *deep = malloc(200001), *large = malloc(n + 1);
    (void)state;
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    memset(large, ' ', n);
    large[n] = '\0';
    for (int i = 0; i < N_JSON_ROUTES; i++) {
        reply a = call(&server, json_routes[i][0], json_routes[i][1], "Content-Type: application/json\r\n",
                       deep, 200000);
        check_refused(&a, "400", "deep JSON");
        reply b = call(&server, json_routes[i][0], json_routes[i][1], "Content-Type: application/json\r\n",
                       large, n);
        check_refused(&b, "413", "large JSON");
        reply c =
            call(&server, json_routes[i][0], json_routes[i][1], "Content-Type: text/plain\r\n", "{}", 2);
        check_refused(&c, "415", "another type");
        reply_done(&c);
        reply_done(&b);
        reply_done(&a);
    }
    free(large);
    free(deep);
}

/* ---- paths and ids ---- */

static void test_bad_paths(void **state)
{
    static const char *const rows[][3] = {
        {"GET", "/api/v1/jobs/none", "404"},
        {"GET", "/api/v1/jobs/job_%2e%2e", "404 400"},
        {"GET", "/api/v1/jobs/..%2fstudio.db/video", "400 404"},
        {"GET", "/api/v1/jobs/%00/video", "400"},
        {"GET", "/api/v1/jobs/%ff/video", "400"},
        {"GET", "/api/v1/jobs/%c0%ae/video", "400"},
        {"GET", "/api/v1/jobs/%zz", "400"},
        {"GET", "/api/v1/jobs/none/thumbnail", "404"},
        {"GET", "/api/v1/jobs/none/preview", "404"},
        {"GET", "/api/v1/uploads/upl_none.png", "404"},
        {"GET", "/api/v1/uploads/..%2fstudio.db", "400 404"},
        {"GET", "/api/v1/uploads/studio.db", "404"},
        {"GET", "/api/v1/uploads/.%2e", "400 404"},
        {"GET", "/api/videos/studio.db", "404"},
        {"GET", "/api/videos/..%2fstudio.db", "400 404"},
        {"GET", "/api/videos/%2e%2e", "400 404"},
        {"GET", "/../../etc/passwd", "400 404"},
        {"GET", "/..%2f..%2fetc%2fpasswd", "400 404"},
        {"GET", "/no/such/path", "404"},
        {"GET", "/api/v1/jobs?limit=0", "400"},
        {"GET", "/api/v1/jobs?limit=1e3", "400"},
        {"GET", "/api/v1/jobs?limit=99999999999999999999", "400"},
        {"GET", "/api/v1/jobs?limit=5&limit=6", "400"},
        {"GET", "/api/v1/jobs?state=unknown", "400"},
        {"GET", "/api/v1/jobs?state=queued,unknown", "400"},
        {"GET", "/api/v1/jobs?order=up", "400"},
        {"GET", "/api/v1/jobs?nothing=1", "400"},
        {"GET", "/api/v1/jobs?before=..", "400 404"},
        {"GET", "/api/v1/jobs?text=%ff", "400"},
        {"GET", "/api/v1/events?last_event_id=-1", "400"},
        {"GET", "/api/v1/events?last_event_id=x", "400"},
        {"GET", "/v1/videos?limit=101", "400"},
        {"GET", "/v1/videos?order=none", "400"},
        {"GET", "/v1/videos/none/content?variant=spritesheet", "400"},
        {"GET", "/v1/videos/none", "404"},
        {"DELETE", "/v1/videos/none", "404"},
        {"DELETE", "/api/v1/jobs/none", "404"},
        {"GET", "/api/tasks/none", "404"},
        {"GET", "/api/tasks?status=done", "400"},
        {"GET", "/api/logs/recent?lines=1", "400"},
        {"GET", "/api/video/models?task=x", "400"},
        {"GET", "/ws/progress", "400 426"},
        {"POST", "/api/health", "405"},
        {"DELETE", "/api/v1/jobs", "405"},
        {"PUT", "/api/v1/jobs", "405"},
        {"GET", "/api/v1/plan", "405"},
        {"POST", "/api/v1/uploads", "400 411"},
        {"POST", "/api/generate/image2video", "400 411 415"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply r = call(&server, rows[i][0], rows[i][1], "", NULL, 0);
        check_refused(&r, rows[i][2], rows[i][1]);
        reply_done(&r);
    }
}

/* ---- where requests come from ---- */

static reply from(const char *method, const char *path, const char *host, const char *origin)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\n%s%s%s%s%s%sConnection: close\r\nContent-Type: "
                     "application/json\r\nContent-Length: "
                     "2\r\n\r\n{}",
                     method, path, host ? "Host: " : "", host ? host : "", host ? "\r\n" : "",
                     origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
    return talk(server.port, text, (size_t)n);
}

static void test_elsewhere(void **state)
{
    char own[64], own_origin[80];
    static const char *const hosts[] = {
        "evil.example", "evil.example:80",    "127.0.0.1.evil.example", "", "localhost.evil:1",
        "[::1",         "127.0.0.1:99999999", "169.254.169.254"};
    static const char *const origins[] = {
        "http://evil.example", "null",    "http://localhost.evil",        "https://127.0.0.1",
        "http://127.0.0.1:1",  "file://", "http://127.0.0.1@evil.example"};
    (void)state;
    snprintf(own, sizeof own, "127.0.0.1:%d", server.port);
    snprintf(own_origin, sizeof own_origin, "http://%s", own);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        reply r = from("POST", "/api/v1/cleanup", hosts[i], NULL);
        check_refused(&r, "400 403 421", hosts[i]);
        reply_done(&r);
    }
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        reply r = from("POST", "/api/v1/cleanup", own, origins[i]);
        check_refused(&r, "403", origins[i]);
        reply_done(&r);
    }
    reply good = from("POST", "/api/v1/cleanup", own, own_origin);
    expect(&good, 200);
    reply_done(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_json), cmocka_unit_test(test_deep_and_large),
                                       cmocka_unit_test(test_bad_paths), cmocka_unit_test(test_elsewhere)};
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
