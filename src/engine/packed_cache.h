/* Which packed weights are kept on disk from one run to the next (tensor/packed.h), where, and for how long.
 *
 * int8 always: quantising is dear, and the file is smaller than its source.  Other types when blocks come and go, where
 * each step would pack them again; but not from a source that is itself smaller (quantised files): where the disk
 * limits, more bytes would lose what packing costs.
 *
 * A file's key holds everything that decides its bytes: the state of the source files (kn_checkpoint_identity), the LoRAs with
 * their strengths, type, device, build.  Its name holds less, so that a file that is out of date is replaced, not joined. */
#ifndef KN_ENGINE_PACKED_CACHE_H
#define KN_ENGINE_PACKED_CACHE_H

#include "engine/run.h"
#include "tensor/lora.h"

#define KN_PACKED_CACHE_SUFFIX ".packed" /* of the entries */

typedef struct kn_packed_want {
    const char *component; /* "transformer" */
    const kn_checkpoint *ck;
    const kn_lora_set *loras; /* NULL: none */
    kn_dtype dtype;
    bool comes_and_goes; /* some of its blocks do */
} kn_packed_want;

/* For kn_loader.packed: a file to read, or one to record; NULL if nothing is kept.  On `meta` recording is rehearsed.  Close
 * it after the weights are freed. */
kn_packed *kn_packed_cache_open(const kn_run *r, const kn_packed_want *w);

/* Whether a file of so many bytes may be written: a tenth of the disk stays free, or
 * KN_LIMIT_PACKED_CACHE_SPARE_BYTES of a large one.  What takes less than a hundredth of the room there is always may. */
bool kn_packed_cache_fits(uint64_t bytes, uint64_t disk_free, uint64_t disk_total);

#endif
