/* Prompt enhancement by rule: terms that video models answer to, added to what the user wrote, never in its place.  What is
 * already said is not said again, and the result is for the user to edit. */
#ifndef KN_ENGINE_ENHANCE_H
#define KN_ENGINE_ENHANCE_H

#include "base/json.h"

enum kn_enhance_style {
    KN_ENHANCE_QUALITY = 1,
    KN_ENHANCE_CINEMATIC = 2,
    KN_ENHANCE_AESTHETIC = 4, /* of VACE's captions: composition, colours, one coherent subject */
};

typedef struct kn_enhanced {
    char *prompt;
    unsigned styles; /* that were applied */
    json_t *added;   /* the terms, in order */
    bool has_vace;   /* the prompt itself asks for VACE's kind of aesthetics */
    bool has_cinema; /* ... or speaks of film */
} kn_enhanced;

/* styles 0: quality, and what the prompt itself asks for. KN_EINVAL: empty; KN_ELIMIT: no room in KN_LIMIT_PROMPT_BYTES. */
int kn_enhance(const char *prompt, unsigned styles, kn_enhanced *ret, kn_err *err);
void kn_enhanced_done(kn_enhanced *e); /* accepts a zeroed one */
/* "quality", "cinematic", "aesthetic". KN_EINVAL names them. */
int kn_enhance_style_parse(const char *name, unsigned *ret, kn_err *err);
/* {"prompt", "added": [...], "styles": [...], "detected": {"vace", "cinematic"}} */
json_t *kn_enhanced_to_json(const kn_enhanced *e);

#endif
