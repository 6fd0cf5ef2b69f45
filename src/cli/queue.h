/* The commands below `kinora queue`, and what they share. */
#ifndef KN_CLI_QUEUE_H
#define KN_CLI_QUEUE_H

#include "cli/cli.h"
#include "cli/client.h"

int kn_cmd_queue_add(const kn_args *a);
int kn_cmd_queue_show(const kn_args *a);
int kn_cmd_queue_watch(const kn_args *a);
int kn_cmd_queue_cancel(const kn_args *a);
int kn_cmd_queue_pause(const kn_args *a);
int kn_cmd_queue_resume(const kn_args *a);
int kn_cmd_queue_retry(const kn_args *a);
int kn_cmd_queue_remove(const kn_args *a);

/* "" for what is no text. */
const char *kn_queue_text(const json_t *o, const char *key);
/* A time or a duration as far as it can be one, else 0: a number from elsewhere may be any. */
double kn_queue_seconds(const json_t *v);
/* The route of a job: "/api/v1/jobs/ID/what", with what "" "/api/v1/jobs/ID"; heap, NULL without memory. */
char *kn_queue_path(const char *id, const char *what);
int kn_queue_job(kn_client *c, const char *id, json_t **ret, kn_err *err);
/* Shows how a job gets on until it has ended; the error is the job's own. */
int kn_queue_watch(kn_client *c, const char *id, bool json, kn_err *err);
/* The end of every client command: closes the client, prints what went wrong, returns the exit code. */
int kn_client_end(kn_client *c, int rc, bool json, const kn_err *err);

#endif
