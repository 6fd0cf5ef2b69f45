/* What a component holds on the device. */
#include <stdlib.h>

#include "tensor/loader_set.h"

enum { VECTOR_ALIGN = 64, CHUNK_BYTES = 1 << 20 };

void kn_weight_set_init(kn_weight_set *s, kn_device *dev)
{
    *s = (kn_weight_set){.dev = dev};
}

void kn_weight_set_clear(kn_weight_set *s)
{
    while (s->weights) {
        struct kn_weight_node *next = s->weights->next;
        kn_weight_free(s->dev, s->weights->w);
        free(s->weights);
        s->weights = next;
    }
    for (struct kn_vector_node *v = s->vectors; v; v = v->next) {
        kn_device_account(s->dev, -(int64_t)v->used, 0);
        v->used = 0;
    }
    s->bytes = 0;
}

void kn_weight_set_done(kn_weight_set *s)
{
    kn_weight_set_clear(s);
    while (s->vectors) {
        struct kn_vector_node *next = s->vectors->next;
        s->dev->ops->unreserve(s->dev, s->vectors->data, s->vectors->capacity);
        free(s->vectors);
        s->vectors = next;
    }
}

static const kn_weight *keep(kn_weight_set *s, struct kn_weight_node *node)
{
    node->next = s->weights;
    s->weights = node;
    s->bytes += node->w->bytes;
    return node->w;
}

int kn_weight_set_add(kn_weight_set *s, const kn_weight_spec *spec, const kn_weight_src *src,
                      const kn_weight **ret, kn_err *err)
{
    struct kn_weight_node *node = kn_calloc(1, sizeof *node);
    if (!node)
        return kn_fail(err, KN_ENOMEM, "no memory for a weight");
    int rc = kn_weight_new(s->dev, spec, src, &node->w, err);
    if (rc)
        free(node);
    else
        *ret = keep(s, node);
    return rc;
}

const kn_weight *kn_weight_set_map(kn_weight_set *s, const kn_weight_spec *spec, const void *data,
                                   size_t bytes)
{
    struct kn_weight_node *node = kn_calloc(1, sizeof *node);
    if (node && !kn_weight_map(s->dev, spec, data, bytes, &node->w, NULL))
        return keep(s, node);
    free(node);
    return NULL;
}

static int add_chunk(kn_weight_set *s, size_t bytes, kn_err *err)
{
    struct kn_vector_node *node = kn_calloc(1, sizeof *node);
    if (!node)
        return kn_fail(err, KN_ENOMEM, "no memory for a parameter");
    node->capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    node->data = s->dev->ops->reserve(s->dev, node->capacity);
    if (!node->data) {
        int rc = kn_fail(err, KN_ENOMEM, "device %s has no %zu bytes for parameters", s->dev->name,
                         node->capacity);
        free(node);
        return rc;
    }
    node->next = s->vectors;
    s->vectors = node;
    return 0;
}

int kn_weight_set_alloc(kn_weight_set *s, size_t bytes, void **ret, kn_err *err)
{
    bytes = (bytes + VECTOR_ALIGN - 1) / VECTOR_ALIGN * VECTOR_ALIGN;
    struct kn_vector_node *node = s->vectors;
    while (node && node->capacity - node->used < bytes)
        node = node->next;
    int rc = node ? 0 : add_chunk(s, bytes, err);
    if (rc)
        return rc;
    if (!node)
        node = s->vectors;
    void *data = (char *)node->data + node->used;
    if (s->dev->ops->commit && (rc = s->dev->ops->commit(s->dev, data, bytes, err)))
        return rc;
    *ret = data;
    node->used += bytes;
    s->bytes += bytes;
    kn_device_account(s->dev, (int64_t)bytes, 0);
    return 0;
}
