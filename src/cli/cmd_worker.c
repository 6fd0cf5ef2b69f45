/* kinora worker: what `kinora serve` starts for each device; not for people. */
#include "cli/cli.h"
#include "jobs/worker.h"

int kn_cmd_worker(const kn_args *a)
{
    bool help = false;
    const kn_switch switches[] = {{0}};
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help)
        kn_args_help(a, &(kn_usage){"worker (started by kinora serve, with a socket as file descriptor 3)",
                                    switches, false, NULL, NULL});
    else if (!rc)
        rc = kn_worker_main(KN_WORKER_FD, &err);
    return rc ? kn_cli_fail(&err) : 0;
}
