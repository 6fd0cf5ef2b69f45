/* Wan's video transformer: text to video, image to video, first and last frame, VACE, and the 2.2 experts.
 *
 * Equal to diffusers' WanTransformer3DModel and WanVACETransformer3DModel.  Latents are channels-last, one clip at a
 * time: classifier-free guidance is two forwards.  What depends on the prompt and the picture alone is computed once
 * and kept in a kn_wan_context; what depends on the shape alone is the rotary table (models/wan/rope.h). */
#ifndef KN_MODELS_WAN_TRANSFORMER_H
#define KN_MODELS_WAN_TRANSFORMER_H

#include "base/json.h"
#include "models/common/trace.h"
#include "models/wan/rope.h"
#include "tensor/blocks.h"
#include "tensor/ops.h"

enum { KN_WAN_MAX_LAYERS = 256 };

typedef struct kn_wan_config {
    int64_t dim; /* n_heads * head_dim */
    int64_t head_dim, ffn_dim, freq_dim, text_dim;
    int64_t in_channels, out_channels;
    int n_heads, n_layers;
    int patch[3];         /* frames, rows, columns */
    int64_t image_dim;    /* of the CLIP states; 0: no image cross attention */
    int64_t n_pos_embed;  /* learned positions of the image tokens (first-last-frame); 0: none */
    bool cross_attn_norm; /* a norm with weights before cross attention */
    float eps;
    int n_vace;                         /* control blocks; 0: not VACE */
    int vace_layers[KN_WAN_MAX_LAYERS]; /* ascending: hint i is added after main block vace_layers[i] */
    int64_t vace_in_channels;
} kn_wan_config;

/* From transformer/config.json; `origin` names it in messages. */
int kn_wan_config_read(const json_t *obj, const char *origin, kn_wan_config *ret, kn_err *err);
/* From the shapes of a checkpoint with canonical names (single files carry no config).  head_dim: 0 for the 128 of
 * every published model.  VACE layers are spread evenly, as all published ones are. */
int kn_wan_config_derive(kn_checkpoint *ck, int64_t head_dim, kn_wan_config *ret, kn_err *err);

typedef struct kn_wan_attention {
    const kn_weight *q, *k, *v, *o;
    kn_tensor norm_q, norm_k;       /* over all heads */
    const kn_weight *add_k, *add_v; /* image tokens; NULL: none */
    kn_tensor norm_added_k;
} kn_wan_attention;

typedef struct kn_wan_block {
    kn_wan_attention self, cross;
    kn_tensor norm2_w, norm2_b; /* before cross attention; null: none */
    const kn_weight *ffn_in, *ffn_out;
    kn_tensor modulation;                /* [6, dim], scale_shift_table */
    const kn_weight *proj_in, *proj_out; /* VACE blocks: control in (the first block), hint out */
} kn_wan_block;

typedef struct kn_wan_image_embedder {
    kn_tensor norm1_w, norm1_b, norm2_w, norm2_b, pos;
    const kn_weight *in, *out;
} kn_wan_image_embedder;

typedef struct kn_wan_transformer {
    kn_wan_config config;
    const kn_weight *patch, *vace_patch, *proj_out;
    const kn_weight *time_1, *time_2, *time_proj, *text_1, *text_2;
    kn_wan_image_embedder image;
    kn_tensor modulation;            /* [2, dim] of the head */
    kn_blocks *blocks, *vace_blocks; /* of kn_wan_block; owned */
} kn_wan_transformer;

/* Loads everything but the blocks that do not stay: n_resident (KN_ALL_BLOCKS) do, of the main blocks first.  l->err says
 * how it went.  int8 mode: the blocks' matrices become int8, the rest stays bf16, and the tiny layers at both ends f32.
 * m must not move until _done, which leaves the weights in l->set. */
void kn_wan_transformer_load(kn_wan_transformer *m, const kn_wan_config *config, int n_resident,
                             kn_loader *l);
void kn_wan_transformer_done(kn_wan_transformer *m);
/* How many blocks there are, of which some may stay. */
int kn_wan_n_blocks(const kn_wan_config *config);

/* Keys and values of one block's cross attention, [n_text or n_image, dim]. */
typedef struct kn_wan_kv {
    kn_tensor k, v, k_image, v_image;
} kn_wan_kv;

/* A prompt (and picture) as the blocks see it. */
typedef struct kn_wan_context {
    kn_tensor text;  /* [n_text, dim] */
    kn_tensor image; /* [n_image, dim]; null without a picture */
    /* The last row of `text` stands for this many equal ones (0: for itself).  The reference pads prompts with zero
     * rows and attends to them all: one row counted often gives the same, for a fraction of the work. */
    int n_equal;
    const bool *skipped; /* [n_layers] main blocks that are left out; NULL: none */
    kn_wan_kv *kv;       /* NULL, or one for each block and then each VACE block */
} kn_wan_context;

/* text: [n_text, text_dim], f32 or bf16, padded as the pipeline says (Wan: zero rows up to 512, or one of them and
 * n_equal set afterwards); image: [n_image, image_dim] (two pictures: one behind the other), null without.  Tensors belong to
 * the current scope.  trace may be NULL: dit.text, dit.image. */
void kn_wan_context_init(kn_ctx *c, const kn_wan_transformer *m, kn_tensor text, kn_tensor image,
                         const kn_trace *trace, kn_wan_context *ret);
/* Computes the keys and values of every block into the current scope, so that steps need not: 2 * n_text * dim
 * elements a block, for two matrix products of n_text rows a block and step saved.  Not worth it when blocks come and go:
 * they would all have to come. */
void kn_wan_context_keep_kv(kn_ctx *c, const kn_wan_transformer *m, kn_wan_context *context);
/* Host memory only. */
void kn_wan_context_done(kn_wan_context *context);

typedef struct kn_wan_input {
    kn_tensor latents;      /* f32 [frames, height, width, in_channels]; multiples of the patch */
    const float *timesteps; /* host, 0..1000 */
    int n_timesteps;
    /* Host, one a token: which timestep it has (TI2V: tokens of the first frame have their own).  NULL: all the
     * first.  dit.temb and dit.time_proj then have a row a timestep. */
    const int32_t *token_timestep;
    const kn_wan_context *context;
    const kn_rope *rope;        /* of latents' token grid */
    kn_tensor control;          /* VACE: f32 [frames, height, width, vace_in_channels] */
    const float *control_scale; /* host, n_vace values; NULL: all 1 */
    const kn_trace *trace;      /* may be NULL */
} kn_wan_input;

/* The velocity, f32 [frames, height, width, out_channels].  Peak memory beyond the input: the residual stream (f32)
 * and about four activations of a row a token. */
kn_tensor kn_wan_transformer_forward(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in);
/* The same for in->context and then for `other`, block by block, so that blocks that come and go come once: f32 [2 * frames,
 * height, width, out_channels].  One more residual stream in memory. */
kn_tensor kn_wan_transformer_forward_pair(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in,
                                          const kn_wan_context *other);

/* ---- for step caches ---- */

/* What the first block adds, of at most KN_WAN_SAMPLE_TOKENS tokens spread over the video: host, _size values. */
enum { KN_WAN_SAMPLE_TOKENS = 1024 };
int64_t kn_wan_first_block_size(const kn_wan_config *f, const kn_wan_input *in);
void kn_wan_transformer_first_block(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in,
                                    float *ret);
/* A timestep as the blocks are given it: host, _size values. */
int64_t kn_wan_projected_time_size(const kn_wan_config *f);
void kn_wan_transformer_projected_time(kn_ctx *c, const kn_wan_transformer *m, float timestep, float *ret);

#endif
