/* What is done now and then: old videos go where the settings say so, and uploads that no job names. */
#ifndef KN_SERVER_HOUSEKEEPING_H
#define KN_SERVER_HOUSEKEEPING_H

#include "jobs/places.h"
#include "jobs/retention.h"

typedef struct kn_housekeeping kn_housekeeping;

/* A thread that looks every hour. log may be NULL. */
int kn_housekeeping_start(const kn_places *places, kn_queue *queue, void (*log)(void *ud, const char *line),
                          void *ud, kn_housekeeping **ret, kn_err *err);
void kn_housekeeping_stop(kn_housekeeping *h); /* accepts NULL */

/* The limits of the settings. */
kn_retention kn_housekeeping_limits(const json_t *settings);
/* Removes uploads that no job names and that are older than age_s; returns how many. */
int kn_housekeeping_uploads(const kn_places *places, kn_queue *queue, double age_s);
/* Removes what attempts left to go on from, of jobs that are not there any more or are over for good; returns of how many. */
int kn_housekeeping_states(const kn_places *places, kn_queue *queue);

#endif
