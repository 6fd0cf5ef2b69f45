/* Drawing the contact sheet. */
#include <math.h>
#include <string.h>

#include "world/commands.h"
#include "world/sheet.h"

/* Pixels. */
enum {
    COLUMNS = 2,
    MARGIN = 16, /* around and between cards */
    PADDING = 12,
    GAP = 4, /* between frames */
    SCALE = 2,
    ADVANCE = (WORLD_GLYPH_WIDTH + 1) * SCALE,
    LINE = (WORLD_GLYPH_HEIGHT + 2) * SCALE,
    RADIUS = 8,
    INSIDE = WORLD_SHEET_FRAMES * WORLD_SIDE + (WORLD_SHEET_FRAMES - 1) * GAP,
    CARD = INSIDE + 2 * PADDING,
    MAX_CHARS = INSIDE / ADVANCE,
    MAX_LINES = 6
};

static const uint8_t page[3] = {13, 14, 18}, card_colour[3] = {30, 32, 40}, ink[3] = {228, 231, 238};

static void set_pixel(kn_image *im, int x, int y, const uint8_t rgb[3])
{
    memcpy(im->rgb + ((size_t)y * im->width + x) * 3, rgb, 3);
}

/* How much of the pixel (x, y) of a w x h rectangle with round corners is inside it. */
static float round_cover(int x, int y, int w, int h)
{
    int dx = x < RADIUS ? RADIUS - x : x >= w - RADIUS ? x - (w - RADIUS) + 1 : 0;
    int dy = y < RADIUS ? RADIUS - y : y >= h - RADIUS ? y - (h - RADIUS) + 1 : 0;
    if (!dx || !dy)
        return 1;
    float d = RADIUS + 0.5f - hypotf((float)dx - 0.5f, (float)dy - 0.5f);
    return d < 0 ? 0 : d > 1 ? 1 : d;
}

static void draw_plate(kn_image *im, int x0, int y0, int w, int h)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float a = round_cover(x, y, w, h);
            uint8_t c[3];
            for (int k = 0; k < 3; k++)
                c[k] = (uint8_t)(page[k] + a * (float)(card_colour[k] - page[k]) + 0.5f);
            set_pixel(im, x0 + x, y0 + y, c);
        }
}

static void draw_frame(kn_image *im, int x0, int y0, const uint8_t *rgb)
{
    for (int y = 0; y < WORLD_SIDE; y++)
        memcpy(im->rgb + ((size_t)(y0 + y) * im->width + x0) * 3, rgb + (size_t)y * WORLD_SIDE * 3,
               WORLD_SIDE * 3);
}

static void draw_text(kn_image *im, int x0, int y0, const char *text, int n)
{
    for (int i = 0; i < n; i++)
        for (int y = 0; y < WORLD_GLYPH_HEIGHT * SCALE; y++)
            for (int x = 0; x < WORLD_GLYPH_WIDTH * SCALE; x++)
                if (world_glyph(text[i], x / SCALE, y / SCALE))
                    set_pixel(im, x0 + i * ADVANCE + x, y0 + y, ink);
}

/* Breaks a text at blanks. */
typedef struct wrapped {
    int n, from[MAX_LINES], length[MAX_LINES];
} wrapped;

static wrapped wrap(const char *text)
{
    wrapped w = {0};
    int from = 0, end = (int)strlen(text);
    while (from < end && w.n < MAX_LINES) {
        int to = end;
        if (end - from > MAX_CHARS) {
            for (to = from + MAX_CHARS; to > from && text[to] != ' ';)
                to--;
            if (to == from)
                to = from + MAX_CHARS;
        }
        w.from[w.n] = from;
        w.length[w.n++] = to - from;
        from = to + (text[to] == ' ');
    }
    return w;
}

/* Cards beside each other are of one height. */
static int row_lines(const world_card *cards, int n, int row)
{
    int most = 1;
    for (int i = row * COLUMNS; i < n && i < (row + 1) * COLUMNS; i++) {
        int lines = wrap(cards[i].caption).n;
        most = lines > most ? lines : most;
    }
    return most;
}

static int card_height(int n_lines)
{
    return 2 * PADDING + n_lines * LINE + GAP + WORLD_SIDE;
}

static void draw_card(kn_image *im, int x, int y, int n_lines, const world_card *c)
{
    wrapped w = wrap(c->caption);
    draw_plate(im, x, y, CARD, card_height(n_lines));
    for (int i = 0; i < w.n; i++)
        draw_text(im, x + PADDING, y + PADDING + i * LINE, c->caption + w.from[i], w.length[i]);
    for (int i = 0; i < WORLD_SHEET_FRAMES; i++)
        draw_frame(im, x + PADDING + i * (WORLD_SIDE + GAP), y + PADDING + n_lines * LINE + GAP,
                   c->frames[i]);
}

int world_sheet_draw(const world_card *cards, int n, kn_image *ret, kn_err *err)
{
    int n_rows = (n + COLUMNS - 1) / COLUMNS, height = MARGIN, y = MARGIN;
    for (int i = 0; i < n_rows; i++)
        height += card_height(row_lines(cards, n, i)) + MARGIN;
    if (kn_image_new(MARGIN + COLUMNS * (CARD + MARGIN), height, ret, err))
        return err->code;
    for (int i = 0; i < ret->width * height; i++)
        memcpy(ret->rgb + (size_t)i * 3, page, 3);
    for (int row = 0; row < n_rows; row++) {
        int n_lines = row_lines(cards, n, row);
        for (int i = row * COLUMNS; i < n && i < (row + 1) * COLUMNS; i++)
            draw_card(ret, MARGIN + i % COLUMNS * (CARD + MARGIN), y, n_lines, &cards[i]);
        y += card_height(n_lines) + MARGIN;
    }
    return 0;
}
