/* Ctrl-C: exit code 130 within a second, and no file. */
#include "program.h"

/* Long enough to be interrupted on any machine. */
#define LONG                                                                                                 \
    "generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", "--width", "256", "--height",    \
        "256", "--frames", "17", "--steps", "1000", "--seed", "1", "--json"

static void check_cancelled(started s, double signalled_s, const char *what)
{
    outcome o = finish(s);
    double took = kn_clock_s() - signalled_s;
    print_message("%s: stopped in %.2f s\n", what, took);
    assert_int_equal(o.code, 130);
    assert_true(took < 1.0);
    assert_int_equal(count_files(".", ".mp4"), 0);
    assert_int_equal(count_files(".", ".part"), 0);
    assert_int_equal(count_files(".", ".safetensors"), 0);
    assert_null(strstr(o.out, "\"event\":\"done\""));
    outcome_done(&o);
}

static void interrupt(const char *after, int signal, const char *output)
{
    started s = start_args(NULL, ARGS(LONG, "--save-tensors", "t.safetensors", "-o", output));
    wait_for(&s, after);
    double t = kn_clock_s();
    kill(s.pid, signal);
    check_cancelled(s, t, output);
}

static void test_while_sampling(void **state)
{
    (void)state;
    interrupt("\"done\":2", SIGINT, "out.mp4");
    interrupt("\"done\":2", SIGTERM, "out.mp4");
}

static void test_folder(void **state)
{
    (void)state;
    interrupt("\"done\":2", SIGINT, "frames/");
    assert_false(kn_path_exists("frames"));
}

static void test_while_decoding(void **state)
{
    (void)state;
    started s = start_args(NULL, ARGS("generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat",
                                      "--width", "256", "--height", "256", "--frames", "161", "--steps", "1",
                                      "--guidance", "1", "--json", "-o", "out.mp4"));
    wait_for(&s, "\"phase\":\"decoding\"");
    double t = kn_clock_s();
    kill(s.pid, SIGINT);
    check_cancelled(s, t, "decoding");
}

/* The second one does not wait for anything; what it leaves is at most a .part file, never the output. */
static void test_twice(void **state)
{
    (void)state;
    started s = start_args(NULL, ARGS(LONG, "-o", "out.mp4"));
    wait_for(&s, "\"done\":2");
    double t = kn_clock_s();
    kill(s.pid, SIGINT);
    kill(s.pid, SIGINT);
    usleep(1000);
    kill(s.pid, SIGINT);
    outcome o = finish(s);
    assert_int_equal(o.code, 130);
    assert_true(kn_clock_s() - t < 1.0);
    assert_false(kn_path_exists("out.mp4"));
    unlink("out.mp4.part");
    outcome_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_sampling),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_while_decoding),
        cmocka_unit_test(test_twice),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
