#include "jobs/thumbnail.h"

#include "media/image.h"

static int shrink(kn_image *im, kn_err *err)
{
    kn_image small = {0};
    int longer = im->width > im->height ? im->width : im->height;
    if (longer <= KN_THUMBNAIL_SIDE)
        return 0;
    int width = im->width * KN_THUMBNAIL_SIDE / longer, height = im->height * KN_THUMBNAIL_SIDE / longer;
    int rc = kn_image_resize_pil(im, width ? width : 1, height ? height : 1, KN_FILTER_BICUBIC, &small, err);
    if (rc)
        return rc;
    kn_image_done(im);
    *im = small;
    return 0;
}

int kn_thumbnail_save(int width, int height, const float *rgb, const char *path, kn_err *err)
{
    kn_image im = {0};
    int rc = kn_image_new(width, height, &im, err);
    if (rc)
        return rc;
    size_t n = (size_t)width * (size_t)height * 3;
    for (size_t i = 0; i < n; i++) {
        float v = rgb[i] < 0 ? 0 : rgb[i] > 1 ? 1 : rgb[i];
        im.rgb[i] = (uint8_t)(v * 255 + 0.5f);
    }
    rc = shrink(&im, err);
    if (!rc)
        rc = kn_image_save_png(&im, path, err);
    kn_image_done(&im);
    return rc;
}
