/* Tiles blended on the host, in diffusers' order: each tile is blended with the tile above, then with the tile to
 * its left, both already blended themselves, and then cropped to the stride. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/vae_internal.h"

static int64_t tile_bytes(const kn_wan_canvas *cv, int64_t h, int64_t w)
{
    return cv->n_frames * h * w * cv->channels * (int64_t)sizeof(float);
}

/* *ret stays NULL on `meta`. */
static int alloc(const kn_wan_canvas *cv, int64_t h, int64_t w, float **ret, kn_err *err)
{
    *ret = cv->dev->is_meta ? NULL : kn_calloc((size_t)tile_bytes(cv, h, w), 1);
    if (!*ret && !cv->dev->is_meta)
        return kn_fail(err, KN_ENOMEM, "no memory for %lld tiled pictures of %lldx%lld",
                       (long long)cv->n_frames, (long long)w, (long long)h);
    kn_device_account_host(cv->dev, tile_bytes(cv, h, w));
    return 0;
}

int kn_wan_canvas_init(kn_wan_canvas *cv, kn_device *dev, const kn_wan_tile_grid *g, int64_t n_frames,
                       int64_t channels, kn_err *err)
{
    kn_wan_canvas canvas = {.dev = dev, .grid = g, .n_frames = n_frames, .channels = channels};
    canvas.above = kn_calloc((size_t)g->n_cols, sizeof *canvas.above);
    canvas.row = kn_calloc((size_t)g->n_cols, sizeof *canvas.row);
    int rc = canvas.above && canvas.row ? alloc(&canvas, g->out_h, g->out_w, &canvas.pixels, err)
                                        : kn_fail(err, KN_ENOMEM, "no memory for a row of tiles");
    if (rc) {
        free(canvas.above);
        free(canvas.row);
        return rc;
    }
    *cv = canvas;
    return 0;
}

int kn_wan_canvas_tile(kn_wan_canvas *cv, int64_t h, int64_t w, kn_wan_host_tile *ret, kn_err *err)
{
    *ret = (kn_wan_host_tile){h, w, NULL};
    int rc = alloc(cv, h, w, &ret->pixels, err);
    if (rc)
        *ret = (kn_wan_host_tile){0};
    return rc;
}

void kn_wan_canvas_drop(kn_wan_canvas *cv, kn_wan_host_tile *t)
{
    free(t->pixels);
    kn_device_account_host(cv->dev, -tile_bytes(cv, t->h, t->w));
    *t = (kn_wan_host_tile){0};
}

static void clear_row(kn_wan_canvas *cv, kn_wan_host_tile *row)
{
    for (int64_t i = 0; i < cv->grid->n_cols; i++)
        kn_wan_canvas_drop(cv, &row[i]);
}

void kn_wan_canvas_done(kn_wan_canvas *cv)
{
    if (!cv->above)
        return;
    clear_row(cv, cv->above);
    clear_row(cv, cv->row);
    free(cv->above);
    free(cv->row);
    free(cv->pixels);
    kn_device_account_host(cv->dev, -tile_bytes(cv, cv->grid->out_h, cv->grid->out_w));
    *cv = (kn_wan_canvas){0};
}

static int64_t min3(int64_t a, int64_t b, int64_t c)
{
    int64_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* One pixel (all channels) of `to` moves towards `from` by 1 - n/extent. */
static void mix(float *to, const float *from, int64_t channels, int64_t n, int64_t extent)
{
    float keep = (float)((double)n / (double)extent), take = (float)(1.0 - (double)n / (double)extent);
    for (int64_t k = 0; k < channels; k++)
        to[k] = from[k] * take + to[k] * keep;
}

static void blend_above(const kn_wan_canvas *cv, const kn_wan_host_tile *a, kn_wan_host_tile *b)
{
    int64_t ch = cv->channels, extent = min3(a->h, b->h, cv->grid->blend_h), w = a->w < b->w ? a->w : b->w;
    for (int64_t f = 0; f < cv->n_frames; f++)
        for (int64_t y = 0; y < extent; y++)
            for (int64_t x = 0; x < w; x++)
                mix(b->pixels + ((f * b->h + y) * b->w + x) * ch,
                    a->pixels + ((f * a->h + a->h - extent + y) * a->w + x) * ch, ch, y, extent);
}

static void blend_left(const kn_wan_canvas *cv, const kn_wan_host_tile *a, kn_wan_host_tile *b)
{
    int64_t ch = cv->channels, extent = min3(a->w, b->w, cv->grid->blend_w), h = a->h < b->h ? a->h : b->h;
    for (int64_t f = 0; f < cv->n_frames; f++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < extent; x++)
                mix(b->pixels + ((f * b->h + y) * b->w + x) * ch,
                    a->pixels + ((f * a->h + y) * a->w + a->w - extent + x) * ch, ch, x, extent);
}

static void paste(kn_wan_canvas *cv, const kn_wan_host_tile *t, int64_t row, int64_t col)
{
    const kn_wan_tile_grid *g = cv->grid;
    int64_t y0 = row * g->out_stride_h, x0 = col * g->out_stride_w, ch = cv->channels;
    int64_t h = min3(t->h, g->out_stride_h, g->out_h - y0), w = min3(t->w, g->out_stride_w, g->out_w - x0);
    if (w <= 0)
        return;
    for (int64_t f = 0; f < cv->n_frames; f++)
        for (int64_t y = 0; y < h; y++)
            memcpy(cv->pixels + ((f * g->out_h + y0 + y) * g->out_w + x0) * ch,
                   t->pixels + (f * t->h + y) * t->w * ch, (size_t)(w * ch) * sizeof(float));
}

void kn_wan_canvas_put(kn_wan_canvas *cv, int64_t row, int64_t col, kn_wan_host_tile t)
{
    KN_ASSERT(row >= 0 && row < cv->grid->n_rows && col >= 0 && col < cv->grid->n_cols);
    if (col == 0 && row > 0) {
        clear_row(cv, cv->above);
        kn_wan_host_tile *done = cv->row;
        cv->row = cv->above;
        cv->above = done;
    }
    cv->row[col] = t;
    if (!t.pixels)
        return;
    if (row > 0)
        blend_above(cv, &cv->above[col], &cv->row[col]);
    if (col > 0)
        blend_left(cv, &cv->row[col - 1], &cv->row[col]);
    paste(cv, &cv->row[col], row, col);
}
