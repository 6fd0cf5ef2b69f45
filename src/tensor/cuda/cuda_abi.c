#include "tensor/cuda_open.h"

const char kn_cuda_abi[] = KN_CUDA_ABI;
