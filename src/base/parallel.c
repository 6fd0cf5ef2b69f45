#define _GNU_SOURCE
#include "base/parallel.h"

#include <omp.h>
#include <sched.h>

#include "base/limits.h"

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

void kn_parallel_pin(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return;
#pragma omp parallel
    {
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

void kn_parallel_for(int64_t n, int64_t grain, kn_range_fn fn, void *arg)
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
#pragma omp parallel num_threads(n_threads)
    {
        int thread = omp_get_thread_num(), team = omp_get_num_threads();
        int64_t begin = n_grains * thread / team * grain;
        int64_t end = n_grains * (thread + 1) / team * grain;
        if (end > n)
            end = n;
        if (begin < end)
            fn(arg, begin, end, thread);
    }
}
