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
    atomic_llong keep_s;   /* how long models stay loaded after a job; 0: not at all */
    struct kn_slot *slots; /* all of them */
    int n_slots;
} kn_slot_shared;

typedef struct kn_slot {
    kn_slot_shared *shared;
    pthread_t thread;
    bool is_running;
    int wake_fd;
    kn_child child;     /* the thread's alone */
    int deaths;         /* since a job last ended well: the thread's alone */
    atomic_bool unload; /* what the worker keeps loaded is to go */

    pthread_mutex_t lock; /* of what others look at */
    const char *state;
    pid_t pid;
    int n_deaths;
    char device[160], error[200];
    char job_id[KN_JOB_ID_BYTES];
    json_t *progress;
    json_t *loaded; /* what the worker keeps loaded between jobs (kn_warm_to_json); NULL: nothing */
} kn_slot;

/* All are made before one is started: they look at each other. */
int kn_slot_init(kn_slot *s, kn_slot_shared *shared, kn_err *err);
int kn_slot_start(kn_slot *s, kn_err *err);
void kn_slot_wake(kn_slot *s); /* from any thread */
void kn_slot_join(kn_slot *s); /* shared->stopping is set */
void kn_slot_done(kn_slot *s); /* after all were joined */

/* ---- what the worker keeps loaded between jobs ---- */

/* What the worker keeps loaded goes, after its job if it has one. From any thread. */
void kn_slot_unload(kn_slot *s);
/* Of what it keeps loaded, the bytes that others could have. */
size_t kn_slot_idle_bytes(kn_slot *s);
/* As the worker says it; NULL: nothing. */
void kn_slot_set_loaded(kn_slot *s, const json_t *parts);
/* Tells the worker, if kn_slot_unload was called: the thread's alone. */
void kn_slot_pass_unload_on(kn_slot *s);
/* A job that begins in the slot needs the memory more than workers that have none. */
void kn_slot_make_room(const kn_slot *s);

/* A new reference, if the slot has that job and it said something. */
json_t *kn_slot_progress(kn_slot *s, const char *job_id);
json_t *kn_slot_to_json(kn_slot *s);

#endif
