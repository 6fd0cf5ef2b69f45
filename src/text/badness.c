/* Sequences of characters that people do not write but misread UTF-8 is full of. The rules state the facts of ftfy
 * 6.3's heuristic; each is a short sequence of sets. */
#include <string.h>
#include <utf8proc.h>

#include "text/mojibake.h"
#include "text/utf8.h"

enum {
    COMMON = KN_CLASS_COMMON,
    C1 = KN_CLASS_C1,
    BAD = KN_CLASS_BAD,
    LAW = KN_CLASS_LAW,
    CURRENCY = KN_CLASS_CURRENCY,
    START = KN_CLASS_START,
    END = KN_CLASS_END,
    NUMERIC = KN_CLASS_NUMERIC,
    KAOMOJI = KN_CLASS_KAOMOJI,
    UPPER = KN_CLASS_UPPER_ACC,
    LOWER = KN_CLASS_LOWER_ACC,
    COMMON_LETTER = KN_CLASS_UPPER_COM | KN_CLASS_LOWER_COM,
    LOWER_COMMON = KN_CLASS_LOWER_COM,
    BOX = KN_CLASS_BOX,
    ACCENTED = UPPER | LOWER,
    PUNCT = START | END,
    /* Sets that the table of classes does not hold. */
    ASCII_LOWER = 1 << 24,
    ASCII_UPPER = 1 << 25,
    SPACE = 1 << 26,
    WORD = 1 << 27,
    NOT_LATIN = 1 << 28, /* anything but an unaccented Latin letter */
    ANY = 1 << 29,       /* anything but a newline */
    ASCII_LETTER = ASCII_LOWER | ASCII_UPPER,
};

/* A set: the classes, and some characters by name. */
typedef struct set {
    uint32_t classes;
    const char *chars;
} set;

enum { RULE_MAX = 7 };

typedef struct rule {
    bool at_start; /* only at the beginning of the text */
    set sets[RULE_MAX];
} rule;

#define SIGNS  (BOX | PUNCT | CURRENCY | NUMERIC | LAW)
#define ARABIC (COMMON | CURRENCY | BAD | NUMERIC | START)
#define ODD    (C1 | BAD | PUNCT | CURRENCY)
#define RULE(...)                                                                                            \
    {                                                                                                        \
        false,                                                                                               \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }

static const rule rules[] = {
    RULE({C1, ""}),
    RULE({BAD | ACCENTED | SIGNS, ""}, {BAD, ""}),
    RULE({ASCII_LETTER, ""}, {COMMON_LETTER, ""}, {BAD, ""}),
    RULE({BAD, ""}, {ACCENTED | SIGNS, ""}),
    RULE({LOWER | LOWER_COMMON | BOX | END | CURRENCY | NUMERIC, ""}, {UPPER, ""}),
    RULE({BOX | END | CURRENCY | NUMERIC, ""}, {LOWER, ""}),
    RULE({LOWER | BOX | END, ""}, {CURRENCY, ""}),
    RULE({SPACE, ""}, {UPPER, ""}, {CURRENCY, ""}),
    RULE({UPPER | BOX, ""}, {NUMERIC | LAW, ""}),
    RULE({ACCENTED | BOX | CURRENCY | END, ""}, {START, ""}, {NUMERIC, ""}),
    RULE({ACCENTED | CURRENCY | NUMERIC | BOX | LAW, ""}, {END, ""}, {START, ""}),
    RULE({CURRENCY | NUMERIC | BOX, ""}, {START, ""}),
    RULE({ASCII_LOWER, ""}, {UPPER, ""}, {START | CURRENCY, ""}),
    RULE({BOX, ""}, {KAOMOJI, ""}),
    RULE({ACCENTED | CURRENCY | NUMERIC | PUNCT | LAW, ""}, {BOX, ""}),
    RULE({BOX, ""}, {END, ""}),
    RULE({ACCENTED, ""}, {PUNCT, ""}, {WORD, ""}),
    /* The ligature oe before anything but a plain Latin letter. */
    RULE({0, "Œœ"}, {NOT_LATIN, ""}),
    /* Degree signs after capital letters. */
    RULE({UPPER, ""}, {0, "°"}),
    /* Windows-1252: two characters that the rules above miss. */
    RULE({0, "ÂÃÎÐ"}, {PUNCT, "€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´"}),
    RULE({0, "×"}, {0, "²³"}),
    /* Windows-1252: Arabic, where only four characters together are sign enough. */
    RULE({0, "ØÙ"}, {ARABIC, "ŸŠ®°µ»"}, {0, "ØÙ"}, {ARABIC, "ŸŠ®°µ»"}),
    /* Windows-1252: the beginning of letters of South Asia. */
    RULE({0, "à"}, {0, "²µ¹¼½¾"}),
    /* MacRoman. */
    RULE({0, "√"}, {0, "±∂†≠®™´≤≥¥µø"}),
    RULE({0, "≈"}, {0, "°¢"}),
    RULE({0, "‚"}, {0, "Ä"}, {0, "ìîïòôúùû†°¢π"}),
    RULE({0, "‚"}, {0, "âó"}, {0, "àä°ê"}),
    /* Windows-1251: punctuation, then Latin-1 or Cyrillic, then both at once beside a Latin letter. */
    RULE({0, "в"}, {0, "Ђ"}),
    RULE({0, "ВГРС"}, {ODD, "°µ"}, {0, "ВГРС"}),
    RULE({0, "Г"}, {0, "ў"}, {0, "В"}, {0, "Ђ"}, {0, "В"}, {ANY, ""}, {ASCII_LETTER, " "}),
    /* Windows-1252: a with grave or acute accent, and the no-break space itself. */
    RULE({0, "Ã"}, {0, "\u00A0¡"}),
    RULE({ASCII_LOWER, ""}, {0, "ÃÂ"}, {0, " "}),
    RULE({ASCII_LOWER, ""}, {SPACE, ""}, {0, "ÃÂ"}, {0, " "}),
    {true, {{0, "ÃÂ"}, {0, " "}}},
    RULE({ASCII_LOWER | END, ".,?!"}, {0, "Â"}, {PUNCT, " "}),
    /* Windows-1253: punctuation, then Latin-1 or Greek. */
    RULE({0, "β"}, {0, "€"}, {0, "™\u00A0Ά\u00AD®°"}),
    RULE({0, "ΒΓΞΟ"}, {ODD, "°"}, {0, "ΒΓΞΟ"}),
    /* Windows-1257: punctuation. */
    RULE({0, "ā"}, {0, "€"}),
};

static bool is_python_word(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return c == '_' || (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

static uint32_t classes_of(int32_t c)
{
    uint32_t classes = kn_char_classes(c);
    bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    classes |= lower ? ASCII_LOWER : upper ? ASCII_UPPER : NOT_LATIN;
    classes |= kn_char_is_python_space(c) ? SPACE : 0;
    classes |= is_python_word(c) ? WORD : 0;
    classes |= c != '\n' ? ANY : 0;
    return classes;
}

static bool in_set(const set *s, int32_t c, uint32_t classes)
{
    if (s->classes & classes)
        return true;
    size_t size = strlen(s->chars), n;
    for (size_t i = 0; i < size; i += n) {
        if (kn_utf8_next(s->chars + i, size - i, &n) == c)
            return true;
    }
    return false;
}

static bool matches(const rule *r, const int32_t *s, size_t n)
{
    for (size_t i = 0; i < RULE_MAX && r->sets[i].chars; i++) {
        if (i >= n || !in_set(&r->sets[i], s[i], classes_of(s[i])))
            return false;
    }
    return true;
}

bool kn_text_is_bad(const int32_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
            if ((i == 0 || !rules[k].at_start) && matches(&rules[k], s + i, n - i))
                return true;
        }
    }
    return false;
}
