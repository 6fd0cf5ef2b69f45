/* A client of the studio: every command speaks the HTTP API, to the server that runs, or, where none runs for the data
 * folder, to a private one that begins no work and lives as long as the command (or, where `only_served` says so, to none). */
#ifndef KN_CLI_CLIENT_H
#define KN_CLI_CLIENT_H

#include <stdbool.h>

#include "base/json.h"

typedef struct kn_client kn_client;

typedef struct kn_client_opts {
    const char *server;     /* its address; NULL: KINORA_SERVER, else whoever has the data folder */
    const char *data_dir;   /* NULL: the user's own */
    const char *token_file; /* NULL: KINORA_TOKEN */
    bool may_create;        /* a data folder that is not there is made */
    bool only_served;       /* *ret is NULL where no server runs */
} kn_client_opts;

/* For the table of a command's switches. */
#define KN_CLIENT_SWITCHES(opts)                                                                             \
    {"data-dir", "DIR", "the studio's data folder (default: ~/.local/share/kinora)", NULL,                   \
     &(opts).data_dir},                                                                                      \
        {"server", "URL", "a server elsewhere: http://HOST:PORT (default: KINORA_SERVER, if it is set)",     \
         NULL, &(opts).server},                                                                              \
    {                                                                                                        \
        "token-file", "FILE", "file with the server's token (default: what KINORA_TOKEN holds)", NULL,       \
            &(opts).token_file                                                                               \
    }

/* KN_EBUSY: the data folder's server does not say where it is. */
int kn_client_open(const kn_client_opts *opts, kn_client **ret, kn_err *err);
void kn_client_close(kn_client *c); /* accepts NULL */
/* No server runs: nothing works on the queue. */
bool kn_client_is_alone(const kn_client *c);

/* body NULL: none with GET and DELETE, else {}. *ret (may be NULL): the answer, a new reference. An error of the server is
 * returned with its own code and message; KN_EIO: it cannot be reached. */
int kn_client_call(kn_client *c, const char *method, const char *path, const json_t *body, json_t **ret,
                   kn_err *err);
/* Sends a picture or clip; *ret_id is heap ("upl_....png"). */
int kn_client_upload(kn_client *c, const char *file, char **ret_id, kn_err *err);

/* The first line of a file, heap: secrets come this way, because everybody sees the arguments of a program. */
int kn_cli_token(const char *file, char **ret, kn_err *err);

#endif
