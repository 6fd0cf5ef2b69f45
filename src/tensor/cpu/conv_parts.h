/* The three ways a convolution runs, and what they share. */
#ifndef KN_TENSOR_CPU_CONV_PARTS_H
#define KN_TENSOR_CPU_CONV_PARTS_H

#include "tensor/cpu/cpu_device.h"

/* Most work of one call of oneDNN, if there are frames to divide: see linear.c. */
#define KN_CONV_STEP_FLOPS 60e9

/* conv_gathered.c: x changes its type or is doubled on the way, in strips of rows through the workspace. */
size_t kn_conv_gathered_workspace(kn_device *dev, const kn_conv_args *a);
int kn_conv_gathered(kn_device *dev, const kn_conv_args *a, kn_err *err);

/* conv_doubled.c: weights that were packed for a doubled picture. */
size_t kn_conv_doubled_workspace(kn_device *dev, const kn_conv_args *a);
int kn_conv_doubled(kn_device *dev, const kn_conv_args *a, kn_err *err);

/* A part of a picture copied out, zeros outside the picture.  Rows and columns count in the doubled picture. */
typedef struct kn_gather {
    kn_tensor x; /* [T, H, W, C] */
    bool doubled;
    kn_dtype type;    /* of dst */
    int64_t first[3]; /* frame, row, column; may be negative */
    int64_t size[3];
    void *dst; /* [size..., C] */
} kn_gather;
void kn_conv_gather(kn_device *dev, const kn_gather *g);

/* Bytes of workspace to turn weights over: always there, since an earlier call may have turned them. */
size_t kn_conv_room(const kn_prim *prim);
/* The i-th packed matrix of w in the layout that prim reads, at *ret: as it is, or turned over in `room` and, if it
 * fits, put back, so that the next call with such a picture finds it. */
int kn_conv_weights(const kn_weight *w, int i, const kn_prim *prim, void *room, const void **ret,
                    kn_err *err);

/* How many equal parts of at most `most` cover n, as the size of one; the last is moved back to end at n. */
static inline int64_t kn_conv_part(int64_t n, int64_t most)
{
    int64_t n_parts = (n + most - 1) / most;
    return (n + n_parts - 1) / n_parts;
}

#endif
