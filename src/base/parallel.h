/* One way to use the cores: OpenMP, because oneDNN does, and two pools on the same cores fight.
 * The partition depends on the thread count only, never on timing. */
#ifndef KN_BASE_PARALLEL_H
#define KN_BASE_PARALLEL_H

#include <stdint.h>

/* Sets how many threads kernels and oneDNN use from the calling thread on; 0 = all cores this process may use. */
void kn_parallel_set_threads(int n_threads);
int kn_parallel_threads(void);
/* Binds worker threads to the process's allowed cores, one each.  Best effort. */
void kn_parallel_pin(void);

typedef void (*kn_range_fn)(void *arg, int64_t begin, int64_t end, int thread);

/* Splits [0, n) into at most kn_parallel_threads() consecutive ranges whose sizes are multiples of `grain`
 * (except the last) and runs fn on each; returns when all are done. */
void kn_parallel_for(int64_t n, int64_t grain, kn_range_fn fn, void *arg);

#endif
