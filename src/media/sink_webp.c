/* Animated WebP: lossy, for ever repeated, JSON as XMP.  The encoder keeps all frames and gives the file at the end. */
#include <stdlib.h>
#include <string.h>

#include "media/av.h"
#include "base/file.h"
#include "base/mem.h"
#include "media/mux.h"
#include "media/sink_driver.h"
#include "media/webp.h"

typedef struct webp {
    kn_atomic_file file;
    kn_encoder enc;
    kn_image rgb;
    int64_t fault_frame;
} webp;

static int webp_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    webp *w = priv;
    int rc = kn_atomic_open(&w->file, path, err);
    if (rc)
        return rc;
    kn_encoder_opts eo = kn_mux_encoder_opts(opts, kn_mux_fps(opts->fps), false);
    rc = kn_chain_open(KN_CONTAINER_WEBP, opts, &eo, tried, &w->enc, err);
    if (rc)
        return rc;
    w->fault_frame = kn_fault_frame(opts, w->enc.codec->name);
    return kn_image_new(opts->width, opts->height, &w->rgb, err);
}

static int webp_write(void *priv, const kn_frame *f, kn_err *err)
{
    webp *w = priv;
    AVFrame *out = NULL;
    if (w->fault_frame && w->enc.n_sent + 1 == w->fault_frame)
        return kn_fault_fail(w->enc.codec->name, w->fault_frame, err);
    int rc = kn_encoder_frame(&w->enc, &out, err);
    if (rc)
        return rc;
    kn_frame_to_rgb8(f, w->rgb.rgb);
    const uint8_t *rgb = w->rgb.rgb;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++, rgb += 3) {
            uint32_t argb = 0xff000000u | (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            memcpy(out->data[0] + (ptrdiff_t)y * out->linesize[0] + 4 * x, &argb, sizeof argb);
        }
    rc = kn_encoder_send(&w->enc, out, err);
    av_frame_free(&out);
    return rc;
}

/* The one packet, which is the file. */
static int take_file(webp *w, AVPacket *packet, kn_err *err)
{
    bool got = false;
    int rc = w->fault_frame ? kn_fault_fail(w->enc.codec->name, w->enc.n_sent, err)
                            : kn_encoder_send(&w->enc, NULL, err);
    if (!rc)
        rc = kn_encoder_receive(&w->enc, packet, &got, err);
    if (!rc && !got)
        rc = kn_fail(err, KN_EDEVICE, "the encoder %s made nothing of %lld frames", w->enc.codec->name,
                     (long long)w->enc.n_sent);
    return rc;
}

static int webp_finish(void *priv, const char *json, kn_err *err)
{
    webp *w = priv;
    unsigned char *whole = NULL;
    size_t size = 0;
    AVPacket *packet = av_packet_alloc();
    int rc =
        packet ? take_file(w, packet, err) : kn_fail(err, KN_ENOMEM, "no memory to write %s", w->file.path);
    if (!rc && json)
        rc = kn_webp_with_comment(packet->data, (size_t)packet->size, w->rgb.width, w->rgb.height, json,
                                  &whole, &size, err);
    if (!rc) {
        fwrite(json ? whole : packet->data, 1, json ? size : (size_t)packet->size, w->file.f);
        rc = kn_atomic_commit(&w->file, err);
    }
    free(whole);
    av_packet_free(&packet);
    return rc;
}

static void webp_close(void *priv)
{
    webp *w = priv;
    kn_atomic_abort(&w->file);
    kn_encoder_close(&w->enc);
    kn_image_done(&w->rgb);
}

static const char *webp_encoder(const void *priv)
{
    const webp *w = priv;
    return w->enc.codec->name;
}

const kn_sink_driver kn_sink_driver_webp = {.priv_size = sizeof(webp),
                                            .open = webp_open,
                                            .write = webp_write,
                                            .finish = webp_finish,
                                            .close = webp_close,
                                            .encoder = webp_encoder};
