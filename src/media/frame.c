#include "media/frame.h"

#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

int kn_frame_new(int width, int height, int64_t index, kn_frame **ret, kn_err *err)
{
    if (width < 1 || height < 1 || width > KN_LIMIT_VIDEO_SIDE || height > KN_LIMIT_VIDEO_SIDE)
        return kn_fail(err, KN_ELIMIT, "a frame of %dx%d pixels; sides from 1 to %d are supported", width,
                       height, KN_LIMIT_VIDEO_SIDE);
    kn_frame *f = kn_calloc(1, sizeof *f);
    float *rgb = kn_calloc((size_t)width * (size_t)height, 3 * sizeof *rgb);
    if (!f || !rgb) {
        free(f);
        free(rgb);
        return kn_fail(err, KN_ENOMEM, "no memory for a frame of %dx%d pixels", width, height);
    }
    *f = (kn_frame){.width = width, .height = height, .index = index, .rgb = rgb, .refs = 1};
    *ret = f;
    return 0;
}

kn_frame *kn_frame_ref(kn_frame *f)
{
    if (f)
        __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}

void kn_frame_unref(kn_frame *f)
{
    if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(f->rgb);
    free(f);
}

void kn_rgb8_from_f32(const float *rgb, size_t n, unsigned char *dst)
{
    for (size_t i = 0; i < n; i++) {
        float v = rgb[i] * 255.0f;
        v = v > 0.0f ? v : 0.0f;
        v = v < 255.0f ? v : 255.0f;
        dst[i] = (unsigned char)lrintf(v);
    }
}

void kn_frame_to_rgb8(const kn_frame *f, unsigned char *dst)
{
    kn_rgb8_from_f32(f->rgb, (size_t)f->width * (size_t)f->height * 3, dst);
}
