/* What lies in a model's folder and where it is from: .kinora-hub.json, beside the files. */
#ifndef KN_HUB_MANIFEST_H
#define KN_HUB_MANIFEST_H

#include "hub/choose.h"

#define KN_MANIFEST_NAME ".kinora-hub.json"

/* {"repo", "revision", "files": [{"path", "as", "size", "sha256" or "git_sha1", "single"}]}; NULL without memory. */
json_t *kn_manifest_make(const char *id, const char *commit, const kn_choices *c);
/* KN_ENOTFOUND: there is none. KN_EFORMAT: a file's name in it leads elsewhere. */
int kn_manifest_load(const char *folder, json_t **ret, kn_err *err);
int kn_manifest_save(const char *folder, const json_t *manifest, kn_err *err);
/* The entry of a file in the folder; NULL: none. manifest may be NULL. */
const json_t *kn_manifest_find(const json_t *manifest, const char *as);
/* Whether the entry says that this content lies there. */
bool kn_manifest_has(const json_t *manifest, const kn_choice *c);
/* Files of the second that the first does not have are added to it: all, or only single ones. */
int kn_manifest_add(json_t *manifest, const json_t *more, bool only_single, kn_err *err);

#endif
