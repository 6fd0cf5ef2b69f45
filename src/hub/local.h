/* What of a model's folder is there: whether anything is missing, and where it is from. */
#ifndef KN_HUB_LOCAL_H
#define KN_HUB_LOCAL_H

#include "base/json.h"

/* Adds to o: "complete" (bool), "missing" (names of files, at most 20), "source" ({"repo", "revision"} or null). Of a folder: what its
 * list from the hub, its model_index.json and its indexes of pieces name. Nothing of what is read is an error: a broken file is
 * missing. */
void kn_hub_local_describe(const char *folder, json_t *o);
/* Single files of weights that were fetched into the folder: ["vae/x.safetensors"]; NULL: the folder was not fetched, or no memory. */
json_t *kn_hub_local_singles(const char *folder);

#endif
