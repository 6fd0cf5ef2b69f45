#include "models/wan/inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int kn_wan_picture(const kn_image *im, int width, int height, float **ret, kn_err *err)
{
    kn_image resized = {0};
    const kn_image *src = im;
    if (im->width != width || im->height != height) {
        int rc = kn_image_resize_pil(im, width, height, KN_FILTER_LANCZOS, &resized, err);
        if (rc)
            return rc;
        src = &resized;
    }
    size_t n = (size_t)width * (size_t)height * 3;
    float *out = kn_calloc(n, sizeof *out);
    if (out)
        for (size_t i = 0; i < n; i++)
            out[i] = (float)src->rgb[i] / 255.0f * 2.0f - 1.0f;
    kn_image_done(&resized);
    if (!out)
        return kn_fail(err, KN_ENOMEM, "no memory for a picture of %dx%d", width, height);
    *ret = out;
    return 0;
}

/* ---- CLIP ---- */

void kn_wan_clip_pixels_default(kn_wan_clip_pixels *ret, int size)
{
    *ret = (kn_wan_clip_pixels){
        .shortest_edge = size,
        .crop_width = size,
        .crop_height = size,
        .mean = {0.48145466f, 0.4578275f, 0.40821073f},
        .std = {0.26862954f, 0.26130258f, 0.27577711f},
        .rescale = 1.0f / 255.0f,
        .resize = true,
        .crop = true,
        .normalize = true,
    };
}

static int read_three(kn_json_reader *r, const char *key, float out[3])
{
    double v[3];
    int n = kn_json_reals(r, key, v, 3);
    if (n == 0)
        return 0;
    if (n != 3 && !r->err.code)
        return kn_fail(&r->err, KN_EFORMAT, "%s: %s has %d values, expected 3", r->origin, key, n);
    for (int i = 0; i < n; i++)
        out[i] = (float)v[i];
    return 0;
}

int kn_wan_clip_pixels_read(const json_t *obj, const char *origin, kn_wan_clip_pixels *ret, kn_err *err)
{
    kn_wan_clip_pixels p;
    kn_json_reader r, size, crop;
    kn_wan_clip_pixels_default(&p, 224);
    kn_json_reader_init(&r, obj, origin);
    kn_json_reader_init(&size, json_object_get(obj, "size"), origin);
    kn_json_reader_init(&crop, json_object_get(obj, "crop_size"), origin);
    if (json_is_object(size.obj))
        p.shortest_edge = (int)kn_json_int(&size, "shortest_edge", 224, 1, 8192);
    if (json_is_object(crop.obj)) {
        p.crop_height = (int)kn_json_int(&crop, "height", 224, 1, 8192);
        p.crop_width = (int)kn_json_int(&crop, "width", 224, 1, 8192);
    }
    p.rescale = kn_json_bool(&r, "do_rescale", true)
                    ? (float)kn_json_real(&r, "rescale_factor", 1.0 / 255, 0, 1)
                    : 1.0f;
    p.resize = kn_json_bool(&r, "do_resize", true);
    p.crop = kn_json_bool(&r, "do_center_crop", true);
    p.normalize = kn_json_bool(&r, "do_normalize", true);
    read_three(&r, "image_mean", p.mean);
    read_three(&r, "image_std", p.std);
    const kn_json_reader *readers[] = {&r, &size, &crop};
    for (int i = 0; i < 3; i++)
        if (readers[i]->err.code)
            return kn_fail(err, readers[i]->err.code, "%s", readers[i]->err.msg);
    *ret = p;
    return 0;
}

int kn_wan_clip_preprocess(const kn_wan_clip_pixels *p, const kn_image *im, bool pil, float **ret,
                           kn_err *err)
{
    kn_image resized = {0};
    const kn_image *src = im;
    int rc = 0;
    if (p->resize) {
        int w = im->width, h = im->height, edge = p->shortest_edge;
        int nw = w <= h ? edge : (int)((int64_t)edge * w / h),
            nh = w <= h ? (int)((int64_t)edge * h / w) : edge;
        rc = pil ? kn_image_resize_pil(im, nw, nh, KN_FILTER_BICUBIC, &resized, err)
                 : kn_image_resize_torch(im, nw, nh, KN_FILTER_BICUBIC, &resized, err);
        if (rc)
            return rc;
        src = &resized;
    }
    int cw = p->crop ? p->crop_width : src->width, ch = p->crop ? p->crop_height : src->height;
    float *out = kn_calloc((size_t)cw * (size_t)ch, 3 * sizeof *out);
    if (!out)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a picture of %dx%d", cw, ch);
    int left = (src->width - cw) / 2, top = (src->height - ch) / 2;
    for (int k = 0; k < 3 && out; k++)
        for (int y = 0; y < ch; y++)
            for (int x = 0; x < cw; x++) {
                int sy = y + top, sx = x + left;
                bool inside = sy >= 0 && sy < src->height && sx >= 0 && sx < src->width;
                float v =
                    inside ? (float)src->rgb[((int64_t)sy * src->width + sx) * 3 + k] * p->rescale : 0.0f;
                out[((int64_t)k * ch + y) * cw + x] = p->normalize ? (v - p->mean[k]) / p->std[k] : v;
            }
    kn_image_done(&resized);
    if (!rc)
        *ret = out;
    return rc;
}

/* ---- latents ---- */

void kn_wan_normalize(const kn_wan_vae_config *f, float *z, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int k = (int)(i % f->z_dim);
        z[i] = (z[i] - f->latents_mean[k]) * (1.0f / f->latents_std[k]);
    }
}

void kn_wan_denormalize(const kn_wan_vae_config *f, float *z, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int k = (int)(i % f->z_dim);
        z[i] = z[i] / (1.0f / f->latents_std[k]) + f->latents_mean[k];
    }
}

void kn_wan_to_channels_first(const float *src, float *dst, int64_t positions, int64_t channels)
{
    for (int64_t i = 0; i < positions; i++)
        for (int64_t k = 0; k < channels; k++)
            dst[k * positions + i] = src[i * channels + k];
}

void kn_wan_to_channels_last(const float *src, float *dst, int64_t positions, int64_t channels,
                             int64_t dst_stride)
{
    for (int64_t k = 0; k < channels; k++)
        for (int64_t i = 0; i < positions; i++)
            dst[i * dst_stride + k] = src[k * positions + i];
}

void kn_wan_image_mask(float *out, int64_t t, int64_t h, int64_t w, int64_t n_first, bool last_given)
{
    int64_t frame = h * w;
    memset(out, 0, (size_t)(4 * t * frame) * sizeof *out);
    for (int64_t k = 0; k < 4; k++)
        for (int64_t i = 0; i < n_first * frame; i++)
            out[k * t * frame + i] = 1.0f;
    for (int64_t i = 0; last_given && i < frame; i++)
        out[(3 * t + t - 1) * frame + i] = 1.0f;
}

/* ---- VACE ---- */

int kn_wan_control_init(kn_wan_control *c, int64_t n_frames, int64_t height, int64_t width, int n_references,
                        kn_err *err)
{
    kn_wan_control k = {.n_frames = n_frames, .height = height, .width = width, .n_references = n_references};
    size_t pixels = (size_t)(n_frames * height * width);
    k.video = kn_calloc(pixels, 3 * sizeof(float));
    k.mask = kn_calloc(pixels, sizeof(float));
    k.references = kn_calloc((size_t)n_references, sizeof *k.references);
    if (!k.video || !k.mask || !k.references) {
        kn_wan_control_done(&k);
        return kn_fail(err, KN_ENOMEM, "no memory for a control clip of %lld frames of %lldx%lld",
                       (long long)n_frames, (long long)width, (long long)height);
    }
    for (size_t i = 0; i < pixels; i++)
        k.mask[i] = 1.0f;
    *c = k;
    return 0;
}

void kn_wan_control_done(kn_wan_control *c)
{
    for (int i = 0; c->references && i < c->n_references; i++)
        free(c->references[i]);
    free(c->references);
    free(c->video);
    free(c->mask);
    *c = (kn_wan_control){0};
}

static int check_count(const kn_wan_control *c, int n, const char *what, kn_err *err)
{
    if (n >= c->n_frames)
        return 0;
    return kn_fail(err, KN_EINVAL, "the %s has %d frames, this video needs %lld; ask for fewer frames", what,
                   n, (long long)c->n_frames);
}

int kn_wan_control_video(kn_wan_control *c, const kn_image *frames, int n, kn_err *err)
{
    int rc = check_count(c, n, "control video", err);
    size_t size = (size_t)(c->height * c->width * 3);
    for (int64_t f = 0; f < c->n_frames && !rc; f++) {
        float *picture = NULL;
        rc = kn_wan_picture(&frames[f], (int)c->width, (int)c->height, &picture, err);
        if (!rc)
            memcpy(c->video + (size_t)f * size, picture, size * sizeof *picture);
        free(picture);
    }
    return rc;
}

int kn_wan_control_mask(kn_wan_control *c, const kn_image *frames, int n, kn_err *err)
{
    int rc = check_count(c, n, "mask", err);
    int64_t size = c->height * c->width;
    for (int64_t f = 0; f < c->n_frames && !rc; f++) {
        float *picture = NULL;
        rc = kn_wan_picture(&frames[f], (int)c->width, (int)c->height, &picture, err);
        for (int64_t i = 0; i < size && !rc; i++) {
            float v = (picture[i * 3] + 1.0f) / 2.0f;
            c->mask[f * size + i] = v < 0 ? 0 : v > 1 ? 1 : v;
        }
        free(picture);
    }
    return rc;
}

/* torch's bilinear interpolation without antialiasing, align_corners = False. */
static void bilinear(const float *src, int sw, int sh, float *dst, int dw, int dh, int64_t dst_stride)
{
    float sx = (float)sw / (float)dw, sy = (float)sh / (float)dh;
    for (int y = 0; y < dh; y++) {
        float fy = fmaxf(sy * ((float)y + 0.5f) - 0.5f, 0.0f);
        int y0 = (int)fy, y1 = y0 + (y0 < sh - 1);
        float wy = fy - (float)y0;
        for (int x = 0; x < dw; x++) {
            float fx = fmaxf(sx * ((float)x + 0.5f) - 0.5f, 0.0f);
            int x0 = (int)fx, x1 = x0 + (x0 < sw - 1);
            float wx = fx - (float)x0;
            for (int k = 0; k < 3; k++) {
                float a = src[((int64_t)y0 * sw + x0) * 3 + k], b = src[((int64_t)y0 * sw + x1) * 3 + k];
                float p = src[((int64_t)y1 * sw + x0) * 3 + k], q = src[((int64_t)y1 * sw + x1) * 3 + k];
                dst[y * dst_stride + x * 3 + k] =
                    (1 - wy) * ((1 - wx) * a + wx * b) + wy * ((1 - wx) * p + wx * q);
            }
        }
    }
}

int kn_wan_control_reference(kn_wan_control *c, int i, const kn_image *im, kn_err *err)
{
    int w = im->width / 8 * 8,
        h = im->height / 8 * 8; /* the reference's image processor floors to the VAE's scale */
    if (w < 8 || h < 8)
        return kn_fail(err, KN_EINVAL, "reference picture of %dx%d is too small, expected at least 8x8",
                       im->width, im->height);
    float *picture = NULL;
    int rc = kn_wan_picture(im, w, h, &picture, err);
    if (rc)
        return rc;
    size_t n = (size_t)(c->height * c->width * 3);
    float *canvas = kn_calloc(n, sizeof *canvas);
    if (!canvas) {
        free(picture);
        return kn_fail(err, KN_ENOMEM, "no memory for a reference picture");
    }
    for (size_t j = 0; j < n; j++)
        canvas[j] = 1.0f;
    double a = (double)c->height / h, b = (double)c->width / w, scale = a < b ? a : b;
    int nh = (int)(h * scale), nw = (int)(w * scale);
    int64_t top = (c->height - nh) / 2, left = (c->width - nw) / 2;
    bilinear(picture, w, h, canvas + (top * c->width + left) * 3, nw, nh, c->width * 3);
    free(picture);
    free(c->references[i]);
    c->references[i] = canvas;
    return 0;
}

void kn_wan_control_mask_latents(const kn_wan_control *c, int scale, int scale_temporal, float *out)
{
    int64_t h = c->height / scale, w = c->width / scale,
            t = (c->n_frames + scale_temporal - 1) / scale_temporal;
    float step = (float)c->n_frames / (float)t;
    for (int64_t i = 0; i < t; i++) {
        int64_t f = (int64_t)floorf(((float)i + 0.5f) * step);
        f = f < c->n_frames ? f : c->n_frames - 1;
        for (int64_t y = 0; y < h * scale; y++)
            for (int64_t x = 0; x < w * scale; x++) {
                int64_t channel = (y % scale) * scale + x % scale;
                out[((channel * t + i) * h + y / scale) * w + x / scale] =
                    c->mask[(f * c->height + y) * c->width + x];
            }
    }
}
