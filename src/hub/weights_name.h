/* Names of weights: "diffusion_pytorch_model.fp16-00001-of-00002.safetensors" is the first of two pieces of variant fp16. */
#ifndef KN_HUB_WEIGHTS_NAME_H
#define KN_HUB_WEIGHTS_NAME_H

#include <stdbool.h>
#include <stddef.h>

typedef struct kn_weights_name {
    char stem[64];       /* "diffusion_pytorch_model" */
    char variant[64];    /* "fp16"; "" */
    int piece, n_pieces; /* from 1; 0 of 0: whole */
    bool is_index;       /* the list of pieces */
} kn_weights_name;

/* Of a name without folders; false: it is no name of safetensors or of an index of them. */
bool kn_weights_name_read(const char *name, kn_weights_name *ret);

#endif
