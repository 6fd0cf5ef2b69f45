/* What a repository has: its commit and its files, as the hub lists them. */
#ifndef KN_HUB_REPO_H
#define KN_HUB_REPO_H

#include "base/json.h"
#include "base/mem.h"
#include "hub/digest.h"

typedef struct kn_hub_file {
    const char *path; /* in the repository; checked: kn_hub_path_is_safe */
    uint64_t size;
    kn_digest_kind kind;
    char digest[KN_DIGEST_HEX];
} kn_hub_file;

typedef struct kn_hub_repo {
    char commit[KN_DIGEST_HEX];
    kn_hub_file *files; /* sorted by path */
    int n_files;
    uint64_t size; /* of all */
    kn_arena arena;
} kn_hub_repo;

/* Relative, of plain segments: no "..", no empty or hidden one, no backslash or control character. */
bool kn_hub_path_is_safe(const char *path);

/* From the hub's answer for one model with its blobs: {"sha", "siblings": [{"rfilename", "size", "blobId", "lfs": {"sha256",
 * "size"}}]}. Hidden files (".gitattributes") are left out. KN_EFORMAT, KN_ELIMIT. */
int kn_hub_repo_read(const json_t *answer, const char *id, kn_hub_repo *ret, kn_err *err);
void kn_hub_repo_done(kn_hub_repo *r);
const kn_hub_file *kn_hub_repo_find(const kn_hub_repo *r, const char *path); /* NULL: not there */

#endif
