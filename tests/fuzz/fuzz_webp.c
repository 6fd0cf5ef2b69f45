/* Animated WebP from strangers: any bytes play to their end or give an error. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "media/webp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kn_webp_info info = {0};
    kn_webp_anim *anim = NULL;
    kn_err err = {0};
    bool end = false;
    unsigned char *again = NULL;
    size_t again_size = 0;
    if (kn_webp_info_read(data, size, "fuzz", &info, &err))
        return 0;
    free(info.comment);
    /* Large pictures take time and find nothing that small ones do not. */
    if (info.width > 512 || info.height > 512 || info.n_frames > 64)
        return 0;
    if (!kn_webp_with_comment(data, size, info.width ? info.width : 1, info.height ? info.height : 1, "<&>",
                              &again, &again_size, &err)) {
        KN_ASSERT(!kn_webp_info_read(again, again_size, "fuzz", &info, &err));
        KN_ASSERT(info.comment);
        free(info.comment);
        free(again);
    }
    int rc = kn_webp_anim_open(data, size, "fuzz", &anim, &err);
    while (!rc && !end) {
        kn_image im = {0};
        rc = kn_webp_anim_next(anim, &im, &end, &err);
        KN_ASSERT(rc || end || (im.width == info.width && im.height == info.height));
        kn_image_done(&im);
    }
    kn_webp_anim_close(anim);
    return 0;
}
