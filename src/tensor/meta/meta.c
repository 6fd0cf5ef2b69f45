/* The device that computes nothing: shapes are checked and memory is counted by tensor/ops.c and the pool as on any
 * device; sizes that a device chooses itself (packed weights, workspaces) are asked of the device it stands for. */
#include "tensor/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Addresses begin here and are never read. Every reservation gets its own, so that two contexts' tensors differ. */
#define FIRST_ADDRESS ((uintptr_t)1 << 44)
enum { RESERVE_ALIGN = 1 << 21 };

typedef struct meta_device {
    kn_device dev;
    kn_device *like;
    uintptr_t next; /* address of the next reservation */
} meta_device;

static kn_device *like_of(kn_device *dev)
{
    return ((meta_device *)dev->priv)->like;
}

static void *meta_reserve(kn_device *dev, size_t bytes)
{
    meta_device *m = dev->priv;
    if (bytes > UINTPTR_MAX / 2 - m->next)
        return NULL;
    void *p = (void *)m->next;
    m->next += (bytes + RESERVE_ALIGN - 1) / RESERVE_ALIGN * RESERVE_ALIGN;
    return p;
}

static void meta_unreserve(kn_device *dev, void *p, size_t bytes)
{
    (void)dev, (void)p, (void)bytes;
}

static int meta_upload(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    (void)dev, (void)dst, (void)src, (void)bytes, (void)err;
    return 0;
}

static int meta_download(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    (void)dev, (void)src, (void)err;
    memset(dst, 0, bytes);
    return 0;
}

static int meta_fill_zero(kn_device *dev, void *dst, size_t bytes, kn_err *err)
{
    (void)dev, (void)dst, (void)bytes, (void)err;
    return 0;
}

static size_t meta_weight_bytes(kn_device *dev, const kn_weight_spec *spec)
{
    kn_device *like = like_of(dev);
    return like->ops->weight_bytes ? like->ops->weight_bytes(like, spec) : 0;
}

static size_t meta_weight_packing(kn_device *dev, const kn_weight_spec *spec, kn_dtype source)
{
    kn_device *like = like_of(dev);
    return like->ops->weight_packing ? like->ops->weight_packing(like, spec, source) : 0;
}

#define WORKSPACE(op, args)                                                                                  \
    static size_t meta_##op##_workspace(kn_device *dev, const args *a)                                       \
    {                                                                                                        \
        kn_device *like = like_of(dev);                                                                      \
        return like->ops->op##_workspace ? like->ops->op##_workspace(like, a) : 0;                           \
    }
WORKSPACE(linear, kn_linear_args)
WORKSPACE(conv, kn_conv_args)
WORKSPACE(attention, kn_attention_args)
WORKSPACE(group_norm, kn_norm_args)

static void meta_close(kn_device *dev)
{
    free(dev->priv);
}

static const kn_device_ops meta_ops = {
    .reserve = meta_reserve,
    .unreserve = meta_unreserve,
    .trim = meta_unreserve,
    .upload = meta_upload,
    .download = meta_download,
    .fill_zero = meta_fill_zero,
    .weight_bytes = meta_weight_bytes,
    .weight_packing = meta_weight_packing,
    .linear_workspace = meta_linear_workspace,
    .conv_workspace = meta_conv_workspace,
    .attention_workspace = meta_attention_workspace,
    .group_norm_workspace = meta_group_norm_workspace,
    .close = meta_close,
};

int kn_meta_device_open(kn_device *like, kn_device **ret, kn_err *err)
{
    meta_device *m = kn_calloc(1, sizeof *m);
    if (!m)
        return kn_fail(err, KN_ENOMEM, "no memory for a device");
    m->like = like;
    m->next = FIRST_ADDRESS;
    kn_device *dev = &m->dev;
    dev->ops = &meta_ops;
    dev->priv = m;
    dev->is_meta = true;
    snprintf(dev->name, sizeof dev->name, "%s", like->name);
    snprintf(dev->description, sizeof dev->description, "%s", like->description);
    snprintf(dev->packing, sizeof dev->packing, "%s", like->packing);
    dev->has_bf16 = like->has_bf16;
    dev->has_int8 = like->has_int8;
    dev->has_own_memory = like->has_own_memory;
    dev->n_visitors = like->n_visitors;
    dev->mem_total_bytes = like->mem_total_bytes;
    dev->mem_available_bytes = like->mem_available_bytes;
    *ret = dev;
    return 0;
}
