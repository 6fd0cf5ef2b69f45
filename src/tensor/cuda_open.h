/* The one symbol of libkinora-cuda.so. */
#ifndef KN_TENSOR_CUDA_OPEN_H
#define KN_TENSOR_CUDA_OPEN_H

#include "tensor/device.h"

/* Card `index` of those that CUDA_VISIBLE_DEVICES shows. KN_EDEVICE, KN_ENOMEM. */
__attribute__((visibility("default"))) int kn_cuda_device_open(int index, kn_device **ret, kn_err *err);

/* What program and library must agree on: both come from one build. */
#define KN_CUDA_ABI KN_VERSION
__attribute__((visibility("default"))) extern const char kn_cuda_abi[];

#endif
