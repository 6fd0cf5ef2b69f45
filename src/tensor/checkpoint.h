/* Checkpoints: named tensors as they lie on disk, mapped, never trusted.
 *
 * Opens a safetensors file, a GGUF file, a sharded `*.safetensors.index.json`, or a diffusers component folder
 * (`diffusion_pytorch_model*.safetensors`, `model*.safetensors`, their indexes, with an optional variant).
 * Everything is checked on opening: header sizes, offsets, overlaps, dtype x shape against byte counts. */
#ifndef KN_TENSOR_CHECKPOINT_H
#define KN_TENSOR_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "tensor/dtype.h"

enum { KN_ENTRY_MAX_DIMS = 6 };

typedef struct kn_entry {
    const char *name;
    kn_dtype dtype;
    int n_dims;
    int64_t dims[KN_ENTRY_MAX_DIMS]; /* outermost first (GGUF's order is turned round) */
    const void *data;                /* in the map; NULL in a random checkpoint */
    size_t bytes;
    const char *file; /* for messages */
    /* fp8: the entry that multiplies it (`<module>.scale_weight` or `weight_scale`), of one element or one a row;
     * NULL = 1. Scales, and markers such as `scaled_fp8`, are not listed among a checkpoint's entries. */
    const struct kn_entry *scale;
    bool used; /* set by the loader; see kn_loader_finish */
} kn_entry;

typedef struct kn_checkpoint kn_checkpoint;

/* variant: NULL, or e.g. "fp16". Prefers safetensors. */
int kn_checkpoint_open(const char *path, const char *variant, kn_checkpoint **ret, kn_err *err);
/* From memory (fuzzing, embedded files); data must outlive it. */
int kn_checkpoint_open_memory(const void *data, size_t size, const char *origin, kn_checkpoint **ret,
                              kn_err *err);
/* Any name of any shape exists, with normal values scaled to keep activations finite: benchmarks at real sizes.
 * It lists no entries; the loader asks it for values (tensor/checkpoint_random.h). */
int kn_checkpoint_random(uint64_t seed, kn_checkpoint **ret, kn_err *err);
void kn_checkpoint_close(kn_checkpoint *ck);

bool kn_checkpoint_is_random(const kn_checkpoint *ck);
int kn_checkpoint_count(const kn_checkpoint *ck);
kn_entry *kn_checkpoint_at(kn_checkpoint *ck, int i);
kn_entry *kn_checkpoint_find(kn_checkpoint *ck, const char *name); /* NULL if absent */
/* safetensors __metadata__; GGUF strings, and its numbers as decimal text. NULL if absent. */
const char *kn_checkpoint_meta(const kn_checkpoint *ck, const char *key);
uint64_t kn_checkpoint_bytes(const kn_checkpoint *ck);
const char *kn_checkpoint_path(const kn_checkpoint *ck); /* as opened */

/* Hashes of the files: where they lie on the disk (not by what name), and also what is in them, by size, times of change, and
 * every tensor's name, type, shape and place.  Contents are not read: nothing changes them without changing a time.
 * 0 if there are no files. */
uint64_t kn_checkpoint_place(const kn_checkpoint *ck);
uint64_t kn_checkpoint_identity(const kn_checkpoint *ck);

/* Renames every entry through `fn`, which writes the new name into out and returns 0 (rename), 1 (keep) or
 * 2 (drop: not ours, never reported as extra). Two entries of one name are KN_EFORMAT. */
typedef int (*kn_rename_fn)(void *ud, const char *name, char *out, size_t size);
int kn_checkpoint_rename(kn_checkpoint *ck, kn_rename_fn fn, void *ud, kn_err *err);

/* The whole entry as float32 (fp8 scales applied). dst has room for all elements. */
int kn_entry_to_f32(const kn_entry *e, float *dst, kn_err *err);
int64_t kn_entry_numel(const kn_entry *e);

/* Writes a safetensors file atomically. */
typedef struct kn_save_tensor {
    const char *name;
    kn_dtype dtype; /* KN_F32, KN_BF16, KN_F16, KN_I32, KN_I64, KN_U8 */
    int n_dims;
    int64_t dims[KN_ENTRY_MAX_DIMS];
    const void *data;
} kn_save_tensor;
int kn_checkpoint_save(const char *path, int n, const kn_save_tensor *tensors, kn_err *err);
/* With __metadata__: an object of strings, or NULL. */
int kn_checkpoint_save_with(const char *path, int n, const kn_save_tensor *tensors, const json_t *metadata,
                            kn_err *err);

#endif
