/* A contact sheet: cards with a sentence and frames of its clip. */
#ifndef TESTS_WORLD_SHEET_H
#define TESTS_WORLD_SHEET_H

#include "media/image.h"
#include "world/world.h"

enum { WORLD_SHEET_FRAMES = 6 };

typedef struct world_card {
    char caption[WORLD_CAPTION_MAX];
    uint8_t frames[WORLD_SHEET_FRAMES][WORLD_FRAME_BYTES];
} world_card;

/* Two columns, from left to right and down. */
int world_sheet_draw(const world_card *cards, int n, kn_image *ret, kn_err *err);

#endif
