/* The studio: queue, workers, feeds and routes behind one address. */
#ifndef KN_SERVER_STUDIO_H
#define KN_SERVER_STUDIO_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/estimate.h"
#include "jobs/supervisor.h"
#include "server/answers.h"
#include "server/downloads.h"
#include "server/housekeeping.h"
#include "server/http.h"
#include "server/logs.h"
#include "server/resources.h"
#include "server/webhooks.h"

typedef struct kn_studio_opts {
    const char *data_dir;
    const char *host; /* NULL: 127.0.0.1 */
    int port;         /* 0: the system chooses */
    const char *token;
    const char *const *hosts; /* more names the server goes by; NULL-terminated; may be NULL */
    const char *program;      /* Kinora itself */
    bool
        is_idle; /* the routes answer, but no job, download or cleanup is begun, and nobody is told the address */
    const int *webhook_delays_ms; /* server/webhooks.h; NULL: the usual ones */
    void (*log)(void *ud, const char *line);
    void *log_ud;
} kn_studio_opts;

enum { KN_STUDIO_TABLES = 10 };

typedef struct kn_studio {
    kn_studio_opts opts;
    kn_places places;
    kn_queue *queue;
    kn_supervisor *supervisor;
    kn_feed *progress, *resource_feed;
    kn_resources *resources;
    kn_logs *logs;
    kn_housekeeping *housekeeping;
    kn_downloads *downloads;
    kn_webhooks *webhooks;
    kn_answers *answers;
    atomic_ullong n_progress; /* how often a job said how far it is */
    kn_route_table tables[KN_STUDIO_TABLES];
    kn_http *http;
    int lock_fd; /* of the data folder: one server at a time, and none while workers of the last one live */
    int64_t n_workers, keep_s; /* as the settings were at the start */
    pthread_mutex_t rates_lock;
    kn_known_rates rates;
} kn_studio;

/* Listens when it returns. KN_EBUSY: another one has the data folder. */
int kn_studio_open(const kn_studio_opts *opts, kn_studio **ret, kn_err *err);
/* Whether a server, or a command by itself, has the data folder now. */
bool kn_studio_is_open(const char *data_dir);
int kn_studio_port(const kn_studio *s);
/* Running jobs go back in line, and go on where they were when the studio is opened again. Accepts NULL. */
void kn_studio_close(kn_studio *s);

/* ---- for the routes ---- */

/* A request as a client gave it, checked as far as can be without running it; *ret: with what the settings and the studio
 * add (a seed), for the queue; *ret_complete (may be NULL): with every default. On failure the reply says which parameter is
 * to blame. */
int kn_studio_check_request(kn_studio *s, const json_t *given, json_t **ret, json_t **ret_complete,
                            kn_reply *reply, kn_err *err);
/* Checks it and puts it in line. labels may be NULL. */
int kn_studio_submit(kn_studio *s, kn_reply *reply, const json_t *request, const json_t *labels,
                     int64_t priority, kn_job *ret, kn_err *err);
/* Stops the job, waits until its worker has let go of it, and removes it with its files. */
int kn_studio_delete(kn_studio *s, const char *id, kn_err *err);
/* Keeps an uploaded file, which is moved away, under an id of its own ("upl_....png"), by what its bytes are. */
typedef struct kn_upload {
    char id[64];
    int64_t width, height; /* 0: not known before it is decoded */
} kn_upload;
int kn_studio_keep_upload(kn_studio *s, const char *path, kn_upload *ret, kn_err *err);
/* A job's video; a folder of pictures as a ZIP. */
int kn_studio_reply_video(kn_reply *reply, const char *output, bool is_download, kn_err *err);
/* "video/mp4", by the ending of a name. */
const char *kn_media_type(const char *path);
/* No job is begun while the queue is held, also after a restart. */
int kn_studio_hold(kn_studio *s, bool hold, kn_err *err);
/* What takes effect at once. */
void kn_studio_apply_settings(kn_studio *s, const json_t *settings);
/* Changes settings for good and applies them; *ret: all of them as they are now. */
int kn_studio_change_settings(kn_studio *s, const json_t *change, json_t **ret, kn_err *err);
/* Says in the reply which parameter an error begins with, if it does; returns the error's code. */
int kn_reply_blame(kn_reply *r, const kn_err *err);
/* What `make` answers is a matter of the jobs, their progress and the hold alone: while none of that changes, the same question
 * has the same answer without it. For GET. */
int kn_studio_reply_kept(kn_studio *s, const kn_http_request *rq, kn_reply *reply, kn_handler make,
                         kn_err *err);
/* A job as the API gives it, with its progress. */
json_t *kn_studio_job_to_json(kn_studio *s, const kn_job *j);

/* The tables that are in effect. */
const kn_route_table *kn_studio_tables(const kn_studio *s, int *ret_n);
json_t *kn_openapi(const kn_route_table *tables, int n_tables);

extern const kn_route kn_routes_jobs[], kn_routes_media[], kn_routes_system[], kn_routes_page[],
    kn_routes_openai[], kn_routes_tasks[], kn_routes_runtime[], kn_routes_meta[], kn_routes_hub[],
    kn_routes_webhooks[];

#endif
