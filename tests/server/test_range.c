#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "server/range.h"

static const struct {
    const char *header;
    uint64_t file_size;
    kn_range_kind kind;
    uint64_t first, size;
} cases[] = {
    {NULL, 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=0-0", 100, KN_RANGE_PART, 0, 1},
    {"bytes=0-", 100, KN_RANGE_PART, 0, 100},
    {"bytes=10-19", 100, KN_RANGE_PART, 10, 10},
    {"BYTES=10-19", 100, KN_RANGE_PART, 10, 10},
    {"bytes= 10-19 ", 100, KN_RANGE_PART, 10, 10},
    {"bytes=99-", 100, KN_RANGE_PART, 99, 1},
    {"bytes=99-100", 100, KN_RANGE_PART, 99, 1},
    {"bytes=50-99999999999999999999999", 100, KN_RANGE_PART, 50, 50},
    {"bytes=0-18446744073709551615", 100, KN_RANGE_PART, 0, 100},
    {"bytes=-1", 100, KN_RANGE_PART, 99, 1},
    {"bytes=-100", 100, KN_RANGE_PART, 0, 100},
    {"bytes=-101", 100, KN_RANGE_PART, 0, 100},
    {"bytes=-99999999999999999999999", 100, KN_RANGE_PART, 0, 100},
    {"bytes=100-", 100, KN_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=100-200", 100, KN_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=99999999999999999999999-", 100, KN_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 100, KN_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, KN_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-5", 0, KN_RANGE_UNSATISFIABLE, 0, 0},
    /* not understood: the whole file */
    {"bytes=20-10", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=0-1,5-6", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=0-1, -1", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=-", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes", 100, KN_RANGE_WHOLE, 0, 0},
    {"", 100, KN_RANGE_WHOLE, 0, 0},
    {"items=0-1", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=a-b", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=1-2x", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=1 - 2", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=+1-2", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=--1", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=1-2-3", 100, KN_RANGE_WHOLE, 0, 0},
    {"bytes=0x1-2", 100, KN_RANGE_WHOLE, 0, 0},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_range r = {0};
        kn_range_kind kind = kn_range_parse(cases[i].header, cases[i].file_size, &r);
        if (kind != cases[i].kind || r.first != cases[i].first || r.size != cases[i].size)
            fail_msg("%s: kind %d, %llu bytes from %llu", cases[i].header, kind, (unsigned long long)r.size,
                     (unsigned long long)r.first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
