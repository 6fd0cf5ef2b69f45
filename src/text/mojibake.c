#include "text/mojibake.h"

/* Mojibake inside mojibake: every level is shorter than the one around it, and text this deep is noise. */
enum { DEPTH_MAX = 16 };

int32_t kn_windows1252(unsigned char byte)
{
    return byte < 0x80 ? byte : kn_codepages[1].high[byte - 0x80];
}

static bool encode(const kn_codepage *page, const kn_text32 *text, kn_buf *out)
{
    for (size_t i = 0; i < text->n; i++) {
        int byte = kn_codepage_encode(page, text->c[i]);
        if (byte < 0)
            return false;
        kn_buf_append(out, &(char){(char)byte}, 1);
    }
    return true;
}

/* Takes `bytes` through one of the byte repairs. */
static void transform(kn_buf *bytes, void (*repair)(const kn_buf *, kn_buf *))
{
    kn_buf out;
    kn_buf_init(&out, 4 * bytes->size + 4);
    repair(bytes, &out);
    out.failed = out.failed || bytes->failed;
    kn_buf_done(bytes);
    *bytes = out;
}

/* If text can be the bytes of `page`, and those are UTF-8 or nearly: that text. */
static bool reread(const kn_codepage *page, const kn_text32 *text, kn_text32 *out)
{
    kn_buf bytes;
    kn_text32 decoded = {0};
    kn_buf_init(&bytes, text->n);
    bool ok = encode(page, text, &bytes);
    if (ok && page->restores_a0)
        transform(&bytes, kn_bytes_restore_a0);
    if (ok && page->sloppy)
        transform(&bytes, kn_bytes_replace_lossy);
    ok = ok && kn_bytes_decode(&bytes, &decoded);
    if (ok)
        kn_text32_move(out, &decoded);
    out->failed = out->failed || bytes.failed || decoded.failed;
    kn_text32_done(&decoded);
    kn_buf_done(&bytes);
    return ok;
}

static bool is_class(const kn_text32 *t, size_t i, uint32_t classes)
{
    return i < t->n && (kn_char_classes(t->c[i]) & classes);
}

/* How many characters at i look like one UTF-8 sequence. */
static size_t match_sequence(const kn_text32 *t, size_t i)
{
    static const uint32_t leads[] = {KN_CLASS_LEAD2, KN_CLASS_LEAD3, KN_CLASS_LEAD4};
    for (size_t n = 1; n <= 3; n++) {
        size_t k = 0;
        while (is_class(t, i, leads[n - 1]) && k < n && is_class(t, i + 1 + k, KN_CLASS_CONT))
            k++;
        if (k == n)
            return n + 1;
    }
    return 0;
}

static size_t match_sequences(const kn_text32 *t, size_t i)
{
    size_t end = i, n;
    if (i > 0 && is_class(t, i - 1, KN_CLASS_CONT_STRICT))
        return 0;
    while ((n = match_sequence(t, end)))
        end += n;
    return end - i;
}

static void fix_encoding(kn_text32 *text, int depth);

/* Repairs the parts that look like misread UTF-8 one by one, where the whole has no consistent reading. */
static bool fix_parts(const kn_text32 *text, kn_text32 *out, int depth)
{
    for (size_t i = 0; i < text->n;) {
        size_t n = match_sequences(text, i);
        kn_text32 part = {0};
        kn_text32_append(&part, text->c + i, n ? n : 1);
        if (n && n < text->n && kn_text_is_bad(part.c, part.n))
            fix_encoding(&part, depth + 1);
        kn_text32_append(out, part.c, part.n);
        out->failed = out->failed || part.failed;
        kn_text32_done(&part);
        i += n ? n : 1;
    }
    return !kn_text32_equal(text, out);
}

static bool has_class(const kn_text32 *text, uint32_t classes)
{
    for (size_t i = 0; i < text->n; i++) {
        if (is_class(text, i, classes))
            return true;
    }
    return false;
}

static void fix_c1(const kn_text32 *text, kn_text32 *out)
{
    for (size_t i = 0; i < text->n; i++) {
        int32_t c = text->c[i];
        kn_text32_put(out, c >= 0x80 && c <= 0x9F ? kn_windows1252((unsigned char)c) : c);
    }
}

static bool is_ascii(const kn_text32 *text)
{
    for (size_t i = 0; i < text->n; i++) {
        if (text->c[i] >= 0x80)
            return false;
    }
    return true;
}

/* One repair; *out is the repaired text. Returns whether there was one (which may change nothing). */
static bool fix_once(const kn_text32 *text, kn_text32 *out, int depth)
{
    if (is_ascii(text) || !kn_text_is_bad(text->c, text->n))
        return false;
    for (int i = 0; i < KN_N_CODEPAGES; i++) {
        if (reread(&kn_codepages[i], text, out))
            return true;
    }
    if (depth < DEPTH_MAX && fix_parts(text, out, depth))
        return true;
    kn_text32_done(out);
    /* C1 controls are Latin-1 that should have been Windows-1252: nobody wants them. */
    if (!has_class(text, KN_CLASS_C1))
        return false;
    fix_c1(text, out);
    return true;
}

static void fix_encoding(kn_text32 *text, int depth)
{
    kn_text32 fixed = {0};
    while (fix_once(text, &fixed, depth) && !fixed.failed && !kn_text32_equal(text, &fixed))
        kn_text32_move(text, &fixed);
    text->failed = text->failed || fixed.failed;
    kn_text32_done(&fixed);
}

void kn_text_fix_encoding(kn_text32 *text)
{
    fix_encoding(text, 0);
}
