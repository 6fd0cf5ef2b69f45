/* The CPU device's own kernels: everything that oneDNN lacks.  They fill the slots of kn_device_ops of the same
 * name; arguments are already checked by tensor/ops.c.  Which instruction set runs is the device's (cpu/isa.h);
 * results do not depend on the thread count. */
#ifndef KN_TENSOR_CPU_KERNELS_H
#define KN_TENSOR_CPU_KERNELS_H

#include "tensor/device.h"

size_t kn_cpu_attention_workspace(kn_device *dev, const kn_attention_args *a);
int kn_cpu_attention(kn_device *dev, const kn_attention_args *a, kn_err *err);

int kn_cpu_rms_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
int kn_cpu_layer_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
size_t kn_cpu_group_norm_workspace(kn_device *dev, const kn_norm_args *a);
int kn_cpu_group_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
int kn_cpu_rope(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err);

int kn_cpu_ewise(kn_device *dev, const kn_ewise_args *a, kn_err *err);

int kn_cpu_copy(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err);
int kn_cpu_permute(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err);
int kn_cpu_concat(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs, kn_err *err);
int kn_cpu_slice(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin, kn_err *err);
int kn_cpu_repeat_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int r, kn_err *err);
int kn_cpu_mean_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int g, kn_err *err);

#endif
