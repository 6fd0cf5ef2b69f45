/* Inside a LoRA set: what its files change, and how their keys are read. */
#ifndef KN_TENSOR_LORA_PRIV_H
#define KN_TENSOR_LORA_PRIV_H

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "tensor/lora.h"

typedef enum kn_delta_kind {
    KN_DELTA_LOW_RANK, /* up x down */
    KN_DELTA_DIFF,     /* a whole difference */
    KN_DELTA_LOHA,     /* (a1 x b1) o (a2 x b2), element by element */
    KN_DELTA_LOKR,     /* Kronecker product of w1 and w2, each whole or a product of two */
} kn_delta_kind;

typedef struct kn_delta {
    const char *tensor; /* canonical name, with ".weight" or the like */
    kn_delta_kind kind;
    float scale;         /* strength x alpha / rank */
    int64_t n_out, n_in; /* of the tensor */
    /* LOW_RANK: up, down.  DIFF: the difference.  LOHA: a1, b1, a2, b2.
     * LOKR: w1 or its factors a1, b1; w2 or its factors a2, b2 (a whole one has no b). */
    const kn_entry *a1, *b1, *a2, *b2;
    struct kn_delta *next; /* in its bucket, in the order of addition */
} kn_delta;

enum { KN_LORA_BUCKETS = 4096 }; /* a 14B model has about 500 changed tensors a file */

struct kn_lora_set {
    kn_arena arena;
    kn_checkpoint *files[KN_LIMIT_LORAS]; /* stay mapped: deltas point into them */
    int n_files;
    kn_delta *buckets[KN_LORA_BUCKETS];
};

enum { KN_LORA_NAME = KN_LIMIT_TENSOR_NAME_BYTES + 64 };

/* Copies *d (and its tensor name) into the set. */
int kn_lora_put(kn_lora_set *s, const kn_delta *d, kn_err *err);
/* The first delta of the tensor; more follow by kn_lora_next. NULL if there is none. */
const kn_delta *kn_lora_first(const kn_lora_set *s, const char *tensor);
const kn_delta *kn_lora_next(const kn_delta *d);

/* ---- modules: from the names in a file to the names of the target ---- */

typedef struct kn_lora_alias {
    char *flat;         /* the module's name with '_' for '.' */
    const char *module; /* canonical; borrowed from the target's entry, not NUL-terminated: */
    int length;
} kn_lora_alias;

typedef struct kn_lora_modules {
    kn_checkpoint *target;
    const kn_name_map *map; /* may be NULL */
    kn_lora_alias *aliases; /* sorted by flat */
    int n_aliases;
} kn_lora_modules;

int kn_lora_modules_init(kn_lora_modules *m, kn_checkpoint *target, const kn_name_map *map, kn_err *err);
void kn_lora_modules_done(kn_lora_modules *m);
/* The target's tensor `<module><suffix>` that a key's module means, or, with bare, `<module>` itself as second choice.
 * ret_name has KN_LORA_NAME bytes. NULL if there is none. */
const kn_entry *kn_lora_resolve(const kn_lora_modules *m, const char *module, const char *suffix, bool bare,
                                char *ret_name);

/* ---- alpha from metadata ---- */

typedef struct kn_lora_config {
    json_t *json;       /* NULL: there is none */
    const char *prefix; /* of its keys: "transformer." or "" */
    double alpha;       /* NaN: not said */
    bool use_rslora;
} kn_lora_config;

/* Reads `lora_adapter_metadata` of the file, or `adapter_config.json` beside it. */
int kn_lora_config_init(kn_lora_config *c, const kn_checkpoint *file, kn_err *err);
void kn_lora_config_done(kn_lora_config *c);
/* alpha / rank as the metadata says; 1 if it says nothing. `module` as in the file. */
double kn_lora_config_scale(const kn_lora_config *c, const char *module, int64_t rank);

#endif
