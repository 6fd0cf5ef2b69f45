/* The server's log: lines with their time, in a file that is begun anew when it is large, and the last ones in memory. */
#ifndef KN_SERVER_LOGS_H
#define KN_SERVER_LOGS_H

#include "base/json.h"

typedef struct kn_logs kn_logs;

enum { KN_LOG_LINES = 2000 };

/* FOLDER/kinora.log; the one before becomes kinora.log.1 at KN_LIMIT_LOG_BYTES. A folder that cannot be written is no error:
 * the lines are in memory.
 * What the file ends with is recalled. */
kn_logs *kn_logs_open(const char *folder); /* NULL without memory */
void kn_logs_close(kn_logs *l);            /* accepts NULL */
/* From any thread. */
void kn_logs_add(kn_logs *l, const char *line);
/* {"log_file": ..., "lines": [...]}: the last n lines, oldest first. */
json_t *kn_logs_recent(kn_logs *l, int n);

#endif
