/* Inside a checkpoint: what the readers (safetensors, GGUF) build and the other files of this folder share. */
#ifndef KN_TENSOR_CHECKPOINT_PRIV_H
#define KN_TENSOR_CHECKPOINT_PRIV_H

#include "base/file.h"
#include "base/mem.h"
#include "tensor/checkpoint.h"

typedef struct kn_ck_meta {
    const char *key, *value;
    struct kn_ck_meta *next;
} kn_ck_meta;

typedef struct kn_ck_map {
    kn_map map;
    struct kn_ck_map *next;
} kn_ck_map;

struct kn_checkpoint {
    kn_arena arena; /* entries, names, metadata: entries never move */
    const char *path;
    bool is_random;
    uint64_t seed;
    kn_entry **entries;
    int n_entries, max_entries;
    int32_t *slots;   /* open addressing: entry index + 1, 0 = free */
    uint32_t n_slots; /* power of two, more than twice n_entries */
    kn_ck_map *maps;  /* none when opened from memory */
    kn_ck_meta *meta, *last_meta;
};

int kn_ck_new(const char *path, kn_checkpoint **ret, kn_err *err);

/* Copies *e (with its name; `file` must outlive the checkpoint). A bad or second name is KN_EFORMAT, too many entries
 * KN_ELIMIT. */
int kn_ck_add(kn_checkpoint *ck, const kn_entry *e, kn_err *err);
/* Keys may come twice: the first stays. Copies both. */
int kn_ck_add_meta(kn_checkpoint *ck, const char *key, const char *value, size_t value_size, kn_err *err);
/* Elements of the dims, or -1 if one is negative or the product overflows. */
int64_t kn_ck_numel(int n_dims, const int64_t *dims);
/* Checks that the entries from index `first` on do not overlap in the file. */
int kn_ck_check_overlaps(const kn_checkpoint *ck, int first, kn_err *err);
/* Links fp8 scales to their weights and takes them, and markers that describe them, out of the list. */
int kn_ck_link_scales(kn_checkpoint *ck, kn_err *err);
/* Replaces the list by those of its entries that `keep` marks, and rebuilds the index. */
int kn_ck_filter(kn_checkpoint *ck, const bool *keep, kn_err *err);

/* Readers: add the entries and metadata of one file that lies at data; `file` names it in messages. */
int kn_ck_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file, kn_err *err);
int kn_safetensors_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file,
                        kn_err *err);
int kn_gguf_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file, kn_err *err);
/* Maps a file and reads it. */
int kn_ck_read_file(kn_checkpoint *ck, const char *path, kn_err *err);

/* Decodes n elements from element `begin` on (both multiples of the dtype's block), scales applied. */
void kn_ck_decode(const kn_entry *e, int64_t begin, int64_t n, float *dst);
/* The whole entry is about to be read: in large pieces, not by page faults. */
void kn_ck_prefetch(const kn_checkpoint *ck, const kn_entry *e);
/* The pages of the entry are not needed again soon; nothing happens to entries that are not in a file's map. */
void kn_ck_release(const kn_checkpoint *ck, const kn_entry *e);

/* "[2, 3]" for messages. */
enum { KN_DIMS_STR = 160 };
const char *kn_dims_str(int n_dims, const int64_t *dims, char *buf, size_t size);

#endif
