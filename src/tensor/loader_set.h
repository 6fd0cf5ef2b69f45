/* Inside the loader: putting things into a kn_weight_set. */
#ifndef KN_TENSOR_LOADER_SET_H
#define KN_TENSOR_LOADER_SET_H

#include "base/mem.h"
#include "tensor/device.h"
#include "tensor/loader.h"

struct kn_weight_node {
    kn_weight *w;
    struct kn_weight_node *next;
};

/* A reservation that small parameters are cut from; what is cut is accounted as weights. */
struct kn_vector_node {
    void *data;
    size_t capacity, used;
    struct kn_vector_node *next;
};

int kn_weight_set_add(kn_weight_set *s, const kn_weight_spec *spec, const kn_weight_src *src,
                      const kn_weight **ret, kn_err *err);
/* From a packed file's bytes, which must outlive the set. A failure leaves no error: the weight can be made instead. */
const kn_weight *kn_weight_set_map(kn_weight_set *s, const kn_weight_spec *spec, const void *data,
                                   size_t bytes);
/* Device memory of its own, freed with the set. KN_ENOMEM. */
int kn_weight_set_alloc(kn_weight_set *s, size_t bytes, void **ret, kn_err *err);

#endif
