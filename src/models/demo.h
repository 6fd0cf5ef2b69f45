/* The model that comes with the program, and is named instead of by where it lies. */
#ifndef KN_MODELS_DEMO_H
#define KN_MODELS_DEMO_H

#include "base/err.h"

#define KN_DEMO_NAME "demo"

/* Its folder, on the heap: $KINORA_DEMO_DIR if that is set, else ../demo (in a build tree) or ../share/kinora/demo
 * (installed), as seen from the program's folder. KN_ENOTFOUND says where it was looked for. */
int kn_demo_find(char **ret_dir, kn_err *err);

#endif
