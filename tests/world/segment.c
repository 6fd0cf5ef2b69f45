/* From pixels to blobs: vivid pixels of one hue that hang together, then the cover of each pixel by their colour. */
#include <math.h>
#include <string.h>

#include "world/look.h"

enum { DULL, COLOURED, WHITE };
enum { MIN_PIXELS = 9, MAX_LABELS = 250, NEAR = 2, AROUND = 6 };

/* Levels.  Backgrounds reach a chroma of 28, the sky 74 at hues around 214; objects have 110 or more, blue 160.  What
 * is of nearly the sky's hue is a mixture with it: between the two distances the limit falls. */
static const float dull_chroma = 58, sky_chroma = 108, sky_hue = 214, sky_hues = 26, sky_edge = 44;
/* The darkest channel of the lightest background is 154, of a shaded white object 217. */
static const float white_level = 182, white_chroma = 56;
/* Neighbours whose hues differ by more belong to different objects. */
static const float hue_step = 10, hue_range = 32; /* between neighbours; from the most vivid pixel */

/* ---- colour ---- */

float world_hue_distance(float a, float b)
{
    float d = fabsf(a - b);
    return d > 180 ? 360 - d : d;
}

static float chroma_of(const float c[3], float *ret_low, float *ret_high)
{
    *ret_low = fminf(c[0], fminf(c[1], c[2]));
    *ret_high = fmaxf(c[0], fmaxf(c[1], c[2]));
    return *ret_high - *ret_low;
}

static float hue_of(const float c[3])
{
    float low, high, d = chroma_of(c, &low, &high), h;
    if (d <= 0)
        return 0;
    if (c[0] >= high)
        h = (c[1] - c[2]) / d;
    else if (c[1] >= high)
        h = 2 + (c[2] - c[0]) / d;
    else
        h = 4 + (c[0] - c[1]) / d;
    return h < 0 ? 60 * h + 360 : 60 * h;
}

int world_colour_of(const float rgb[3], bool white)
{
    static const float far = 0.3f; /* orange and yellow, the closest two, are 0.33 apart */
    float best = far, high = fmaxf(rgb[0], fmaxf(rgb[1], rgb[2]));
    int found = WORLD_NONE;
    if (white || high <= 0)
        return white ? WORLD_WHITE : WORLD_NONE;
    for (int i = 0; i < WORLD_COLOURS; i++) {
        const uint8_t *c = world_colour_rgb[i];
        float top = fmaxf(c[0], fmaxf(c[1], c[2])), sum = 0;
        for (int k = 0; k < 3; k++) /* brightness is shading, not colour */
            sum += (rgb[k] / high - c[k] / top) * (rgb[k] / high - c[k] / top);
        if (i != WORLD_WHITE && sqrtf(sum) < best) {
            best = sqrtf(sum);
            found = i;
        }
    }
    return found;
}

/* ---- vivid pixels ---- */

static int clamp(int x)
{
    return x < 0 ? 0 : x >= WORLD_SIDE ? WORLD_SIDE - 1 : x;
}

/* Noise must not look vivid. */
static void smooth_picture(const uint8_t *rgb, float (*ret)[3])
{
    static const float weight[3] = {0.25f, 0.5f, 0.25f};
    memset(ret, 0, WORLD_PIXELS * sizeof *ret);
    for (int y = 0; y < WORLD_SIDE; y++)
        for (int x = 0; x < WORLD_SIDE; x++)
            for (int n = 0; n < 9; n++) {
                const uint8_t *from = rgb + (clamp(y + n / 3 - 1) * WORLD_SIDE + clamp(x + n % 3 - 1)) * 3;
                for (int k = 0; k < 3; k++)
                    ret[y * WORLD_SIDE + x][k] += weight[n / 3] * weight[n % 3] * from[k];
            }
}

static int kind_of(const float c[3], float hue)
{
    float low, high, chroma = chroma_of(c, &low, &high);
    if (low > white_level && chroma < white_chroma)
        return WHITE;
    float away = (world_hue_distance(hue, sky_hue) - sky_hues) / (sky_edge - sky_hues);
    away = away < 0 ? 0 : away > 1 ? 1 : away;
    return chroma > sky_chroma + away * (dull_chroma - sky_chroma) ? COLOURED : DULL;
}

static bool joined(const world_segmenter *s, int a, int b)
{
    return s->kind[a] == s->kind[b] &&
           (s->kind[a] == WHITE || world_hue_distance(s->hue[a], s->hue[b]) < hue_step);
}

/* Labels what hangs together with a pixel and is of about its hue: where two objects touch, the blurred seam leads from
 * one hue to the other.  Returns how many pixels that is. */
static int flood(world_segmenter *s, int from, uint8_t label)
{
    int n = 0, top = 0;
    s->stack[top++] = from;
    s->label[from] = label;
    while (top) {
        int p = s->stack[--top], x = p % WORLD_SIDE, y = p / WORLD_SIDE;
        n++;
        for (int i = 0; i < 9; i++) {
            int nx = x + i % 3 - 1, ny = y + i / 3 - 1, q = ny * WORLD_SIDE + nx;
            if (nx < 0 || ny < 0 || nx >= WORLD_SIDE || ny >= WORLD_SIDE || s->label[q] || !joined(s, p, q) ||
                (s->kind[q] != WHITE && world_hue_distance(s->hue[q], s->hue[from]) > hue_range))
                continue;
            s->label[q] = label;
            s->stack[top++] = q;
        }
    }
    return n;
}

/* ---- from a component to a blob ---- */

/* Whether a pixel is at most `reach` from the component. */
static bool within(const world_segmenter *s, int x, int y, uint8_t label, int reach)
{
    for (int ny = y - reach; ny <= y + reach; ny++)
        for (int nx = x - reach; nx <= x + reach; nx++)
            if (nx >= 0 && ny >= 0 && nx < WORLD_SIDE && ny < WORLD_SIDE &&
                s->label[ny * WORLD_SIDE + nx] == label)
                return true;
    return false;
}

static float vividness(const float c[3], int kind)
{
    float low, high, chroma = chroma_of(c, &low, &high);
    return kind == WHITE ? low : chroma;
}

/* The colour of the most vivid pixels: edges are mixtures. */
static void middle_colour(const world_segmenter *s, uint8_t label, int kind, float ret[3])
{
    float most = 0, n = 0;
    for (int p = 0; p < WORLD_PIXELS; p++)
        if (s->label[p] == label)
            most = fmaxf(most, vividness(s->smooth[p], kind));
    memset(ret, 0, 3 * sizeof *ret);
    for (int p = 0; p < WORLD_PIXELS; p++)
        if (s->label[p] == label && vividness(s->smooth[p], kind) >= 0.8f * most) {
            for (int k = 0; k < 3; k++)
                ret[k] += s->smooth[p][k];
            n++;
        }
    for (int k = 0; k < 3; k++)
        ret[k] /= n;
}

typedef struct box {
    int x0, y0, x1, y1; /* inclusive */
} box;

static box box_around(const world_segmenter *s, uint8_t label)
{
    box b = {WORLD_SIDE, WORLD_SIDE, 0, 0};
    for (int p = 0; p < WORLD_PIXELS; p++)
        if (s->label[p] == label) {
            int x = p % WORLD_SIDE, y = p / WORLD_SIDE;
            b = (box){x < b.x0 ? x : b.x0, y < b.y0 ? y : b.y0, x > b.x1 ? x : b.x1, y > b.y1 ? y : b.y1};
        }
    return (box){clamp(b.x0 - AROUND), clamp(b.y0 - AROUND), clamp(b.x1 + AROUND), clamp(b.y1 + AROUND)};
}

static void surrounding_colour(const world_segmenter *s, uint8_t label, box b, float ret[3])
{
    float n = 0;
    memset(ret, 0, 3 * sizeof *ret);
    for (int y = b.y0; y <= b.y1; y++)
        for (int x = b.x0; x <= b.x1; x++) {
            int p = y * WORLD_SIDE + x;
            if (s->label[p] || within(s, x, y, label, NEAR))
                continue;
            for (int k = 0; k < 3; k++)
                ret[k] += s->smooth[p][k];
            n++;
        }
    for (int k = 0; k < 3 && n > 0; k++)
        ret[k] /= n;
}

/* Shadows change how bright the background is: coloured objects are told from it by chroma alone, white ones by
 * brightness. */
static void comparable(const float c[3], bool white, float ret[3])
{
    float mean = (c[0] + c[1] + c[2]) / 3;
    for (int k = 0; k < 3; k++)
        ret[k] = white ? mean : c[k] - mean;
}

/* How far pixels are on the way from the background's colour to the object's. */
static void measure(const world_segmenter *s, const uint8_t *rgb, uint8_t label, box b, world_blob *ret)
{
    static const float faint = 0.25f; /* of what is less, noise would be the larger part */
    float around[3], from[3], to[3], way[3], length = 0, sum_x = 0, sum_y = 0;
    surrounding_colour(s, label, b, around);
    comparable(around, ret->white, from);
    comparable(ret->rgb, ret->white, to);
    for (int k = 0; k < 3; k++) {
        way[k] = to[k] - from[k];
        length += way[k] * way[k];
    }
    ret->contrast = sqrtf(length);
    ret->area = 0;
    memset(ret->cover, 0, sizeof ret->cover);
    for (int y = b.y0; y <= b.y1; y++)
        for (int x = b.x0; x <= b.x1; x++) {
            int p = y * WORLD_SIDE + x;
            if ((s->label[p] && s->label[p] != label) || !within(s, x, y, label, NEAR))
                continue;
            float c[3] = {rgb[p * 3], rgb[p * 3 + 1], rgb[p * 3 + 2]}, u[3], dot = 0;
            comparable(c, ret->white, u);
            for (int k = 0; k < 3; k++)
                dot += (u[k] - from[k]) * way[k];
            float cover = length > 0 ? dot / length : 0;
            cover = cover < faint ? 0 : cover > 1 ? 1 : cover;
            ret->cover[p] = (uint8_t)(cover * 255 + 0.5f);
            ret->area += cover;
            sum_x += cover * (float)x;
            sum_y += cover * (float)y;
        }
    ret->x = ret->area > 0 ? sum_x / ret->area : 0;
    ret->y = ret->area > 0 ? sum_y / ret->area : 0;
}

/* The most vivid pixel without a label; -1: there is none left. */
static int next_seed(const world_segmenter *s)
{
    int best = -1;
    float most = 0;
    for (int p = 0; p < WORLD_PIXELS; p++) {
        if (s->kind[p] == DULL || s->label[p])
            continue;
        float v = vividness(s->smooth[p], s->kind[p]);
        if (best < 0 || v > most) {
            best = p;
            most = v;
        }
    }
    return best;
}

/* Whether a component is no more than the rim of larger ones, where their colour mixes with the background's. */
static bool is_rim(const world_segmenter *s, const int sizes[MAX_LABELS], uint8_t label)
{
    int n_near = 0;
    for (int p = 0; p < WORLD_PIXELS; p++) {
        bool near = false;
        for (int i = 0; s->label[p] == label && i < 25 && !near; i++) {
            int x = p % WORLD_SIDE + i % 5 - 2, y = p / WORLD_SIDE + i / 5 - 2;
            uint8_t other = s->label[clamp(y) * WORLD_SIDE + clamp(x)];
            near = other && other != label && sizes[other - 1] > sizes[label - 1];
        }
        n_near += near;
    }
    return 10 * n_near > 7 * sizes[label - 1];
}

static void keep_largest(world_segmenter *s, const int sizes[MAX_LABELS], int n, world_blobs *ret,
                         uint8_t labels[WORLD_MAX_BLOBS])
{
    bool taken[MAX_LABELS] = {0};
    for (int i = 0; i < n; i++)
        taken[i] = sizes[i] < MIN_PIXELS || is_rim(s, sizes, (uint8_t)(i + 1));
    for (int p = 0; p < WORLD_PIXELS; p++) /* a rim's pixels are the larger one's to have */
        if (s->label[p] && taken[s->label[p] - 1])
            s->label[p] = 0;
    for (ret->n = 0; ret->n < WORLD_MAX_BLOBS; ret->n++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!taken[i] && (best < 0 || sizes[i] > sizes[best]))
                best = i;
        if (best < 0)
            return;
        taken[best] = true;
        labels[ret->n] = (uint8_t)(best + 1);
    }
}

void world_segment(world_segmenter *s, const uint8_t *rgb, world_blobs *ret)
{
    int sizes[MAX_LABELS], kinds[MAX_LABELS], n = 0;
    uint8_t labels[WORLD_MAX_BLOBS];
    smooth_picture(rgb, s->smooth);
    for (int p = 0; p < WORLD_PIXELS; p++) {
        s->hue[p] = hue_of(s->smooth[p]);
        s->kind[p] = (uint8_t)kind_of(s->smooth[p], s->hue[p]);
    }
    memset(s->label, 0, sizeof s->label);
    for (int p; n < MAX_LABELS && (p = next_seed(s)) >= 0; n++) {
        kinds[n] = s->kind[p];
        sizes[n] = flood(s, p, (uint8_t)(n + 1));
    }
    keep_largest(s, sizes, n, ret, labels);
    for (int i = 0; i < ret->n; i++) {
        world_blob *b = &ret->list[i];
        int kind = kinds[labels[i] - 1];
        b->white = kind == WHITE;
        middle_colour(s, labels[i], kind, b->rgb);
        b->hue = hue_of(b->rgb);
        measure(s, rgb, labels[i], box_around(s, labels[i]), b);
    }
}
