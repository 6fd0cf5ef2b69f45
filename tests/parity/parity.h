/* The comparison tool: runs Kinora's modules and pipelines on a fixture's inputs and compares every golden tensor.
 *
 * A golden is checked, or it is an input; one that is neither is reported as failed, so that nothing is skipped
 * unseen. */
#ifndef KN_TESTS_PARITY_H
#define KN_TESTS_PARITY_H

#include "engine/run.h"
#include "models/common/t5.h"
#include "tensor/checkpoint.h"
#include "tensor/loader.h"

typedef struct parity {
    const char *dir;
    kn_dtype dtype; /* of linear weights */
    kn_dtype act;
    kn_device *dev;
    kn_checkpoint *golden;
    json_t *fixture;
    bool *seen; /* by golden entry */
    int passed, failed;
} parity;

/* Relative L2 a module may be off, by dtype; pipelines add up several. */
double parity_tolerance(const parity *p);
double parity_pipeline_tolerance(const parity *p);

bool parity_has(const parity *p, const char *name);
/* An input: float32 copy (caller frees), marked as used. NULL if absent. */
float *parity_input(parity *p, const char *name, const kn_entry **ret_entry);
void parity_mark(parity *p, const char *name);
/* Compares n values with the golden; prints the line. A golden that is absent is ignored (returns false). */
bool parity_check(parity *p, const char *name, const float *data, int64_t n, double tolerance);
void parity_check_tensor(parity *p, kn_ctx *c, const char *name, kn_tensor t, double tolerance);
void parity_result(parity *p, const char *name, bool ok, const char *detail);
/* Says that something could not be run; counts as a failure. */
void parity_error(parity *p, const char *what, const kn_err *err);
/* "dir/a/b" (heap). */
char *parity_path(const parity *p, const char *relative);
/* The model folder this fixture's modules use ("model", or what the key `model` or `configs` names). */
char *parity_model_dir(const parity *p);
json_t *parity_json(const parity *p, const char *path, kn_err *err);

/* A component on the device. */
typedef struct component {
    kn_ctx ctx;
    kn_checkpoint *ck;
    kn_weight_set set;
    kn_loader loader;
} component;
int component_open(parity *p, component *k, const char *path, const kn_lora_set *lora, kn_err *err);
void component_close(component *k);

/* The text encoder, a block at a time. */
kn_tensor parity_encode(kn_ctx *c, const kn_t5_config *f, kn_loader *l, const kn_t5_seq *seqs, int n_seqs,
                        const kn_t5_hooks *hooks);
/* [1, C, T, h, w] on the host -> [T, h, w, C] on the device. */
kn_tensor parity_channels_last(kn_ctx *c, const float *data, const int64_t *dims);
/* [T, h, w, C] on the device, compared as [1, C, T, h, w]. */
void parity_check_channels_first(parity *p, kn_ctx *c, const char *name, kn_tensor t, double tolerance);

/* ---- what a fixture may hold ---- */
void parity_tokens(parity *p);
void parity_text(parity *p);         /* text.* of a Wan pipeline */
void parity_text_encoder(parity *p); /* the text-umt5 fixture */
void parity_clip(parity *p);
void parity_transformer(parity *p, const char *part, const char *weights, const char *config,
                        const kn_lora_set *lora, const char *out);
void parity_transformers(parity *p);
void parity_vae(parity *p, const char *weights, const char *config);
void parity_pipelines(parity *p);
void parity_lora(parity *p);
void parity_single_files(parity *p);
void parity_schedulers(parity *p);
void parity_rng(parity *p);

#endif
