/* kinora docs: the man page and the shells' completions, from the tables that --help prints; the installation runs it. */
#include <string.h>

#include "cli/cli.h"

int kn_cmd_docs(const kn_args *a)
{
    kn_err err = {0};
    (void)a;
    kn_fail(&err, KN_EUNSUPPORTED, "not yet");
    return kn_cli_fail(&err);
}
