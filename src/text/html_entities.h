/* HTML character references. */
#ifndef KN_TEXT_HTML_ENTITIES_H
#define KN_TEXT_HTML_ENTITIES_H

#include <stddef.h>

#include "text/text32.h"

typedef struct kn_html_entity {
    const char *name; /* "amp;", without the ampersand */
    const char *text; /* UTF-8, one or two code points */
} kn_html_entity;

extern const kn_html_entity kn_html_entities[]; /* sorted by name */
extern const size_t kn_n_html_entities;

/* The entity of exactly this name (an ASCII string of `size` bytes), or NULL. */
const kn_html_entity *kn_html_entity_find(const char *name, size_t size);

/* Python's html.unescape, the rules of HTML5: also names without semicolon, by their longest known prefix. */
void kn_html_unescape(const kn_text32 *in, kn_text32 *out);
/* ftfy's unescape_html: only references that end in a semicolon, and upper-case spellings of lower-case names
 * ("&EACUTE;" is an upper-case e with acute accent). */
void kn_html_unescape_careful(const kn_text32 *in, kn_text32 *out);

#endif
