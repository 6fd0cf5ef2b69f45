/* Colours are counted in cells of 5 bits a channel; a cell keeps the mean of what fell into it, so few colours (a drawing)
 * come out exact.  Median cut (Heckbert 1982) splits the box with the largest squared error across its widest axis. */
#include "media/palette.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    BITS = 5,
    N_CELLS = 1 << (3 * BITS),
    LOOK_BITS = 6, /* of the table that says which colour is the nearest */
    N_LOOKED = 1 << (3 * LOOK_BITS),
    N = KN_PALETTE_COLORS,
    DITHER_SIDE = 8,
};
/* A palette is kept while its error is at most this much more than the best one's. */
static const double keep_factor = 1.25, keep_error = 2.0 /* squared levels a pixel: not to be seen */;

typedef struct cell {
    uint32_t count;
    uint8_t mean[3];
} cell;

typedef struct box {
    int first, n; /* of used[] */
    int axis;     /* the widest */
    double error; /* squared, of all its pixels against its mean */
    double mean[3];
} box;

struct kn_palette {
    uint8_t colors[N][3], fresh[N][3];
    bool is_set;
    int16_t looked[N_LOOKED]; /* index of the nearest of colors; -1: not looked for yet */
    cell cells[N_CELLS];
    uint64_t sums[N_CELLS][3];
    int n_used, used[N_CELLS];
    box boxes[N];
};

kn_palette *kn_palette_new(void)
{
    return kn_calloc(1, sizeof(kn_palette));
}

void kn_palette_free(kn_palette *p)
{
    free(p);
}

const uint8_t *kn_palette_colors(const kn_palette *p)
{
    return p->colors[0];
}

static int cell_of(const uint8_t *rgb, int bits)
{
    return rgb[0] >> (8 - bits) << (2 * bits) | rgb[1] >> (8 - bits) << bits | rgb[2] >> (8 - bits);
}

/* ---- counting ---- */

static void count(kn_palette *p, const kn_image *im)
{
    size_t n = (size_t)im->width * (size_t)im->height;
    for (int i = 0; i < N_CELLS; i++)
        p->cells[i].count = 0;
    memset(p->sums, 0, sizeof p->sums);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *rgb = im->rgb + 3 * i;
        int at = cell_of(rgb, BITS);
        p->cells[at].count++;
        for (int c = 0; c < 3; c++)
            p->sums[at][c] += rgb[c];
    }
    p->n_used = 0;
    for (int i = 0; i < N_CELLS; i++) {
        cell *k = &p->cells[i];
        if (!k->count)
            continue;
        for (int c = 0; c < 3; c++)
            k->mean[c] = (uint8_t)((p->sums[i][c] + k->count / 2) / k->count);
        p->used[p->n_used++] = i;
    }
}

/* ---- choosing ---- */

static void measure(const kn_palette *p, box *b)
{
    double count = 0, sum[3] = {0}, squares[3] = {0};
    for (int i = b->first; i < b->first + b->n; i++) {
        const cell *k = &p->cells[p->used[i]];
        count += k->count;
        for (int c = 0; c < 3; c++) {
            sum[c] += (double)k->count * k->mean[c];
            squares[c] += (double)k->count * k->mean[c] * k->mean[c];
        }
    }
    double widest = -1;
    b->error = 0;
    for (int c = 0; c < 3; c++) {
        double error = squares[c] - sum[c] * sum[c] / count;
        b->mean[c] = sum[c] / count;
        b->error += error > 0 ? error : 0;
        if (error > widest) {
            widest = error;
            b->axis = c;
        }
    }
}

/* Moves the cells below the mean of the widest axis to the front of the box; how many that are. */
static int partition(kn_palette *p, const box *b)
{
    int front = b->first;
    for (int i = b->first; i < b->first + b->n; i++) {
        int at = p->used[i];
        if (p->cells[at].mean[b->axis] > b->mean[b->axis])
            continue;
        p->used[i] = p->used[front];
        p->used[front++] = at;
    }
    return front - b->first;
}

static void choose(kn_palette *p)
{
    int n = 1;
    p->boxes[0] = (box){.first = 0, .n = p->n_used};
    measure(p, &p->boxes[0]);
    while (n < N) {
        int worst = 0;
        for (int i = 1; i < n; i++)
            if (p->boxes[i].error > p->boxes[worst].error)
                worst = i;
        box *b = &p->boxes[worst], *other = &p->boxes[n];
        int below = b->n > 1 ? partition(p, b) : 0;
        if (!below || below == b->n) /* a single colour, or so close that rounding decides */
            break;
        *other = (box){.first = b->first + below, .n = b->n - below};
        b->n = below;
        measure(p, b);
        measure(p, other);
        n++;
    }
    memset(p->fresh, 0, sizeof p->fresh);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            p->fresh[i][c] = (uint8_t)(p->boxes[i].mean[c] + 0.5);
    for (int i = n; i < N; i++)
        memcpy(p->fresh[i], p->fresh[0], 3);
}

static int distance(const uint8_t *a, const uint8_t *b)
{
    int r = a[0] - b[0], g = a[1] - b[1], l = a[2] - b[2];
    return r * r + g * g + l * l;
}

static int nearest(uint8_t colors[N][3], const uint8_t *rgb)
{
    int best = 0, least = distance(colors[0], rgb);
    for (int i = 1; i < N && least; i++) {
        int d = distance(colors[i], rgb);
        if (d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}

/* Mean squared error a pixel of the picture that was counted. */
static double error_of(const kn_palette *p, uint8_t colors[N][3])
{
    double sum = 0, n = 0;
    for (int i = 0; i < p->n_used; i++) {
        const cell *k = &p->cells[p->used[i]];
        sum += (double)k->count * distance(colors[nearest(colors, k->mean)], k->mean);
        n += k->count;
    }
    return n > 0 ? sum / n : 0;
}

bool kn_palette_adapt(kn_palette *p, const kn_image *im)
{
    count(p, im);
    double now = p->is_set ? error_of(p, p->colors) : 0;
    if (p->is_set && now <= keep_error)
        return false;
    choose(p);
    if (p->is_set && now <= keep_factor * error_of(p, p->fresh))
        return false;
    memcpy(p->colors, p->fresh, sizeof p->colors);
    memset(p->looked, 0xff, sizeof p->looked);
    p->is_set = true;
    return true;
}

/* ---- laying on ---- */

/* Bayer's matrix, 0..63. */
static int bayer(int x, int y)
{
    int v = 0;
    for (int bit = 0; bit < 3; bit++) {
        int a = (x ^ y) >> bit & 1, b = y >> bit & 1;
        v = v << 2 | a << 1 | b;
    }
    return v;
}

static uint8_t shifted(int v, int by)
{
    v += by;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static int look_up(kn_palette *p, const uint8_t *rgb)
{
    int at = cell_of(rgb, LOOK_BITS);
    if (p->looked[at] < 0) {
        /* the middle of the cell, so that the answer does not depend on which of its colours came first */
        uint8_t middle[3];
        for (int c = 0; c < 3; c++)
            middle[c] = (uint8_t)((rgb[c] & (0xff << (8 - LOOK_BITS))) + (1 << (7 - LOOK_BITS)));
        p->looked[at] = (int16_t)nearest(p->colors, middle);
    }
    return p->looked[at];
}

void kn_palette_apply(kn_palette *p, const kn_image *im, uint8_t *dst, ptrdiff_t stride)
{
    enum {
        AMPLITUDE = 12, /* levels: about the distance of neighbouring colours in a palette of 256 */
        CLOSE = 12      /* squared: a colour that is there is not dithered */
    };
    int pattern[DITHER_SIDE][DITHER_SIDE];
    for (int y = 0; y < DITHER_SIDE; y++)
        for (int x = 0; x < DITHER_SIDE; x++)
            pattern[y][x] = (2 * bayer(x, y) - 63) * AMPLITUDE / 126;
    for (int y = 0; y < im->height; y++) {
        const uint8_t *rgb = im->rgb + (size_t)y * (size_t)im->width * 3;
        uint8_t *row = dst + y * stride;
        for (int x = 0; x < im->width; x++, rgb += 3) {
            int index = look_up(p, rgb), by = pattern[y % DITHER_SIDE][x % DITHER_SIDE];
            if (distance(p->colors[index], rgb) > CLOSE) {
                uint8_t c[3] = {shifted(rgb[0], by), shifted(rgb[1], by), shifted(rgb[2], by)};
                index = look_up(p, c);
            }
            row[x] = (uint8_t)index;
        }
    }
}
