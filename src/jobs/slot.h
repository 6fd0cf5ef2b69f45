/* A slot of the supervisor: one thread that keeps one worker and leads one job at a time through it. */
#ifndef KN_JOBS_SLOT_H
#define KN_JOBS_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "jobs/child.h"
#include "jobs/supervisor.h"

/* What all slots share. */
typedef struct kn_slot_shared {
    kn_supervisor_opts opts;
    const kn_places *places;
    kn_queue *queue;
    atomic_bool stopping, held;
} kn_slot_shared;

typedef struct kn_slot {
    kn_slot_shared *shared;
    pthread_t thread;
    int wake_fd;
    kn_child child; /* the thread's alone */
    int deaths;     /* since a job last ended well: the thread's alone */

    pthread_mutex_t lock; /* of what others look at */
    const char *state;
    pid_t pid;
    int n_deaths;
    char device[160], error[200];
    char job_id[KN_JOB_ID_BYTES];
    json_t *progress;
} kn_slot;

int kn_slot_start(kn_slot *s, kn_slot_shared *shared, kn_err *err);
void kn_slot_wake(kn_slot *s); /* from any thread */
void kn_slot_join(kn_slot *s); /* shared->stopping is set */

/* A new reference, if the slot has that job and it said something. */
json_t *kn_slot_progress(kn_slot *s, const char *job_id);
json_t *kn_slot_to_json(kn_slot *s);

#endif
