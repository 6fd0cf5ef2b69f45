/* What the machine is doing: processor, memory, graphics processors; sampled while someone looks. */
#ifndef KN_SERVER_RESOURCES_H
#define KN_SERVER_RESOURCES_H

#include "server/feed.h"

typedef struct kn_resources kn_resources;

/* A thread that publishes to the feed every two seconds while it has listeners. */
int kn_resources_start(kn_feed *feed, kn_resources **ret, kn_err *err);
void kn_resources_stop(kn_resources *r); /* accepts NULL */

typedef struct kn_cpu_times {
    unsigned long long busy, all;
} kn_cpu_times;

/* One sample as the API gives it; *times: of the sample before, updated (zero at first). NULL without memory. */
json_t *kn_resources_sample(kn_cpu_times *times);

#endif
