/* The layout oneDNN likes for the weights depends a little on the picture.  They are packed for a typical one; when
 * another is wanted they are turned over in place, once, through the workspace: a model runs one convolution at one
 * size again and again.  (A device runs one operation at a time.) */
#include <string.h>

#include "tensor/cpu/conv_parts.h"
#include "tensor/cpu/relayout.h"

size_t kn_conv_room(const kn_prim *prim)
{
    return kn_cpu_align(kn_md_bytes(kn_prim_weights(prim)));
}

int kn_conv_weights(const kn_weight *w, int i, const kn_prim *prim, void *room, const void **ret, kn_err *err)
{
    kn_cpu_weight *cw = w->priv;
    kn_cpu_packed *p = &cw->packed[i];
    const kn_md *wants = kn_prim_weights(prim);
    *ret = p->data;
    if (kn_md_equal(&p->layout, wants))
        return 0;
    *ret = room;
    kn_weight_spec spec = kn_cpu_packed_spec(&w->spec);
    int rc = kn_relayout(spec.dims, (int)kn_dtype_bytes(cw->type, 1), &p->layout, p->data, wants, room, err);
    kn_md layout = {0};
    if (rc || kn_md_bytes(wants) > p->bytes)
        return rc;
    rc = kn_dnnl_check(kn_md_copy(&layout, wants), "weight layout", err);
    if (rc)
        return rc;
    memcpy(p->data, room, kn_md_bytes(wants));
    kn_md_done(&p->layout);
    p->layout = layout;
    *ret = p->data;
    return 0;
}
