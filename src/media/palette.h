/* 256 colours for pictures that have more: chosen by median cut, laid on with an ordered dither. */
#ifndef KN_MEDIA_PALETTE_H
#define KN_MEDIA_PALETTE_H

#include <stdbool.h>
#include <stddef.h>

#include "media/image.h"

enum { KN_PALETTE_COLORS = 256 };

typedef struct kn_palette kn_palette;

/* No colours yet. NULL without memory. */
kn_palette *kn_palette_new(void);
void kn_palette_free(kn_palette *p); /* accepts NULL */

/* Keeps the colours while they do for this picture nearly as well as its own would (a palette that changes with every
 * frame makes still parts flicker), else takes the picture's own.  True if they changed. */
bool kn_palette_adapt(kn_palette *p, const kn_image *im);
/* [KN_PALETTE_COLORS][3] */
const uint8_t *kn_palette_colors(const kn_palette *p);
/* Indices [height][stride] of the picture, dithered with a pattern that stays where it is from frame to frame. */
void kn_palette_apply(kn_palette *p, const kn_image *im, uint8_t *dst, ptrdiff_t stride);

#endif
