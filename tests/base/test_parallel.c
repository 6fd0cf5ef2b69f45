#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/parallel.h"

enum { N_MAX = 100000 };

typedef struct job {
    int64_t n, grain;
    int n_threads;
    int *hits; /* plain: a race between ranges is one the sanitizer sees */
    int64_t begin[KN_LIMIT_THREADS], end[KN_LIMIT_THREADS];
    int calls[KN_LIMIT_THREADS];
} job;

static void count_hits(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    j->calls[thread]++;
    j->begin[thread] = begin;
    j->end[thread] = end;
    for (int64_t i = begin; i < end; i++)
        j->hits[i]++;
}

static void check(job *j)
{
    int64_t n_grains = j->grain > 0 ? (j->n + j->grain - 1) / j->grain : j->n, at = 0;
    for (int64_t i = 0; i < j->n; i++)
        assert_int_equal(j->hits[i], 1);
    for (int t = 0; t < KN_LIMIT_THREADS; t++) {
        assert_true(j->calls[t] == (t < j->n_threads && t < n_grains));
        if (!j->calls[t])
            continue;
        assert_int_equal(j->begin[t], at); /* consecutive, in the order of the threads */
        assert_true(j->end[t] == j->n || j->grain < 1 || j->end[t] % j->grain == 0);
        at = j->end[t];
    }
    assert_int_equal(at, j->n > 0 ? j->n : 0);
}

static void test_every_element_once(void **state)
{
    (void)state;
    static const int64_t sizes[] = {-5, 0, 1, 2, 7, 64, 1000, N_MAX};
    static const int64_t grains[] = {-1, 0, 1, 3, 64, 99999, INT64_MAX / 2};
    job *j = malloc(sizeof *j);
    assert_non_null(j);
    int *hits = malloc(N_MAX * sizeof *hits);
    assert_non_null(hits);
    for (int threads = 1; threads <= 5; threads++) {
        kn_parallel_set_threads(threads);
        assert_int_equal(kn_parallel_threads(), threads);
        for (size_t s = 0; s < 8; s++) {
            for (size_t g = 0; g < 7; g++) {
                *j = (job){.n = sizes[s], .grain = grains[g], .n_threads = threads, .hits = hits};
                memset(hits, 0, N_MAX * sizeof *hits);
                kn_parallel_for(j->n, j->grain, count_hits, j);
                check(j);
            }
        }
    }
    free(hits);
    free(j);
}

typedef struct rounds {
    int64_t *values;
    int64_t n;
} rounds;

/* Each element is read where another thread wrote it in the round before. */
static void shift(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const rounds *r = arg;
    for (int64_t i = begin; i < end; i++)
        r->values[i] = r->values[(i + r->n / 2) % r->n + r->n] + 1;
}

static void copy_back(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const rounds *r = arg;
    memcpy(r->values + r->n + begin, r->values + begin, (size_t)(end - begin) * sizeof *r->values);
}

/* What one loop wrote is seen by the next one and by the caller: both ends are barriers. */
static void test_loops_are_ordered(void **state)
{
    (void)state;
    enum { N = 1000, ROUNDS = 200 };
    int64_t *values = calloc(2 * N, sizeof *values);
    assert_non_null(values);
    kn_parallel_set_threads(4);
    for (int i = 0; i < ROUNDS; i++) {
        rounds r = {values, N};
        kn_parallel_for(N, 1, shift, &r);
        kn_parallel_for(N, 1, copy_back, &r);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(values[i], ROUNDS);
    free(values);
}

static void test_thread_counts(void **state)
{
    (void)state;
    kn_parallel_set_threads(KN_LIMIT_THREADS + 10);
    assert_int_equal(kn_parallel_threads(), KN_LIMIT_THREADS);
    kn_parallel_set_threads(0);
    int all = kn_parallel_threads();
    assert_true(all >= 1 && all <= KN_LIMIT_THREADS);
    kn_parallel_pin();
    assert_int_equal(kn_parallel_threads(), all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_once),
        cmocka_unit_test(test_loops_are_ordered),
        cmocka_unit_test(test_thread_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
