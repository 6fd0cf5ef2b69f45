#define _GNU_SOURCE
#include "base/parallel.h"

#include <omp.h>
#include <sched.h>

#include "base/limits.h"

/* The OpenMP runtime is not built with ThreadSanitizer, which therefore cannot see that a loop begins after what its
 * caller did and ends before what its caller does next.  Said here, it finds true races between the ranges. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KN_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define KN_TSAN 1
#endif
#ifdef KN_TSAN
#include <sanitizer/tsan_interface.h>
static char loop_begin, loop_end; /* only their addresses matter */
#define TSAN_RELEASE(token) __tsan_release(&(token))
#define TSAN_ACQUIRE(token) __tsan_acquire(&(token))
/* How the compiler hands the variables of a loop to its threads lies outside of the two tokens. */
#define NO_TSAN __attribute__((no_sanitize_thread))
#else
#define TSAN_RELEASE(token) ((void)0)
#define TSAN_ACQUIRE(token) ((void)0)
#define NO_TSAN
#endif

static int allowed_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n > KN_LIMIT_THREADS ? KN_LIMIT_THREADS : n;
}

void kn_parallel_set_threads(int n_threads)
{
    if (n_threads <= 0)
        n_threads = allowed_cores();
    omp_set_dynamic(0);
    omp_set_num_threads(n_threads > KN_LIMIT_THREADS ? KN_LIMIT_THREADS : n_threads);
}

int kn_parallel_threads(void)
{
    int n = omp_get_max_threads();
    return n > KN_LIMIT_THREADS ? KN_LIMIT_THREADS : n;
}

NO_TSAN void kn_parallel_pin(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    TSAN_RELEASE(loop_begin);
#pragma omp parallel
    {
        TSAN_ACQUIRE(loop_begin);
        int want = omp_get_thread_num(), seen = 0;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &allowed) || seen++ != want)
                continue;
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            (void)sched_setaffinity(0, sizeof one, &one);
            break;
        }
    }
}

NO_TSAN void kn_parallel_for(int64_t n, int64_t grain, kn_range_fn fn, void *arg)
{
    if (n <= 0)
        return;
    if (grain < 1)
        grain = 1;
    int64_t n_grains = (n + grain - 1) / grain;
    int n_threads = kn_parallel_threads();
    if (n_threads > n_grains)
        n_threads = (int)n_grains;
    if (n_threads <= 1) {
        fn(arg, 0, n, 0);
        return;
    }
    TSAN_RELEASE(loop_begin);
#pragma omp parallel num_threads(n_threads)
    {
        TSAN_ACQUIRE(loop_begin);
        int thread = omp_get_thread_num(), team = omp_get_num_threads();
        int64_t begin = n_grains * thread / team * grain;
        int64_t end = n_grains * (thread + 1) / team * grain;
        if (end > n)
            end = n;
        if (begin < end)
            fn(arg, begin, end, thread);
        TSAN_RELEASE(loop_end);
    }
    TSAN_ACQUIRE(loop_end);
}
