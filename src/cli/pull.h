/* A download that the studio's server does: its page shows it, the disk is looked at once, and nothing is fetched twice. */
#ifndef KN_CLI_PULL_H
#define KN_CLI_PULL_H

#include "cli/client.h"
#include "hub/hub.h"

/* As kn_hub_pull, but for models_dir: the server's own. One that fetches the same already is watched. When `cancel` is set a download that
 * was begun here is cancelled; one of others goes on. ret->path is the server's. */
int kn_pull_served(kn_client *c, const kn_hub_pull_opts *o, kn_hub_pulled *ret, kn_err *err);

#endif
