/* The worker: a process that owns the device and runs one job after the other, as the server tells it over a socket.
 *
 * To the worker:   {"do": "run", "job": ID, "request": {...}, "state_dir", "cache_dir", "preview", "thumbnail"}
 *                  {"do": "stop"}: the running job, whose state is kept; {"do": "quit"}
 * From the worker: {"say": "ready", "device": ...}, {"say": "alive", "cpu_s": ...} every KN_WORKER_BEAT_MS, and of the job
 *                  {"say": "plan", "plan": {...}}, {"say": "note", "text": ...},
 *                  {"say": "progress", "phase", "text", "done", "total", "elapsed_s", "unit_s", "eta_s"},
 *                  {"say": "done", "result": {...}}, {"say": "failed", "code": -5, "message": ...} */
#ifndef KN_JOBS_WORKER_H
#define KN_JOBS_WORKER_H

#include "base/err.h"

enum {
    KN_WORKER_FD = 3,
    KN_WORKER_BEAT_MS = 1000,
};

/* Serves until the other side says quit or is gone. */
int kn_worker_main(int fd, kn_err *err);

#endif
