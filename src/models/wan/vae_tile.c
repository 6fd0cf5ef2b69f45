/* Tiles blended on the host, in diffusers' order: each tile is blended with the tile above, then with the tile to
 * its left, both already blended themselves, and then cropped to the stride. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/vae_internal.h"

struct kn_wan_host_tile {
    int64_t h, w;
    float *pixels; /* [frames, h, w, channels] */
};

int kn_wan_canvas_init(kn_wan_canvas *cv, const kn_wan_tile_grid *g, int64_t n_frames, int64_t channels,
                       kn_err *err)
{
    kn_wan_canvas canvas = {.grid = g, .n_frames = n_frames, .channels = channels};
    canvas.pixels = kn_calloc((size_t)(n_frames * g->out_h * g->out_w), (size_t)channels * sizeof(float));
    canvas.above = kn_calloc((size_t)g->n_cols, sizeof *canvas.above);
    canvas.row = kn_calloc((size_t)g->n_cols, sizeof *canvas.row);
    if (!canvas.pixels || !canvas.above || !canvas.row) {
        kn_wan_canvas_done(&canvas);
        return kn_fail(err, KN_ENOMEM, "no memory for %lld tiled pictures of %lldx%lld", (long long)n_frames,
                       (long long)g->out_w, (long long)g->out_h);
    }
    *cv = canvas;
    return 0;
}

static void clear_row(struct kn_wan_host_tile *row, int64_t n)
{
    for (int64_t i = 0; row && i < n; i++) {
        free(row[i].pixels);
        row[i] = (struct kn_wan_host_tile){0};
    }
}

void kn_wan_canvas_done(kn_wan_canvas *cv)
{
    int64_t n = cv->grid ? cv->grid->n_cols : 0;
    clear_row(cv->above, n);
    clear_row(cv->row, n);
    free(cv->above);
    free(cv->row);
    free(cv->pixels);
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

static void blend_above(const kn_wan_canvas *cv, const struct kn_wan_host_tile *a, struct kn_wan_host_tile *b)
{
    int64_t ch = cv->channels, extent = min3(a->h, b->h, cv->grid->blend_h), w = a->w < b->w ? a->w : b->w;
    for (int64_t f = 0; f < cv->n_frames; f++)
        for (int64_t y = 0; y < extent; y++)
            for (int64_t x = 0; x < w; x++)
                mix(b->pixels + ((f * b->h + y) * b->w + x) * ch,
                    a->pixels + ((f * a->h + a->h - extent + y) * a->w + x) * ch, ch, y, extent);
}

static void blend_left(const kn_wan_canvas *cv, const struct kn_wan_host_tile *a, struct kn_wan_host_tile *b)
{
    int64_t ch = cv->channels, extent = min3(a->w, b->w, cv->grid->blend_w), h = a->h < b->h ? a->h : b->h;
    for (int64_t f = 0; f < cv->n_frames; f++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < extent; x++)
                mix(b->pixels + ((f * b->h + y) * b->w + x) * ch,
                    a->pixels + ((f * a->h + y) * a->w + a->w - extent + x) * ch, ch, x, extent);
}

static void paste(kn_wan_canvas *cv, const struct kn_wan_host_tile *t, int64_t row, int64_t col)
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

int kn_wan_canvas_put(kn_wan_canvas *cv, int64_t row, int64_t col, int64_t h, int64_t w, float *pixels,
                      kn_err *err)
{
    if (row < 0 || row >= cv->grid->n_rows || col < 0 || col >= cv->grid->n_cols) {
        free(pixels);
        return kn_fail(err, KN_EINTERNAL, "tile %lld,%lld lies outside the grid", (long long)row,
                       (long long)col);
    }
    if (col == 0 && row > 0) {
        clear_row(cv->above, cv->grid->n_cols);
        struct kn_wan_host_tile *done = cv->row;
        cv->row = cv->above;
        cv->above = done;
    }
    struct kn_wan_host_tile *t = &cv->row[col];
    *t = (struct kn_wan_host_tile){h, w, pixels};
    if (row > 0)
        blend_above(cv, &cv->above[col], t);
    if (col > 0)
        blend_left(cv, &cv->row[col - 1], t);
    paste(cv, t, row, col);
    return 0;
}
