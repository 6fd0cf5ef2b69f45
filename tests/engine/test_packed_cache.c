/* What packed weights may take of a disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "engine/packed_cache.h"

static const uint64_t MB = 1ull << 20, GB = 1ull << 30;

static void test_small_disk(void **state)
{
    (void)state;
    assert_true(kn_packed_cache_fits(10 * GB, 20 * GB, 100 * GB)); /* a tenth is left */
    assert_false(kn_packed_cache_fits(10 * GB + 1, 20 * GB, 100 * GB));
    assert_false(kn_packed_cache_fits(8 * GB, 8 * GB, 10 * GB));
    assert_false(kn_packed_cache_fits(8 * GB, 2 * GB, 10 * GB));
}

static void test_large_disk(void **state)
{
    (void)state;
    const uint64_t spare = KN_LIMIT_PACKED_CACHE_SPARE_BYTES;
    assert_true(
        kn_packed_cache_fits(30 * GB, 30 * GB + spare, 4000 * GB)); /* much less than a tenth is left */
    assert_false(kn_packed_cache_fits(30 * GB + 1, 30 * GB + spare, 4000 * GB));
}

/* However full the disk is. */
static void test_small_file(void **state)
{
    (void)state;
    assert_true(kn_packed_cache_fits(5 * MB, 501 * MB, 1000 * GB));
    assert_false(kn_packed_cache_fits(5 * MB, 499 * MB, 1000 * GB));
    assert_false(kn_packed_cache_fits(0, 0, 0));
    assert_false(kn_packed_cache_fits(UINT64_MAX, GB, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_disk),
        cmocka_unit_test(test_large_disk),
        cmocka_unit_test(test_small_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
