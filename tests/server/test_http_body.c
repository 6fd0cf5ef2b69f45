/* Bodies: JSON, forms and files, whole and cut off, and that nothing stays in the upload folder. */
#define _GNU_SOURCE
#include "small_server.h"
#include "base/limits.h"
#include "server/part_file.h"

static const char type_json[] = "application/json";
static const char type_form[] = "multipart/form-data; boundary=B";

static void assert_answer(small_server *s, const char *path, const char *type, const char *body, int status,
                          const char *expected)
{
    answer a = ask_with_body(s->port, "POST", path, type, body, strlen(body));
    if (a.status != status || (expected && strcmp(a.body, expected) != 0))
        fail_msg("%s %s: %d %s", path, body, a.status, a.body);
    answer_done(&a);
    server_wait_n_files(s, 0);
}

static void test_json(void **state)
{
    small_server *s = *state;
    assert_answer(s, "/json", type_json, "{\"a\": [1, {\"b\": null}]}", 201,
                  "{\"json\":{\"a\":[1,{\"b\":null}]},\"files\":[]}");
    assert_answer(s, "/json", "application/json; charset=utf-8", "{}", 201, "{\"json\":{},\"files\":[]}");
    assert_answer(s, "/form", type_json, "{\"seed\":9007199254740993}", 201,
                  "{\"json\":{\"seed\":9007199254740993},\"files\":[]}");
}

static void test_json_too_deep(void **state)
{
    small_server *s = *state;
    char body[400] = "{\"a\":";
    memset(body + 5, '[', 100);
    memset(body + 105, ']', 100);
    strcpy(body + 205, "}");
    assert_answer(s, "/json", type_json, body, 400, NULL);
}

static void test_largest_json(void **state)
{
    small_server *s = *state;
    char *body = malloc(KN_LIMIT_BODY_BYTES + 1);
    assert_non_null(body);
    memset(body, ' ', KN_LIMIT_BODY_BYTES + 1);
    memcpy(body, "{}", 2);
    answer a = ask_with_body(s->port, "POST", "/json", type_json, body, KN_LIMIT_BODY_BYTES);
    assert_int_equal(a.status, 201);
    answer_done(&a);
    /* Its client sends all of it before it reads, and reads why. */
    a = ask_with_body(s->port, "POST", "/json", type_json, body, KN_LIMIT_BODY_BYTES + 1);
    assert_int_equal(a.status, 413);
    answer_done(&a);
    free(body);
}

static void test_chunked(void **state)
{
    small_server *s = *state;
    answer a = ask(s->port,
                   "POST /json HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n",
                   s->port);
    assert_int_equal(a.status, 201);
    assert_string_equal(a.body, "{\"json\":{\"a\":1},\"files\":[]}");
    answer_done(&a);
}

/* Without a length what is too much is only seen when it is there. */
static void test_chunked_too_large(void **state)
{
    small_server *s = *state;
    char head[256];
    int fd = dial(s->port);
    snprintf(head, sizeof head,
             "POST /json HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
             "Transfer-Encoding: chunked\r\n\r\n",
             s->port);
    put_text(fd, head);
    char *chunk = malloc(65536 + 16);
    assert_non_null(chunk);
    size_t n = (size_t)snprintf(chunk, 16, "10000\r\n");
    memset(chunk + n, ' ', 65536);
    memcpy(chunk + n + 65536, "\r\n", 2);
    n += 65536 + 2;
    for (int i = 0; i < 17; i++)
        assert_true(put(fd, chunk, n));
    put_text(fd, "0\r\n\r\n");
    free(chunk);
    answer a;
    assert_true(get_answer(fd, &a, true));
    assert_int_equal(a.status, 413);
    answer_done(&a);
    close(fd);
}

static void test_expect_continue(void **state)
{
    small_server *s = *state;
    char head[256], line[256];
    int fd = dial(s->port);
    snprintf(head, sizeof head,
             "POST /json HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
             "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
             s->port);
    put_text(fd, head);
    assert_true(get_line(fd, line, sizeof line));
    assert_string_equal(line, "HTTP/1.1 100 Continue");
    assert_true(get_line(fd, line, sizeof line));
    put_text(fd, "{}");
    answer a;
    assert_true(get_answer(fd, &a, true));
    assert_int_equal(a.status, 201);
    answer_done(&a);
    close(fd);
}

static void test_urlencoded(void **state)
{
    small_server *s = *state;
    assert_answer(s, "/form", "application/x-www-form-urlencoded", "a=1+2&b=%C3%A9&c", 201,
                  "{\"json\":{\"a\":\"1 2\",\"b\":\"\xc3\xa9\",\"c\":\"\"},\"files\":[]}");
}

static void test_raw(void **state)
{
    small_server *s = *state;
    assert_answer(
        s, "/raw", "image/png", "PNG bytes", 201,
        "{\"json\":null,\"files\":[{\"name\":\"\",\"filename\":\"\",\"type\":\"image/png\",\"size\":9,"
        "\"mode\":384,\"text\":\"PNG bytes\"}]}");
    assert_answer(
        s, "/raw", type_form,
        "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n1\r\n--B--", 201,
        "{\"json\":{},\"files\":[{\"name\":\"f\",\"filename\":\"x\",\"type\":\"\",\"size\":1,\"mode\":384,"
        "\"text\":\"1\"}]}");
    answer a = ask_with_body(s->port, "POST", "/keep", "image/png", "kept", 4);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    char path[128], *data;
    size_t size;
    snprintf(path, sizeof path, "%s/kept", s->dir);
    assert_int_equal(kn_file_read(path, 100, &data, &size, NULL), 0);
    assert_string_equal(data, "kept");
    free(data);
    unlink(path);
    server_wait_n_files(s, 0);
}

#define CD "Content-Disposition: form-data; "

static void test_form(void **state)
{
    small_server *s = *state;
    assert_answer(
        s, "/form", type_form,
        "--B\r\n" CD "name=\"prompt\"\r\n\r\na \xc3\xa9\r\n--B\r\n" CD
        "name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n--B-\r\n--B\r\n" CD
        "name=\"image\"; filename=\"b.png\"\r\n\r\n22\r\n--B\r\n" CD
        "name=\"none\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n",
        201,
        "{\"json\":{\"prompt\":\"a "
        "\xc3\xa9\"},\"files\":[{\"name\":\"image\",\"filename\":\"a.png\",\"type\":"
        "\"image/png\",\"size\":4,\"mode\":384,\"text\":\"--B-\"},{\"name\":\"image\",\"filename\":"
        "\"b.png\",\"type\":\"\",\"size\":2,\"mode\":384,\"text\":\"22\"}]}");
}

static void test_bad_forms(void **state)
{
    small_server *s = *state;
    static const char *const bodies[] = {
        "--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B\r\n" CD "name=\"a\"\r\n\r\n2\r\n--B--",
        "--B\r\n" CD "name=\"a\"\r\n\r\n\xff\r\n--B--",
        "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\ncut of",
        "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\n1\r\n--B",
        "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\n1\r\n--B\r\n" CD "nothing\r\n\r\n2\r\n--B--",
        "--A\r\n" CD "name=\"a\"\r\n\r\n1\r\n--A--",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_answer(s, "/form", type_form, bodies[i], 400, NULL);
}

static void test_form_text_too_large(void **state)
{
    small_server *s = *state;
    kn_buf b;
    kn_buf_init(&b, 4 << 20);
    kn_buf_puts(&b, "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\n1\r\n--B\r\n" CD "name=\"a\"\r\n\r\n");
    for (size_t i = 0; i <= KN_LIMIT_BODY_BYTES; i += 64)
        kn_buf_puts(&b, "0123456789012345678901234567890123456789012345678901234567890123");
    kn_buf_puts(&b, "\r\n--B--");
    answer a = ask_with_body(s->port, "POST", "/form", type_form, b.data, b.size);
    assert_int_equal(a.status, 413);
    answer_done(&a);
    kn_buf_done(&b);
    server_wait_n_files(s, 0);
}

static void test_too_many_parts(void **state)
{
    small_server *s = *state;
    kn_buf b;
    kn_buf_init(&b, 1 << 20);
    for (int i = 0; i <= KN_LIMIT_FORM_PARTS; i++)
        kn_buf_printf(&b, "%s--B\r\n" CD "name=\"f%d\"; filename=\"x\"\r\n\r\n1", i ? "\r\n" : "", i);
    kn_buf_puts(&b, "\r\n--B--");
    answer a = ask_with_body(s->port, "POST", "/form", type_form, b.data, b.size);
    assert_int_equal(a.status, 413);
    answer_done(&a);
    kn_buf_done(&b);
    server_wait_n_files(s, 0);
}

/* The client goes away at any moment. */
static void test_cut_off(void **state)
{
    small_server *s = *state;
    static const char *const bodies[] = {
        "",
        "--B\r\n" CD,
        "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\n",
        "--B\r\n" CD "name=\"f\"; filename=\"x\"\r\n\r\nhalf of\r\n--B\r\n" CD "name=\"t\"\r\n\r\nhalf",
    };
    for (size_t i = 0; i < 2 * sizeof bodies / sizeof *bodies; i++) {
        const char *body = bodies[i / 2];
        char head[256];
        int fd = dial(s->port);
        snprintf(
            head, sizeof head,
            "POST /%s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n",
            i % 2 ? "raw" : "form", s->port, i % 2 ? "image/png" : type_form);
        put_text(fd, head);
        put_text(fd, body);
        if (i >= 4)
            server_wait_n_files(s, 1);
        close(fd);
        server_wait_n_files(s, 0);
    }
    assert_alive(s);
}

static void test_large_upload(void **state)
{
    small_server *s = *state;
    enum { SIZE = 6 << 20 };
    char *data = malloc(SIZE);
    assert_non_null(data);
    memset(data, '\r', SIZE);
    answer a = ask_with_body(s->port, "POST", "/raw", "video/mp4", data, SIZE);
    assert_int_equal(a.status, 201);
    assert_non_null(strstr(a.body, "\"size\":6291456"));
    answer_done(&a);
    free(data);
    server_wait_n_files(s, 0);
}

/* ---- files themselves ---- */

static void test_no_room(void **state)
{
    small_server *s = *state;
    kn_part_file f = {.fd = -1};
    kn_err err = {0};
    bool is_full = false;
    assert_int_equal(kn_part_file_open(&f, s->dir, UINT64_MAX, &err), KN_ELIMIT);
    assert_non_null(strstr(err.msg, "no space is left"));
    assert_int_equal(server_n_files(s), 0);
    assert_int_equal(kn_part_file_open(&f, s->dir, 0, &err), 0);
    int fd = f.fd;
    f.fd = open("/dev/full", O_WRONLY);
    assert_true(f.fd >= 0);
    assert_int_equal(kn_part_file_write(&f, "x", 1, &is_full, &err), KN_ELIMIT);
    assert_true(is_full);
    close(fd);
    f.size = KN_LIMIT_UPLOAD_BYTES;
    is_full = false;
    assert_int_equal(kn_part_file_write(&f, "x", 1, &is_full, &err), KN_ELIMIT);
    assert_false(is_full);
    kn_part_file_done(&f);
    assert_int_equal(server_n_files(s), 0);
}

static void test_sweep(void **state)
{
    small_server *s = *state;
    static const char *const names[] = {"incoming-abc123.part", "incoming-new456.part", "upl_x.png"};
    struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        fclose(fopen(path, "w"));
        if (i != 1)
            utimensat(AT_FDCWD, path, old, 0);
    }
    kn_part_file_sweep(s->dir);
    assert_int_equal(server_n_files(s), 2);
    for (int i = 1; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_too_deep),
        cmocka_unit_test(test_largest_json),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_too_large),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_urlencoded),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_bad_forms),
        cmocka_unit_test(test_form_text_too_large),
        cmocka_unit_test(test_too_many_parts),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_large_upload),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_sweep),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
