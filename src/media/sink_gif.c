/* GIF: 256 colours a frame (palette.h), for ever repeated, JSON in a comment block at the end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/av.h"
#include "base/mem.h"
#include "media/mux.h"
#include "media/palette.h"
#include "media/sink_driver.h"

enum {
    TRAILER = 0x3b,
    EXTENSION = 0x21,
    COMMENT = 0xfe,
    BLOCK_BYTES = 255,
};

typedef struct gif {
    kn_mux mux;
    kn_palette *palette;
    kn_image rgb;
} gif;

static int gif_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    gif *g = priv;
    double fps = opts->fps < KN_GIF_MAX_FPS ? opts->fps : KN_GIF_MAX_FPS;
    int rc = kn_mux_open(&g->mux, KN_CONTAINER_GIF, path, opts, kn_mux_fps(fps), tried, err);
    if (!rc)
        rc = kn_image_new(opts->width, opts->height, &g->rgb, err);
    if (rc)
        return rc;
    g->palette = kn_palette_new();
    return g->palette ? 0 : kn_fail(err, KN_ENOMEM, "no memory for the colours of %s", path);
}

static int gif_write(void *priv, const kn_frame *f, kn_err *err)
{
    gif *g = priv;
    AVFrame *out = NULL;
    int rc = kn_encoder_frame(&g->mux.enc, &out, err);
    if (rc)
        return rc;
    kn_frame_to_rgb8(f, g->rgb.rgb);
    kn_palette_adapt(g->palette, &g->rgb);
    const uint8_t *colors = kn_palette_colors(g->palette);
    for (int i = 0; i < KN_PALETTE_COLORS; i++) {
        uint32_t argb = 0xff000000u | (uint32_t)colors[3 * i] << 16 | (uint32_t)colors[3 * i + 1] << 8 |
                        colors[3 * i + 2];
        memcpy(out->data[1] + 4 * i, &argb, sizeof argb);
    }
    kn_palette_apply(g->palette, &g->rgb, out->data[0], out->linesize[0]);
    return kn_mux_write(&g->mux, out, err);
}

/* Blocks of up to 255 bytes, each after its length, then one of none. */
static bool put_comment(FILE *f, const char *text)
{
    fputc(EXTENSION, f);
    fputc(COMMENT, f);
    for (size_t left = strlen(text); left;) {
        size_t n = left < BLOCK_BYTES ? left : BLOCK_BYTES;
        fputc((int)n, f);
        fwrite(text, 1, n, f);
        text += n;
        left -= n;
    }
    fputc(0, f);
    fputc(TRAILER, f);
    return !ferror(f);
}

/* libav writes no comment: ours takes the place of the trailer, which is the last byte. */
static int append_comment(const char *path, const char *text, kn_err *err)
{
    FILE *f = fopen(path, "r+be");
    bool ok = f && !fseek(f, -1, SEEK_END) && fgetc(f) == TRAILER && !fseek(f, -1, SEEK_END) &&
              put_comment(f, text);
    int e = errno;
    if (f && fclose(f) && ok) {
        ok = false;
        e = errno;
    }
    return ok ? 0 : kn_fail(err, KN_EIO, "cannot write the comment of %s: %s", path, strerror(e));
}

static int gif_finish(void *priv, const char *json, kn_err *err)
{
    gif *g = priv;
    int rc = kn_mux_end(&g->mux, NULL, err);
    if (!rc && json)
        rc = append_comment(g->mux.part, json, err);
    return rc ? rc : kn_mux_commit(&g->mux, err);
}

static void gif_close(void *priv)
{
    gif *g = priv;
    kn_mux_close(&g->mux);
    kn_palette_free(g->palette);
    kn_image_done(&g->rgb);
}

static const char *gif_encoder(const void *priv)
{
    (void)priv;
    return "gif";
}

const kn_sink_driver kn_sink_driver_gif = {.priv_size = sizeof(gif),
                                           .open = gif_open,
                                           .write = gif_write,
                                           .finish = gif_finish,
                                           .close = gif_close,
                                           .encoder = gif_encoder};
