/* Pauses that differ a little. */
#ifndef KN_BASE_JITTER_H
#define KN_BASE_JITTER_H

#include <stdint.h>

/* So that many clients that were cut at once do not come back at once: three to five quarters. */
int64_t kn_jitter(int64_t ms);

#endif
