/* What the hub says and what downloads are, as our clients and VideoGen's see it. */
#ifndef KN_SERVER_HUB_JSON_H
#define KN_SERVER_HUB_JSON_H

#include "base/json.h"

/* Adds to a model of the hub "installed" (it was fetched into models_dir) and "support": "likely" (a family is called as its
 * pipeline's class begins), "not_supported" (no family is) or "unknown" (it has no class). */
void kn_hub_add_local(json_t *model, const char *models_dir);
/* A model as an item of VideoGen's lists. */
json_t *kn_hub_to_item(const json_t *model);
/* A download as a task of VideoGen. */
json_t *kn_download_to_task(const json_t *download);

#endif
