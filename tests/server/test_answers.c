/* Answers that are kept: given again while nothing has changed, and never after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "server/answers.h"

static const kn_stamp now = {7, 3, false};

static void assert_found(kn_answers *a, const char *question, const kn_stamp *at, const char *expected)
{
    char *text = kn_answers_find(a, question, at);
    if (expected)
        assert_string_equal(text ? text : "nothing", expected);
    else
        assert_null(text);
    free(text);
}

static void test_holds(void **state)
{
    (void)state;
    kn_answers *a = kn_answers_new();
    assert_non_null(a);
    assert_found(a, "/queue", &now, NULL);
    kn_answers_keep(a, "/queue", &now, "one");
    assert_found(a, "/queue", &now, "one");
    assert_found(a, "/queue?", &now, NULL);
    assert_found(a, "/queue", &(kn_stamp){8, 3, false}, NULL); /* a job has changed */
    assert_found(a, "/queue", &(kn_stamp){7, 4, false}, NULL); /* one is further */
    assert_found(a, "/queue", &(kn_stamp){7, 3, true}, NULL);  /* the queue is held */
    kn_answers_keep(a, "/queue", &(kn_stamp){8, 3, false}, "two");
    assert_found(a, "/queue", &(kn_stamp){8, 3, false}, "two");
    assert_found(a, "/queue", &now, NULL);
    kn_answers_free(a);
    kn_answers_free(NULL);
}

static void test_room(void **state)
{
    char question[32], *large = malloc(KN_LIMIT_KEPT_ANSWER_BYTES + 1);
    (void)state;
    kn_answers *a = kn_answers_new();
    assert_true(a && large);
    kn_answers_keep(a, "often", &now, "asked");
    for (int i = 0; i < 3 * KN_LIMIT_KEPT_ANSWERS; i++) {
        snprintf(question, sizeof question, "%d", i);
        kn_answers_keep(a, question, &now, question);
        assert_found(a, question, &now, question);
        assert_found(a, "often", &now, "asked"); /* the one that nobody asked for makes room */
    }
    assert_found(a, "0", &now, NULL);
    memset(large, 'x', KN_LIMIT_KEPT_ANSWER_BYTES);
    large[KN_LIMIT_KEPT_ANSWER_BYTES] = '\0';
    kn_answers_keep(a, "large", &now, large);
    assert_found(a, "large", &now, NULL);
    assert_found(a, "often", &now, "asked");
    free(large);
    kn_answers_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
