#include "engine/enhance.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

/* Terms in the order in which they are added; `instead` are words that say so already. */
typedef struct term {
    const char *text;
    const char *instead; /* "a|b" */
} term;

static const struct {
    const char *name;
    unsigned style;
    term terms[6];
} rules[] = {
    {"quality",
     KN_ENHANCE_QUALITY,
     {{"highly detailed", "detailed|intricate"},
      {"sharp focus", "sharp|blurry|soft focus|out of focus"},
      {"natural lighting", "light|lit|sun|neon|night|dark|shadow"},
      {"smooth motion", "motion|still|static|slow"}}},
    {"cinematic",
     KN_ENHANCE_CINEMATIC,
     {{"cinematic composition", "cinematic"},
      {"dramatic lighting", "dramatic|light|lit|sun|neon"},
      {"shallow depth of field", "depth of field|bokeh|wide angle"},
      {"steady camera movement", "camera|handheld|tracking|pan|dolly|zoom|drone"},
      {"film grain", "grain|35mm|film"}}},
    {"aesthetic",
     KN_ENHANCE_AESTHETIC,
     {{"balanced composition", "composition|composed"},
      {"harmonious colours", "colour|color|palette|monochrome|black and white"},
      {"coherent subject throughout", "coherent|consistent"}}},
};

enum { N_RULES = sizeof rules / sizeof *rules };

static const char vace_words[] =
    "vace|aesthetic|artistic|experimental|avant-garde|painterly|stylised|stylized";
static const char cinema_words[] = "cinematic|movie|film|35mm|anamorphic|trailer|hollywood|noir";

static bool begins_word(const char *text, const char *at)
{
    return at == text || !isalnum((unsigned char)at[-1]);
}

/* Whether the lower-case text has one of the words "a|b", each at the beginning of a word. */
static bool has_word(const char *text, const char *words)
{
    for (const char *w = words; *w;) {
        char word[48];
        size_t n = strcspn(w, "|");
        snprintf(word, sizeof word, "%.*s", (int)n, w);
        for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
            if (begins_word(text, at))
                return true;
        w += n + (w[n] == '|');
    }
    return false;
}

static char *lower(const char *text)
{
    char *s = kn_strdup(text);
    for (char *p = s; p && *p; p++)
        *p = (char)tolower((unsigned char)*p); /* letters of ASCII: the words above are */
    return s;
}

/* Without spaces and full stops at its end, so that a list can follow. */
static size_t trimmed(const char *prompt)
{
    size_t n = strlen(prompt);
    while (n && strchr(" \t\r\n.,;", prompt[n - 1]))
        n--;
    return n;
}

static void add_terms(kn_enhanced *e, const char *words, const term *terms, kn_buf *b)
{
    for (const term *t = terms; t < terms + 6 && t->text; t++) {
        if (has_word(words, t->instead) || has_word(words, t->text))
            continue;
        kn_buf_printf(b, ", %s", t->text);
        json_array_append_new(e->added, json_string(t->text));
    }
}

int kn_enhance(const char *prompt, unsigned styles, kn_enhanced *ret, kn_err *err)
{
    size_t n = trimmed(prompt);
    char *words = lower(prompt);
    kn_enhanced e = {.added = json_array()};
    kn_buf b;
    kn_buf_init(&b, KN_LIMIT_PROMPT_BYTES);
    int rc = words && e.added ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a prompt");
    if (!rc && !n)
        rc = kn_fail(err, KN_EINVAL, "prompt: empty, expected something to build on");
    if (!rc) {
        e.has_vace = has_word(words, vace_words);
        e.has_cinema = has_word(words, cinema_words);
        e.styles = styles ? styles
                          : KN_ENHANCE_QUALITY | (e.has_cinema ? KN_ENHANCE_CINEMATIC : 0u) |
                                (e.has_vace ? KN_ENHANCE_AESTHETIC : 0u);
        kn_buf_append(&b, prompt, n);
        for (int i = 0; i < N_RULES; i++)
            if (e.styles & rules[i].style)
                add_terms(&e, words, rules[i].terms, &b);
        e.prompt = kn_buf_take(&b);
        if (!e.prompt)
            rc = kn_fail(err, KN_ELIMIT, "prompt: no room for more in %u bytes", KN_LIMIT_PROMPT_BYTES);
    }
    kn_buf_done(&b);
    free(words);
    if (rc)
        kn_enhanced_done(&e);
    else
        *ret = e;
    return rc;
}

void kn_enhanced_done(kn_enhanced *e)
{
    free(e->prompt);
    json_decref(e->added);
    *e = (kn_enhanced){0};
}

int kn_enhance_style_parse(const char *name, unsigned *ret, kn_err *err)
{
    for (int i = 0; i < N_RULES; i++)
        if (strcmp(rules[i].name, name) == 0) {
            *ret = rules[i].style;
            return 0;
        }
    return kn_fail(err, KN_EINVAL, "styles: \"%.32s\", expected quality, cinematic or aesthetic", name);
}

json_t *kn_enhanced_to_json(const kn_enhanced *e)
{
    json_t *styles = json_array();
    for (int i = 0; i < N_RULES; i++)
        if (e->styles & rules[i].style)
            json_array_append_new(styles, json_string(rules[i].name));
    return json_pack("{s:s, s:O, s:o, s:{s:b, s:b}}", "prompt", e->prompt, "added", e->added, "styles",
                     styles, "detected", "vace", e->has_vace, "cinematic", e->has_cinema);
}
