/* The table of model families. */
#ifndef KN_MODELS_MODELS_H
#define KN_MODELS_MODELS_H

#include "engine/model.h"

extern const kn_model_desc *const kn_models[]; /* NULL-ended */

/* By built-in name ("testsrc"), or by asking every family what `model` (a folder or file) is.
 * KN_ENOTFOUND if there is no such file or name, KN_EUNSUPPORTED if no family knows it. */
int kn_model_find(const char *model, const kn_model_desc **ret, kn_err *err);

#endif
