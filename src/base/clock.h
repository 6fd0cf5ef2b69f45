#ifndef KN_BASE_CLOCK_H
#define KN_BASE_CLOCK_H

#include <stdint.h>

int64_t kn_clock_ns(void);      /* monotonic */
double kn_clock_s(void);        /* monotonic, seconds */
int64_t kn_clock_unix(void);    /* seconds since 1970 */
int64_t kn_clock_unix_ms(void); /* milliseconds since 1970 */

#endif
