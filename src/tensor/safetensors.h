/* What reading and writing of safetensors share. */
#ifndef KN_TENSOR_SAFETENSORS_H
#define KN_TENSOR_SAFETENSORS_H

#include "tensor/dtype.h"

/* "BF16"; NULL for a type safetensors does not have. */
const char *kn_safetensors_dtype_name(kn_dtype t);

#endif
