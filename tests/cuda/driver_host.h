/* Knobs of the card that is none. */
#ifndef KN_TESTS_CUDA_DRIVER_HOST_H
#define KN_TESTS_CUDA_DRIVER_HOST_H

#include <stddef.h>

/* Memory that cards opened from now on have. */
void driver_host_limit(size_t bytes);

#endif
