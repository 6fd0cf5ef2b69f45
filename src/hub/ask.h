/* Asking the hub: who asks, and what a repository has. */
#ifndef KN_HUB_ASK_H
#define KN_HUB_ASK_H

#include "hub/fetch.h"
#include "hub/repo.h"

/* A configuration that is complete and checked. */
typedef struct kn_hub_client {
    kn_hub_config config;
    char *endpoint, *token; /* what config points to */
    kn_fetch_opts fetch;
} kn_hub_client;

/* KN_EINVAL: endpoint or token cannot be right. */
int kn_hub_client_init(kn_hub_client *h, const kn_hub_config *c, const atomic_bool *cancel, kn_err *err);
void kn_hub_client_done(kn_hub_client *h);

/* A repository at a revision (NULL: main): the hub's answer (ret_answer may be NULL) and what it lists. */
int kn_hub_ask(const kn_hub_client *h, const char *id, const char *revision, json_t **ret_answer,
               kn_hub_repo *ret, kn_err *err);
/* Its model_index.json; *ret NULL: there is none. */
int kn_hub_ask_index(const kn_hub_client *h, const char *id, const kn_hub_repo *r, json_t **ret, kn_err *err);
/* Where a file's bytes are; heap, NULL without memory. */
char *kn_hub_file_url(const kn_hub_client *h, const char *id, const char *commit, const char *path);

#endif
