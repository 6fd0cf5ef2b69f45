/* The parser of forms, fed in pieces of every size. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/multipart.h"

/* What came out: "[name|filename|type]data" for each part. */
static int on_begin(void *ud, const kn_multipart_part *p, kn_err *err)
{
    (void)err;
    kn_buf_printf(ud, "[%s|%s|%s]", p->name, p->filename ? p->filename : "-", p->type);
    return 0;
}

static int on_data(void *ud, const void *data, size_t size, kn_err *err)
{
    (void)err;
    kn_buf_append(ud, data, size);
    return 0;
}

static int on_end(void *ud, kn_err *err)
{
    (void)err;
    kn_buf_puts(ud, ";");
    return 0;
}

static const kn_multipart_fns fns = {on_begin, on_data, on_end};

static int parse(const char *type, const char *text, size_t size, size_t piece, char *out, size_t out_size,
                 kn_err *err)
{
    kn_multipart m;
    kn_buf b;
    kn_buf_init(&b, 1 << 20);
    int rc = kn_multipart_init(&m, type, &fns, &b, err);
    for (size_t i = 0; !rc && i < size; i += piece)
        rc = kn_multipart_feed(&m, text + i, size - i < piece ? size - i : piece, err);
    if (!rc)
        rc = kn_multipart_finish(&m, err);
    snprintf(out, out_size, "%s", b.data ? b.data : "");
    kn_buf_done(&b);
    return rc;
}

#define CD "Content-Disposition: form-data; "

static const struct {
    const char *text, *expected; /* NULL: refused */
} cases[] = {
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--", "[a|-|]1;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--\r\n", "[a|-|]1;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--\r\nepilogue --B\r\n--B\r\n", "[a|-|]1;"},
    {"preamble\r\n--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--", "[a|-|]1;"},
    {"pre\r--B\r\nx\r\n--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--", "[a|-|]1;"},
    {"--B\r\n" CD "name=a\r\n\r\n1\r\n--B--", "[a|-|]1;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n\r\n--B--", "[a|-|];"},
    {"--B\r\n" CD "name=\"\"\r\n\r\n1\r\n--B--", "[|-|]1;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B\r\n" CD "name=\"b\"\r\n\r\n2\r\n--B--", "[a|-|]1;[b|-|]2;"},
    {"--B\r\n" CD "name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--B--",
     "[f|x.png|image/png]PNG;"},
    {"--B\r\ncontent-disposition:form-data;name=f;filename=x\r\n\r\n1\r\n--B--", "[f|x|]1;"},
    {"--B\r\n" CD "name=\"f\"; filename=\"\"\r\n\r\n\r\n--B--", "[f||];"},
    {"--B\r\n" CD "name=\"a\\\"b\\\\c\\d;e\"\r\n\r\n1\r\n--B--", "[a\"b\\c\\d;e|-|]1;"},
    {"--B\r\n" CD "name=\"f\"; filename=\"../../etc/passwd\"\r\n\r\n1\r\n--B--", "[f|../../etc/passwd|]1;"},
    {"--B\r\n" CD "name=\"f\"; filename=\"\xc3\xa9\"; filename*=UTF-8''x\r\n\r\n1\r\n--B--",
     "[f|\xc3\xa9|]1;"},
    {"--B\r\nX-Other: y\r\n" CD "name=\"a\"\r\nContent-Transfer-Encoding: binary\r\n\r\n1\r\n--B--",
     "[a|-|]1;"},
    {"--B--", ""},
    /* what only looks like a boundary */
    {"--B\r\n" CD "name=\"a\"\r\n\r\n--B\r\n--B--", "[a|-|]--B;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\nx--B--y\r\n--B--", "[a|-|]x--B--y;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--Bx\r\n2\r\n--B--", "[a|-|]1\r\n--Bx\r\n2;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--BB--\r\n--B--", "[a|-|]1\r\n--BB--;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B-\r\n--B--", "[a|-|]1\r\n--B-;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B\r\r\n--B--", "[a|-|]1\r\n--B\r;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B \r\n\r\n--B--", "[a|-|]1\r\n--B \r\n;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\n--B--\n\r\n--B--", "[a|-|]1\n--B--\n;"},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n\r\r\n\r\r\n-\r\n--\r\n--b\r\n--B--",
     "[a|-|]\r\r\n\r\r\n-\r\n--\r\n--b;"},
    {"--B\r\n" CD
     "name=\"a\"\r\n\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\n--C--\r\n--B--",
     "[a|-|]Content-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\n--C--;"},
    /* refused */
    {"", NULL},
    {"x", NULL},
    {"--B", NULL},
    {"--B\r\n", NULL},
    {"--B\n" CD "name=\"a\"\n\n1\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1", NULL},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B", NULL},
    {"--B\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B-", NULL},
    {"--B\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\nContent-Type: text/plain\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\nContent-Disposition: form-datax; name=\"a\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"; name=\"b\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"x\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"; filename=\"x\"; filename=\"y\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"\r\n" CD "name=\"b\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\"\r\n folded: x\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\nno colon\r\n" CD "name=\"a\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"\xff\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\x01\"\r\n\r\n1\r\n--B--", NULL},
    {"--B\r\n" CD "name=\"a\nb\"\r\n\r\n1\r\n--B--", NULL},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
            char out[4096];
            kn_err err = {0};
            int rc = parse("multipart/form-data; boundary=B", cases[i].text, strlen(cases[i].text), piece,
                           out, sizeof out, &err);
            if (cases[i].expected ? rc || strcmp(out, cases[i].expected) != 0 : rc != KN_EINVAL || !*err.msg)
                fail_msg("%s (pieces of %zu): %d %s %s", cases[i].text, piece, rc, err.msg, out);
        }
}

static void test_nul(void **state)
{
    static const char head[] = "--B\r\n" CD "name=\"a\0b\"\r\n\r\n1\r\n--B--";
    char out[256];
    kn_err err = {0};
    (void)state;
    assert_int_equal(parse("x; boundary=B", head, sizeof head - 1, 7, out, sizeof out, &err), KN_EINVAL);
}

static void test_boundaries(void **state)
{
    static const struct {
        const char *type;
        bool is_good;
    } types[] = {
        {"multipart/form-data; boundary=B", true},
        {"multipart/form-data;boundary=B", true},
        {"multipart/form-data; charset=utf-8; BOUNDARY=\"B\"", true},
        {"multipart/form-data; boundary=B;", true},
        {"multipart/form-data", false},
        {"multipart/form-data; boundary", false},
        {"multipart/form-data; boundary=", false},
        {"multipart/form-data; boundary=\"\"", false},
        {"multipart/form-data; boundary=\"B", false},
        {"multipart/form-data; boundary=\"B \"", false},
        {"multipart/form-data; boundary=B; boundary=C", false},
        {"multipart/form-data; boundary=B C", false},
        {"multipart/form-data; boundary=B{", false},
        {"multipart/form-data; boundary=\"B\r\"", false},
        {"multipart/form-data; boundary="
         "00000000001111111111222222222233333333334444444444555555555566666666667",
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char out[64];
        kn_err err = {0};
        int rc = parse(types[i].type, "--B--", 5, 5, out, sizeof out, &err);
        if (rc != (types[i].is_good ? 0 : KN_EINVAL))
            fail_msg("%s: %d %s", types[i].type, rc, err.msg);
    }
}

static void test_limits(void **state)
{
    enum { SIZE = 64 << 10 };
    char *text = malloc(SIZE), *out = malloc(SIZE);
    kn_err err = {0};
    size_t n = 0;
    (void)state;
    assert_true(text && out);
    for (int i = 0; i <= KN_LIMIT_FORM_PARTS; i++)
        n += (size_t)snprintf(text + n, SIZE - n, "%s--B\r\n" CD "name=\"n%d\"\r\n\r\n", i ? "\r\n" : "", i);
    assert_int_equal(parse("x; boundary=B", text, n, n, out, SIZE, &err), KN_ELIMIT);
    n = (size_t)snprintf(text, SIZE, "--B\r\n" CD "name=\"%05000d\"\r\n\r\n1\r\n--B--", 0);
    assert_int_equal(parse("x; boundary=B", text, n, n, out, SIZE, &err), KN_ELIMIT);
    n = (size_t)snprintf(text, SIZE, "--B\r\n" CD "name=\"%03000d\"\r\n\r\n1\r\n--B--", 0);
    assert_int_equal(parse("x; boundary=B", text, n, n, out, SIZE, &err), 0);
    free(text);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
