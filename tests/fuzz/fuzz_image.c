/* Pictures from strangers: any bytes give a picture or an error. */
#include <stddef.h>
#include <stdint.h>

#include "media/image.h"
#include "media/image_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kn_image_probe probe;
    kn_image im = {0};
    kn_err err = {0};
    /* Large pictures take time and find nothing that small ones do not. */
    if (!kn_image_probe_bytes(data, size, &probe) && (probe.width > 512 || probe.height > 512))
        return 0;
    int rc = kn_image_load_memory(data, size, "fuzz", &im, &err);
    KN_ASSERT(rc ? err.msg[0] && !im.rgb : im.rgb && im.width > 0 && im.height > 0);
    kn_image_done(&im);
    return 0;
}
