/* Files: ranges, conditions, names of downloads. The file has 20 bytes. */
#define _GNU_SOURCE
#include "small_server.h"

static void assert_part(small_server *s, const char *headers, int status, const char *body, const char *range)
{
    answer a = ask_for(s->port, "/file", headers);
    if (a.status != status)
        fail_msg("%s: %d, expected %d", headers, a.status, status);
    const char *found = header(&a, "Content-Range");
    if (range)
        assert_string_equal(found, range);
    else
        assert_null(found);
    if (body)
        assert_string_equal(a.body, body);
    answer_done(&a);
}

static void test_ranges(void **state)
{
    small_server *s = *state;
    const char *all = "0123456789abcdefghij";
    assert_part(s, "", 200, all, NULL);
    assert_part(s, "Range: bytes=0-4\r\n", 206, "01234", "bytes 0-4/20");
    assert_part(s, "Range: bytes=15-\r\n", 206, "fghij", "bytes 15-19/20");
    assert_part(s, "Range: bytes=-3\r\n", 206, "hij", "bytes 17-19/20");
    assert_part(s, "Range: bytes=0-\r\n", 206, all, "bytes 0-19/20");
    assert_part(s, "Range: bytes=5-999\r\n", 206, "56789abcdefghij", "bytes 5-19/20");
    assert_part(s, "Range: bytes=20-\r\n", 416, NULL, "bytes */20");
    assert_part(s, "Range: bytes=-0\r\n", 416, NULL, "bytes */20");
    assert_part(s, "Range: bytes=0-1,3-4\r\n", 200, all, NULL);
    assert_part(s, "Range: lines=0-1\r\n", 200, all, NULL);
    assert_part(s, "Range: bytes=9-1\r\n", 200, all, NULL);
}

static void test_unsatisfiable_is_an_error(void **state)
{
    small_server *s = *state;
    answer a = ask_for(s->port, "/file", "Range: bytes=99-\r\n");
    assert_int_equal(a.status, 416);
    assert_string_equal(header(&a, "Content-Type"), "application/json");
    assert_non_null(strstr(a.body, "Range: \\\"bytes=99-\\\", expected bytes of a file that has 20"));
    answer_done(&a);
}

static void test_conditions(void **state)
{
    small_server *s = *state;
    char etag[256], headers[1024];
    answer a = ask_for(s->port, "/file", "");
    assert_string_equal(header(&a, "Accept-Ranges"), "bytes");
    assert_string_equal(header(&a, "Content-Type"), "video/mp4");
    snprintf(etag, sizeof etag, "%s", header(&a, "ETag"));
    assert_true(etag[0] == '"' && strlen(etag) > 4);
    answer_done(&a);
    snprintf(headers, sizeof headers, "If-None-Match: %s\r\n", etag);
    assert_part(s, headers, 304, NULL, NULL);
    snprintf(headers, sizeof headers, "If-None-Match: \"x\", W/%s\r\n", etag);
    assert_part(s, headers, 304, NULL, NULL);
    snprintf(headers, sizeof headers, "If-None-Match: %s\r\nRange: bytes=0-1\r\n", etag);
    assert_part(s, headers, 304, NULL, NULL);
    assert_part(s, "If-None-Match: \"x\"\r\n", 200, NULL, NULL);
    snprintf(headers, sizeof headers, "If-Range: %s\r\nRange: bytes=0-1\r\n", etag);
    assert_part(s, headers, 206, "01", "bytes 0-1/20");
    snprintf(headers, sizeof headers, "If-Range: W/%s\r\nRange: bytes=0-1\r\n", etag);
    assert_part(s, headers, 200, NULL, NULL);
    assert_part(s, "If-Range: \"x\"\r\nRange: bytes=99-\r\n", 200, NULL, NULL);
    assert_part(s, "If-Range: Sat, 29 Oct 1994 19:43:31 GMT\r\nRange: bytes=0-1\r\n", 200, NULL, NULL);
}

static void test_changed_file_has_another_tag(void **state)
{
    small_server *s = *state;
    char etag[256];
    answer a = ask_for(s->port, "/file", "");
    snprintf(etag, sizeof etag, "%s", header(&a, "ETag"));
    answer_done(&a);
    nap_ms(20); /* file systems keep times to a few milliseconds */
    FILE *f = fopen(s->file, "r+");
    assert_non_null(f);
    fputs("X", f);
    fclose(f);
    a = ask_for(s->port, "/file", "");
    assert_string_not_equal(header(&a, "ETag"), etag);
    answer_done(&a);
    f = fopen(s->file, "r+");
    fputs("0", f);
    fclose(f);
}

static void test_head(void **state)
{
    small_server *s = *state;
    answer a = ask(s->port, "HEAD /file HTTP/1.1\r\nHost: localhost:%d\r\nRange: bytes=0-1\r\n\r\n", s->port);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Length"), "20");
    answer_done(&a);
}

static void test_download(void **state)
{
    small_server *s = *state;
    answer a = ask_for(s->port, "/file", "");
    assert_null(header(&a, "Content-Disposition"));
    answer_done(&a);
    a = ask_for(s->port, "/file?download=a%22b%0d%0aX:%20%C3%A9.mp4", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Disposition"), "attachment; filename=\"a_b__X_ __.mp4\"; "
                                                           "filename*=UTF-8''a%22b%0D%0AX%3A%20%C3%A9.mp4");
    answer_done(&a);
}

static void test_missing_and_empty(void **state)
{
    small_server *s = *state;
    answer a = ask_for(s->port, "/missing", "");
    assert_int_equal(a.status, 404);
    assert_null(strstr(a.body, "nowhere")); /* the path is nobody's business */
    answer_done(&a);
    FILE *f = fopen(s->file, "w");
    fclose(f);
    assert_part(s, "", 200, "", NULL);
    assert_part(s, "Range: bytes=0-\r\n", 416, NULL, "bytes */0");
    f = fopen(s->file, "w");
    fputs("0123456789abcdefghij", f);
    fclose(f);
}

/* Larger than every buffer on the way, and not read at once. */
static void test_large(void **state)
{
    small_server *s = *state;
    enum { SIZE = 8 << 20 };
    char *data = malloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 31 + i / 4096);
    FILE *f = fopen(s->file, "w");
    assert_int_equal(fwrite(data, 1, SIZE, f), SIZE);
    fclose(f);
    answer a = ask_for(s->port, "/file", "Range: bytes=1-\r\n");
    assert_int_equal(a.status, 206);
    assert_int_equal(a.size, SIZE - 1);
    assert_memory_equal(a.body, data + 1, SIZE - 1);
    answer_done(&a);
    free(data);
    /* One that goes away in the middle disturbs nobody. */
    for (int i = 0; i < 8; i++) {
        char text[128];
        int fd = dial(s->port);
        snprintf(text, sizeof text, "GET /file HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
        put_text(fd, text);
        get(fd, text, 16);
        close(fd);
    }
    assert_alive(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_unsatisfiable_is_an_error),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_changed_file_has_another_tag),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_download),
        cmocka_unit_test(test_missing_and_empty),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
