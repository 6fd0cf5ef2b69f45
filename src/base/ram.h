/* The memory this process may use, as the system and its limits say. */
#ifndef KN_BASE_RAM_H
#define KN_BASE_RAM_H

#include <stddef.h>

/* Physical memory, or less where a control group (v1 or v2) of this process or one above it, or a limit of the process
 * (RLIMIT_AS, RLIMIT_DATA), says so. Bytes. */
size_t kn_ram_total(void);
/* How much more this process can take now without anything being swapped out: free memory and caches that can be dropped,
 * within the same limits. At most kn_ram_total(). */
size_t kn_ram_available(void);
/* What the process has in memory now, and the most it had since it began or since kn_ram_reset_peak(). 0: not known. */
size_t kn_ram_resident(void);
size_t kn_ram_resident_peak(void);
/* Best effort. */
void kn_ram_reset_peak(void);

#endif
