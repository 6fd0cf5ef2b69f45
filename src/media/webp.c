#include "media/webp.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "media/image_probe.h"
#include "media/webp_riff.h"

static const char XMP_BEGIN[] =
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF "
    "xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" "
    "xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">";
static const char XMP_END[] = "</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>";

/* ---- chunks ---- */

uint32_t kn_le24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

uint32_t kn_le32(const uint8_t *p)
{
    return kn_le24(p) | (uint32_t)p[3] << 24;
}

void kn_put_le24(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 3; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

void kn_put_le32(uint8_t *p, uint32_t v)
{
    kn_put_le24(p, v);
    p[3] = (uint8_t)(v >> 24);
}

bool kn_riff_open_webp(const void *data, size_t size, kn_riff *ret)
{
    const uint8_t *p = data;
    if (size < KN_WEBP_HEAD || memcmp(p, "RIFF", 4) || memcmp(p + 8, "WEBP", 4))
        return false;
    size_t said = kn_le32(p + 4);
    if (said < 4 || said > size - KN_RIFF_HEAD)
        return false;
    *ret = (kn_riff){.p = p, .size = said + KN_RIFF_HEAD, .at = KN_WEBP_HEAD};
    return true;
}

bool kn_riff_next(kn_riff *r, kn_riff_chunk *ret)
{
    if (r->size - r->at < KN_RIFF_HEAD)
        return false;
    const uint8_t *p = r->p + r->at;
    size_t n = kn_le32(p + 4), left = r->size - r->at - KN_RIFF_HEAD;
    if (n > left)
        return false;
    size_t padded = n + (n & 1) > left ? left : n + (n & 1);
    *ret =
        (kn_riff_chunk){.whole = p, .data = p + KN_RIFF_HEAD, .whole_size = padded + KN_RIFF_HEAD, .size = n};
    r->at += ret->whole_size;
    return true;
}

bool kn_riff_is(const kn_riff_chunk *c, const char *id)
{
    return !memcmp(c->whole, id, 4);
}

bool kn_anmf_parse(const kn_riff_chunk *c, kn_anmf *ret)
{
    if (!kn_riff_is(c, "ANMF") || c->size < KN_ANMF_HEAD)
        return false;
    const uint8_t *p = c->data;
    *ret = (kn_anmf){.x = (int)(2 * kn_le24(p)),
                     .y = (int)(2 * kn_le24(p + 3)),
                     .width = (int)kn_le24(p + 6) + 1,
                     .height = (int)kn_le24(p + 9) + 1,
                     .duration_ms = kn_le24(p + 12),
                     .blends = !(p[15] & 2),
                     .disposes = p[15] & 1,
                     .chunks = {.p = p, .size = c->size, .at = KN_ANMF_HEAD}};
    return true;
}

/* ---- the text ---- */

/* Appends with the characters that XML keeps for itself written out. */
static void put_escaped(kn_buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            kn_buf_puts(b, "&amp;");
        else if (*text == '<')
            kn_buf_puts(b, "&lt;");
        else if (*text == '>')
            kn_buf_puts(b, "&gt;");
        else
            kn_buf_append(b, text, 1);
    }
}

static char unescape(const char **text)
{
    static const struct {
        const char *written;
        char c;
    } table[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strncmp(*text, table[i].written, strlen(table[i].written))) {
            *text += strlen(table[i].written);
            return table[i].c;
        }
    return *(*text)++;
}

/* Only text that was put in by us: other programs' XMP is their business. NULL: none, or no memory. */
static char *read_xmp(const kn_riff_chunk *c)
{
    size_t begin = sizeof XMP_BEGIN - 1, end = sizeof XMP_END - 1;
    if (c->size < begin + end || memcmp(c->data, XMP_BEGIN, begin) ||
        memcmp(c->data + c->size - end, XMP_END, end))
        return NULL;
    char *text = kn_strndup((const char *)c->data + begin, c->size - begin - end), *to = text;
    if (!text)
        return NULL;
    for (const char *from = text; *from;)
        *to++ = unescape(&from);
    *to = '\0';
    return text;
}

/* ---- reading ---- */

static const char *check_frame(const kn_anmf *f, const kn_webp_info *info)
{
    if (f->x > info->width - f->width || f->y > info->height - f->height)
        return "a frame lies outside the picture";
    return NULL;
}

/* What a chunk says; NULL or what is wrong with it. */
static const char *read_chunk(const kn_riff_chunk *c, kn_webp_info *info)
{
    kn_anmf f;
    if (kn_riff_is(c, "VP8L")) {
        info->lossless = true;
    } else if (kn_riff_is(c, "XMP ") && !info->comment) {
        info->comment = read_xmp(c);
    } else if (kn_riff_is(c, "ANMF") && info->animated) {
        if (!kn_anmf_parse(c, &f))
            return "a frame is shorter than its head";
        const char *why = check_frame(&f, info);
        if (why)
            return why;
        kn_riff_chunk inner;
        while (kn_riff_next(&f.chunks, &inner))
            info->lossless |= kn_riff_is(&inner, "VP8L");
        info->n_frames++;
        info->duration_ms += f.duration_ms;
    }
    return NULL;
}

int kn_webp_info_read(const void *data, size_t size, const char *origin, kn_webp_info *ret, kn_err *err)
{
    kn_image_probe probe;
    kn_riff riff;
    const char *why = kn_image_probe_bytes(data, size, &probe);
    if (!why && (probe.format != KN_IMAGE_WEBP || !kn_riff_open_webp(data, size, &riff)))
        why = "not a WebP file";
    if (why)
        return kn_fail(err, KN_EFORMAT, "%s: %s", origin, why);
    if (probe.width > KN_LIMIT_VIDEO_SIDE || probe.height > KN_LIMIT_VIDEO_SIDE)
        return kn_fail(err, KN_ELIMIT, "%s: %lldx%lld pixels, more than KN_LIMIT_VIDEO_SIDE (%d) a side",
                       origin, (long long)probe.width, (long long)probe.height, KN_LIMIT_VIDEO_SIDE);
    kn_webp_info info = {.width = (int)probe.width, .height = (int)probe.height, .animated = probe.animated};
    kn_riff_chunk c;
    while (!why && kn_riff_next(&riff, &c))
        why = read_chunk(&c, &info);
    if (!why && info.animated && !info.n_frames)
        why = "an animation without a frame";
    if (why) {
        free(info.comment);
        return kn_fail(err, KN_EFORMAT, "%s: %s", origin, why);
    }
    if (!info.animated)
        info.n_frames = 1;
    *ret = info;
    return 0;
}

/* ---- writing ---- */

static void put_chunk(kn_buf *b, const char *id, const void *data, size_t size)
{
    uint8_t head[KN_RIFF_HEAD];
    memcpy(head, id, 4);
    kn_put_le32(head + 4, (uint32_t)size);
    kn_buf_append(b, head, sizeof head);
    kn_buf_append(b, data, size);
    if (size & 1)
        kn_buf_append(b, "", 1);
}

/* VP8X as it is with the flag for XMP, or a new one in front of a still's short form. */
static void put_chunks(kn_buf *b, kn_riff riff, int width, int height)
{
    kn_riff_chunk c;
    uint8_t extended[KN_VP8X_BYTES] = {KN_VP8X_XMP};
    kn_put_le24(extended + 4, (uint32_t)width - 1);
    kn_put_le24(extended + 7, (uint32_t)height - 1);
    for (bool first = true; kn_riff_next(&riff, &c); first = false) {
        bool is_vp8x = kn_riff_is(&c, "VP8X") && c.size >= sizeof extended;
        if (is_vp8x) {
            memcpy(extended, c.data, sizeof extended);
            extended[0] |= KN_VP8X_XMP;
        }
        if (first)
            put_chunk(b, "VP8X", extended, sizeof extended);
        if (!is_vp8x && !kn_riff_is(&c, "XMP "))
            put_chunk(b, (const char *)c.whole, c.data, c.size);
    }
}

int kn_webp_with_comment(const void *data, size_t size, int width, int height, const char *text,
                         unsigned char **ret, size_t *ret_size, kn_err *err)
{
    kn_riff riff;
    kn_buf xmp, b;
    if (!kn_riff_open_webp(data, size, &riff))
        return kn_fail(err, KN_EFORMAT, "what was encoded is no WebP file");
    kn_buf_init(&xmp, UINT32_MAX);
    kn_buf_init(&b, UINT32_MAX);
    kn_buf_puts(&xmp, XMP_BEGIN);
    put_escaped(&xmp, text);
    kn_buf_puts(&xmp, XMP_END);
    kn_buf_append(&b, data, KN_WEBP_HEAD);
    put_chunks(&b, riff, width, height);
    if (!xmp.failed)
        put_chunk(&b, "XMP ", xmp.data, xmp.size);
    bool failed = xmp.failed || b.failed;
    kn_buf_done(&xmp);
    if (failed) {
        kn_buf_done(&b);
        return kn_fail(err, KN_ENOMEM, "no memory for a WebP file of %zu bytes", size);
    }
    *ret_size = b.size;
    *ret = (unsigned char *)kn_buf_take(&b);
    kn_put_le32(*ret + 4, (uint32_t)(*ret_size - KN_RIFF_HEAD));
    return 0;
}
