/* The table of model families. */
#ifndef KN_MODELS_MODELS_H
#define KN_MODELS_MODELS_H

#include "engine/model.h"

extern const kn_model_desc *const kn_models[]; /* NULL-ended */

/* Which family runs `model`: a name ("testsrc", "demo"), or a folder or file, of which every family is asked. A name
 * wins over what is called so in the working folder: that is "./demo".
 * *ret_path (heap; ret_path may be NULL for a model that is not a name): where it lies; NULL: it needs no files.
 * KN_ENOTFOUND if there is no such file or name, KN_EUNSUPPORTED if no family knows it. */
int kn_model_find(const char *model, const kn_model_desc **ret, char **ret_path, kn_err *err);

#endif
