/* What models there are, for people and programs: as JSON. */
#ifndef KN_MODELS_CATALOG_H
#define KN_MODELS_CATALOG_H

#include "models/models.h"

/* {"name", "title", "builtin", "tasks"} of a family; NULL without memory. */
json_t *kn_catalog_family(const kn_model_desc *d);
/* The parameters a family takes, in the table's order: [{"name", "type", "min", "max", "choices", "default", "help",
 * "metavar"}]; "default" is words for a person, or null. */
json_t *kn_catalog_parameters(const kn_model_desc *d);

/* One model, by its name or where it lies: as its family, with its own title, tasks, description and "defaults": what a request
 * that leaves everything open becomes. */
int kn_catalog_model(const char *name, json_t **ret, kn_err *err);

/* Every model that needs no files, the demo model, and those in a folder (NULL: none): folders and files in it, or one level
 * deeper, and single files that were fetched (hub/local.h); named as in a request. Of one that lies on the disk also what
 * kn_hub_local_describe says: "complete", "missing", "source". A broken one is listed with "support": "not_supported" and an "error". */
int kn_catalog_list(const char *folder, json_t **ret, kn_err *err);

#endif
