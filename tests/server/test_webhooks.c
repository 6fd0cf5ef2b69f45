/* Signatures of webhooks, and what a try means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "server/webhook_sign.h"
#include "server/webhooks.h"

/* The vector that the libraries of Standard Webhooks test themselves with. */
static void test_signature(void **state)
{
    static const char body[] = "{\"test\": 2432232314}";
    char signature[KN_WEBHOOK_SIGNATURE_BYTES];
    (void)state;
    assert_int_equal(kn_webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                     1614265330, body, sizeof body - 1, signature, NULL),
                     0);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_secrets(void **state)
{
    static const char *const bad[] = {"",
                                      "whsec_",
                                      "whsec_c2hvcnQ=",
                                      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!w"};
    char a[KN_WEBHOOK_SECRET_BYTES], b[KN_WEBHOOK_SECRET_BYTES],
        longest[KN_WEBHOOK_SECRET_BYTES + 8] = "whsec_";
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_webhook_make_secret(a, NULL), 0);
    assert_int_equal(kn_webhook_make_secret(b, NULL), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(kn_webhook_check_secret(a, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(kn_webhook_check_secret(bad[i], &err), KN_EINVAL);
    assert_null(strstr(err.msg, "MfKQ"));
    memset(longest + 6, 'A', 88);
    memcpy(longest + 6 + 85, "A==", 3); /* 64 bytes */
    assert_int_equal(kn_webhook_check_secret(longest, NULL), 0);
    memset(longest + 6, 'A', 88);
    assert_int_equal(kn_webhook_check_secret(longest, NULL), KN_EINVAL);
}

static void test_delays(void **state)
{
    static const int64_t expected_s[] = {5, 30, 120, 600, 3600, 21600, 0, 0};
    static const int own[] = {7, 0};
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(kn_webhook_delay_ms(NULL, i + 1), expected_s[i] * 1000);
    assert_int_equal(kn_webhook_delay_ms(own, 1), 7);
    assert_int_equal(kn_webhook_delay_ms(own, 2), 0);
}

static kn_delivery_attempt judged(int status, int n_tried, int64_t retry_after_s)
{
    kn_delivery_attempt a = {.at_s = 1000, .status = status};
    kn_webhook_judge(&a, NULL, n_tried, retry_after_s);
    return a;
}

static void test_judging(void **state)
{
    (void)state;
    assert_int_equal(judged(200, 1, 0).state, KN_DELIVERY_DELIVERED);
    assert_int_equal(judged(204, 7, 0).state, KN_DELIVERY_DELIVERED);
    static const int failures[] = {0, 301, 400, 404, 429, 500, 503};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        kn_delivery_attempt a = judged(failures[i], 2, 0);
        assert_int_equal(a.state, KN_DELIVERY_WAITING);
        assert_true(a.due_s >= 1000 + 30 * 0.75 && a.due_s <= 1000 + 30 * 1.25);
        assert_null(a.switch_off);
        assert_int_equal(judged(failures[i], 7, 0).state, KN_DELIVERY_FAILED);
    }
    kn_delivery_attempt gone = judged(410, 1, 0);
    assert_int_equal(gone.state, KN_DELIVERY_FAILED);
    assert_non_null(gone.switch_off);
    assert_true(judged(503, 1, 900).due_s == 1900); /* Retry-After */
    assert_true(judged(503, 6, 1).due_s > 1000 + 21600 * 0.7);
    assert_true(judged(503, 1, INT64_MAX).due_s == 1000 + KN_LIMIT_RETRY_AFTER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_signature), cmocka_unit_test(test_secrets),
                                       cmocka_unit_test(test_delays), cmocka_unit_test(test_judging)};
    return cmocka_run_group_tests_name("server/webhooks", tests, NULL, NULL);
}
