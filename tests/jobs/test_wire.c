/* Messages over a socket, whole or in pieces, good or bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "jobs/wire.h"

typedef struct pair {
    int fds[2];
    kn_wire a, b;
} pair;

static int make(void **state)
{
    pair *p = calloc(1, sizeof *p);
    if (!p || socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds))
        return -1;
    kn_wire_init(&p->a, p->fds[0]);
    kn_wire_init(&p->b, p->fds[1]);
    *state = p;
    return 0;
}

static int clear(void **state)
{
    pair *p = *state;
    kn_wire_done(&p->a);
    kn_wire_done(&p->b);
    close(p->fds[0]);
    close(p->fds[1]);
    free(p);
    return 0;
}

static json_t *next(kn_wire *w)
{
    json_t *m = NULL;
    assert_int_equal(kn_wire_next(w, &m, NULL), 0);
    return m;
}

static void test_several_at_once(void **state)
{
    pair *p = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(kn_wire_send(&p->a, json_pack("{s:i}", "i", i), NULL), 0);
    assert_null(next(&p->b)); /* nothing was taken in yet */
    assert_int_equal(kn_wire_fill(&p->b, NULL), 0);
    for (int i = 0; i < 3; i++) {
        json_t *m = next(&p->b);
        assert_int_equal(json_integer_value(json_object_get(m, "i")), i);
        json_decref(m);
    }
    assert_null(next(&p->b));
}

static void test_in_pieces(void **state)
{
    pair *p = *state;
    static const char bytes[] = "\x0b\0\0\0{\"say\":\"x\"}";
    for (size_t i = 0; i + 1 < sizeof bytes; i++) {
        assert_null(next(&p->b));
        assert_int_equal(write(p->fds[0], bytes + i, 1), 1);
        assert_int_equal(kn_wire_fill(&p->b, NULL), 0);
    }
    json_t *m = next(&p->b);
    assert_string_equal(json_string_value(json_object_get(m, "say")), "x");
    json_decref(m);
}

/* What was said before the end is still heard. */
static void test_gone(void **state)
{
    pair *p = *state;
    assert_int_equal(kn_wire_send(&p->a, json_pack("{s:s}", "say", "last"), NULL), 0);
    assert_int_equal(shutdown(p->fds[0], SHUT_RDWR), 0);
    assert_int_equal(kn_wire_fill(&p->b, NULL), KN_EIO);
    json_t *m = next(&p->b);
    assert_string_equal(json_string_value(json_object_get(m, "say")), "last");
    json_decref(m);
    assert_int_equal(kn_wire_send(&p->b, json_object(), NULL), KN_EIO);
}

static void test_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int code;
    } rows[] = {
        {"\x02\0\0\0{]", 6, KN_EFORMAT},    {"\x03\0\0\0[1]", 7, KN_EFORMAT},
        {"\xff\xff\xff\x7f", 4, KN_ELIMIT}, {"\xff\xff\xff\xff", 4, KN_ELIMIT},
        {"\0\0\0\0", 4, KN_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *one = NULL;
        json_t *m = NULL;
        assert_int_equal(make(&one), 0);
        pair *p = one;
        assert_int_equal(write(p->fds[0], rows[i].bytes, rows[i].size), rows[i].size);
        assert_int_equal(kn_wire_fill(&p->b, NULL), 0);
        assert_int_equal(kn_wire_next(&p->b, &m, NULL), rows[i].code);
        assert_null(m);
        clear(&one);
    }
}

static void test_too_large(void **state)
{
    pair *p = *state;
    char *text = malloc(KN_LIMIT_WIRE_BYTES + 1);
    memset(text, 'a', KN_LIMIT_WIRE_BYTES);
    text[KN_LIMIT_WIRE_BYTES] = '\0';
    kn_err err = {0};
    assert_int_equal(kn_wire_send(&p->a, json_pack("{s:s}", "t", text), &err), KN_ELIMIT);
    assert_int_equal(kn_wire_send(&p->a, NULL, &err), KN_ENOMEM);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_several_at_once, make, clear),
        cmocka_unit_test_setup_teardown(test_in_pieces, make, clear),
        cmocka_unit_test_setup_teardown(test_gone, make, clear),
        cmocka_unit_test(test_bad),
        cmocka_unit_test_setup_teardown(test_too_large, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
