/* The Wan pipelines: text, picture and control conditioning, sampling, decoding.  One generate for all variants: what a
 * model is (its channels, its experts, its VACE layers) decides what happens. */
#ifndef KN_MODELS_WAN_PIPELINE_H
#define KN_MODELS_WAN_PIPELINE_H

#include "models/wan/model.h"

/* Fills defaults and applies the reference's rounding; refuses what the variant cannot do. */
int kn_wan_prepare(kn_wan_model *m, kn_request *rq, void (*note)(void *ud, const char *text), void *ud,
                   kn_err *err);

int kn_wan_generate(kn_wan_model *m, kn_run *r, kn_err *err);

/* ---- the stages, each loading and freeing its own weights ---- */

/* Text states of the prompt and (if wanted) the negative prompt, on the host.
 *
 * The reference pads them with zero rows to max_sequence_length and attends to those; equal rows are one row that
 * counts n_equal times (kn_wan_context), so only one is kept. */
typedef struct kn_wan_states {
    float *rows; /* [n_rows, dim]; NULL: not wanted */
    int64_t n_rows;
    int n_equal; /* how often the last row counts; 0: once, there is no padding */
} kn_wan_states;

typedef struct kn_wan_text {
    kn_wan_states prompt, negative; /* negative.rows NULL without guidance */
    int64_t dim;
} kn_wan_text;
int kn_wan_encode_text(kn_wan_model *m, kn_run *r, bool with_negative, kn_wan_text *ret, kn_err *err);
void kn_wan_text_done(kn_wan_text *t);

/* What the pictures and clips of a request become, on the host. */
typedef struct kn_wan_condition {
    float *channels; /* [c, T, h, w] appended to the latents; NULL: none */
    int64_t n_channels;
    float *first_latents; /* TI2V: [z, n_first, h, w], the clean first frames; NULL: none */
    int64_t n_first;
    float *image_states; /* CLIP: [n_image, image_dim]; NULL: none */
    int64_t n_image;
    float *control; /* VACE: [c, T, h, w]; NULL: none */
    int64_t n_control;
    int n_references; /* VACE: latent frames in front that are cut off before decoding */
} kn_wan_condition;
int kn_wan_encode_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *ret, kn_err *err);
void kn_wan_condition_done(kn_wan_condition *c);

/* Latents [z, T, h, w] on the host: noise in, result out. */
int kn_wan_sample(kn_wan_model *m, kn_run *r, const kn_wan_text *text, const kn_wan_condition *cond,
                  float *latents, const int64_t dims[4], kn_err *err);
int kn_wan_decode(kn_wan_model *m, kn_run *r, const float *latents, const int64_t dims[4], kn_err *err);

/* Hands a value to the run's trace in the reference's layout. */
void kn_wan_trace_channels_last(kn_run *r, const char *name, const float *data, int64_t t, int64_t h,
                                int64_t w, int64_t c);

#endif
