/* An opened Wan model: configurations, mapped weights and the tokenizer of one pipeline; nothing on a device yet. */
#ifndef KN_MODELS_WAN_MODEL_H
#define KN_MODELS_WAN_MODEL_H

#include "engine/model.h"
#include "engine/plan.h"
#include "models/common/clip_vision.h"
#include "models/common/t5.h"
#include "models/wan/inputs.h"
#include "models/wan/transformer.h"
#include "models/wan/vae.h"
#include "tensor/lora.h"
#include "text/tokenizer.h"

enum { KN_WAN_HIGH, KN_WAN_LOW, KN_WAN_EXPERTS }; /* the first is the only one of most models */

/* What normalised latents look like, about: 0..1 (models/wan/preview.h). */
typedef struct kn_wan_colours {
    bool are_known;
    float base[3], slope[KN_WAN_VAE_MAX_Z][3];
} kn_wan_colours;

typedef struct kn_wan_model {
    char *path;
    kn_wan_config dit[KN_WAN_EXPERTS];
    kn_checkpoint *dit_ck[KN_WAN_EXPERTS]; /* [KN_WAN_LOW] NULL: a single transformer */
    kn_lora_set *loras[KN_WAN_EXPERTS];    /* NULL: none */
    kn_wan_vae_config vae;
    kn_checkpoint *vae_ck;
    kn_wan_colours colours; /* once a run was watched */
    kn_t5_config text;
    kn_checkpoint *text_ck;
    kn_tokenizer *tokenizer; /* NULL with random weights */
    bool has_clip;
    kn_clip_vision_config clip;
    kn_checkpoint *clip_ck;
    kn_wan_clip_pixels clip_pixels;
    kn_scheduler_config scheduler;
    double boundary_ratio; /* < 0: one expert */
    bool expand_timesteps; /* TI2V: a timestep a token */
} kn_wan_model;

/* rq->model is a diffusers folder, or a single file with --vae, --text-encoder and (unless the sizes are the published
 * ones) --config. Weights are mapped, not read. */
int kn_wan_model_open(const kn_request *rq, kn_wan_model **ret, kn_err *err);
/* A model of a published size with random weights (random.c). */
int kn_wan_model_open_random(const char *config, bool with_text, kn_wan_model **ret, kn_err *err);
extern const char kn_wan_random_configs[];
void kn_wan_model_close(kn_wan_model *m);
/* 0..100: how surely a path is a Wan model. */
int kn_wan_model_probe(const char *path);

/* What the pipeline can do with it. */
bool kn_wan_is_vace(const kn_wan_model *m);
bool kn_wan_takes_image(const kn_wan_model *m); /* image to video: condition channels, or expand_timesteps */
unsigned kn_wan_tasks(const kn_wan_model *m);
const char *
kn_wan_variant(const kn_wan_model *m); /* "T2V", "I2V", "FLF2V", "VACE", "T2V two experts", "TI2V" ... */

#endif
