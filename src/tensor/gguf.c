#include "tensor/checkpoint_priv.h"
int kn_gguf_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file, kn_err *err)
{
    (void)ck, (void)data, (void)size;
    return kn_fail(err, KN_EUNSUPPORTED, "%s: GGUF", file);
}
