#include "media/image_probe.h"

#include <string.h>

static const char TRUNCATED[] = "the file ends before the picture does";

/* A view of the file; every access goes through has(). */
typedef struct bytes {
    const uint8_t *p;
    size_t n;
} bytes;

static bool has(bytes b, size_t at, size_t n)
{
    return at <= b.n && n <= b.n - at;
}

static bool magic(bytes b, size_t at, const char *s, size_t n)
{
    return has(b, at, n) && !memcmp(b.p + at, s, n);
}

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le24(const uint8_t *p)
{
    return le16(p) | (uint32_t)p[2] << 16;
}

static uint32_t le32(const uint8_t *p)
{
    return le24(p) | (uint32_t)p[3] << 24;
}

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

/* ---- TIFF, and EXIF, which is a TIFF without a picture ---- */

enum { TAG_WIDTH = 256, TAG_HEIGHT = 257, TAG_ORIENTATION = 274, TYPE_SHORT = 3, TYPE_LONG = 4 };

static void tiff_entry(const uint8_t *entry, bool big, kn_image_probe *ret)
{
    uint32_t tag = big ? be16(entry) : le16(entry), type = big ? be16(entry + 2) : le16(entry + 2), value;
    if (type == TYPE_SHORT)
        value = big ? be16(entry + 8) : le16(entry + 8);
    else if (type == TYPE_LONG)
        value = big ? be32(entry + 8) : le32(entry + 8);
    else
        return;
    if (tag == TAG_WIDTH)
        ret->width = value;
    else if (tag == TAG_HEIGHT)
        ret->height = value;
    else if (tag == TAG_ORIENTATION && value >= 1 && value <= 8)
        ret->orientation = (int)value;
}

static const char *probe_tiff(bytes b, kn_image_probe *ret)
{
    if (!has(b, 0, 8))
        return TRUNCATED;
    bool big = b.p[0] == 'M';
    size_t ifd = big ? be32(b.p + 4) : le32(b.p + 4);
    if (!has(b, ifd, 2))
        return TRUNCATED;
    size_t n = big ? be16(b.p + ifd) : le16(b.p + ifd);
    if (!has(b, ifd + 2, n * 12))
        return TRUNCATED;
    for (size_t i = 0; i < n; i++)
        tiff_entry(b.p + ifd + 2 + i * 12, big, ret);
    return NULL;
}

/* A damaged EXIF block is as good as none: the picture itself may be fine. */
static void read_exif(const uint8_t *p, size_t n, kn_image_probe *ret)
{
    bytes b = {p, n};
    if (magic(b, 0, "Exif\0\0", 6))
        b = (bytes){p + 6, n - 6};
    kn_image_probe exif = {.orientation = ret->orientation};
    if ((magic(b, 0, "II*\0", 4) || magic(b, 0, "MM\0*", 4)) && !probe_tiff(b, &exif))
        ret->orientation = exif.orientation;
}

/* ---- the other formats ---- */

static const char *probe_png(bytes b, kn_image_probe *ret)
{
    if (!has(b, 8, 25))
        return TRUNCATED;
    if (be32(b.p + 8) != 13 || !magic(b, 12, "IHDR", 4))
        return "a PNG that does not begin with an IHDR chunk of 13 bytes";
    ret->width = be32(b.p + 16);
    ret->height = be32(b.p + 20);
    for (size_t at = 8; has(b, at, 12);) {
        size_t n = be32(b.p + at);
        if (!has(b, at + 8, n) || !has(b, at + 8 + n, 4))
            return TRUNCATED;
        if (magic(b, at + 4, "IEND", 4))
            return NULL;
        if (magic(b, at + 4, "eXIf", 4))
            read_exif(b.p + at + 8, n, ret);
        else if (magic(b, at + 4, "acTL", 4))
            ret->animated = true;
        at += 12 + n;
    }
    return TRUNCATED;
}

static bool is_sof(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* The next marker at or after `at`: bytes between segments and entropy-coded data (0xff00, restarts) are skipped. */
static int jpeg_marker(bytes b, size_t *at)
{
    for (size_t i = *at; has(b, i, 2); i++) {
        int m = b.p[i + 1];
        if (b.p[i] != 0xff || m == 0 || m == 0xff || (m >= 0xd0 && m <= 0xd7))
            continue;
        *at = i + 2;
        return m;
    }
    return -1;
}

static const char *probe_jpeg(bytes b, kn_image_probe *ret)
{
    size_t at = 2;
    for (int m; (m = jpeg_marker(b, &at)) >= 0;) {
        if (m == 0xd9)
            return ret->width ? NULL : "a JPEG without a frame";
        if (m == 0xd8 || m == 0x01)
            continue;
        if (!has(b, at, 2) || be16(b.p + at) < 2 || !has(b, at, be16(b.p + at)))
            return TRUNCATED;
        size_t n = be16(b.p + at);
        if (is_sof(m) && n >= 8 && !ret->width) {
            ret->height = be16(b.p + at + 3);
            ret->width = be16(b.p + at + 5);
        } else if (m == 0xe1 && n >= 8 && magic(b, at + 2, "Exif\0\0", 6)) {
            read_exif(b.p + at + 2, n - 2, ret);
        }
        at += n;
    }
    return TRUNCATED;
}

static void webp_size(bytes b, size_t at, size_t n, kn_image_probe *ret)
{
    const uint8_t *p = b.p + at + 8;
    if (magic(b, at, "VP8X", 4) && n >= 10) {
        ret->animated = p[0] & 2;
        ret->width = le24(p + 4) + 1;
        ret->height = le24(p + 7) + 1;
    } else if (magic(b, at, "VP8L", 4) && n >= 5 && !ret->width) {
        uint32_t bits = le32(p + 1);
        ret->width = (bits & 0x3fff) + 1;
        ret->height = (bits >> 14 & 0x3fff) + 1;
    } else if (magic(b, at, "VP8 ", 4) && n >= 10 && !ret->width) {
        ret->width = le16(p + 6) & 0x3fff;
        ret->height = le16(p + 8) & 0x3fff;
    }
}

static const char *probe_webp(bytes b, kn_image_probe *ret)
{
    size_t end = 8 + (size_t)le32(b.p + 4);
    if (end > b.n)
        return TRUNCATED;
    b.n = end;
    for (size_t at = 12; has(b, at, 8);) {
        size_t n = le32(b.p + at + 4);
        if (!has(b, at + 8, n))
            return TRUNCATED;
        webp_size(b, at, n, ret);
        if (magic(b, at, "EXIF", 4))
            read_exif(b.p + at + 8, n, ret);
        at += 8 + n + (n & 1);
    }
    return NULL;
}

static const char *probe_bmp(bytes b, kn_image_probe *ret)
{
    if (!has(b, 0, 26))
        return TRUNCATED;
    if (le32(b.p + 14) == 12) {
        ret->width = le16(b.p + 18);
        ret->height = le16(b.p + 20);
        return NULL;
    }
    ret->width = (int32_t)le32(b.p + 18);
    ret->height = (int32_t)le32(b.p + 22);
    if (ret->height < 0) /* rows from top to bottom */
        ret->height = -ret->height;
    return NULL;
}

/* The end of a GIF's chain of data blocks, or 0 if the file ends first. */
static size_t gif_blocks(bytes b, size_t at)
{
    while (has(b, at, 1) && b.p[at])
        at += 1 + (size_t)b.p[at];
    return has(b, at, 1) ? at + 1 : 0;
}

static size_t gif_colors(uint8_t flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Walks to the end of the first picture; further ones are the reader's business. */
static const char *probe_gif(bytes b, kn_image_probe *ret)
{
    if (!has(b, 0, 13))
        return TRUNCATED;
    ret->width = le16(b.p + 6);
    ret->height = le16(b.p + 8);
    for (size_t at = 13 + gif_colors(b.p[10]); has(b, at, 1);) {
        if (b.p[at] == 0x2c) {
            if (!has(b, at, 10) || !gif_blocks(b, at + 11 + gif_colors(b.p[at + 9])))
                return TRUNCATED;
            return NULL;
        }
        if (b.p[at] != 0x21)
            return "a GIF without a picture";
        at = gif_blocks(b, at + 2);
        if (!at)
            return TRUNCATED;
    }
    return TRUNCATED;
}

typedef struct reader {
    const char *name;
    const char *magic;
    size_t magic_size;
    kn_image_format format;
    const char *(*probe)(bytes b, kn_image_probe *ret);
} reader;

static const reader READERS[] = {
    {"PNG", "\x89PNG\r\n\x1a\n", 8, KN_IMAGE_PNG, probe_png},
    {"JPEG", "\xff\xd8\xff", 3, KN_IMAGE_JPEG, probe_jpeg},
    {"WebP", "RIFF", 4, KN_IMAGE_WEBP, probe_webp},
    {"BMP", "BM", 2, KN_IMAGE_BMP, probe_bmp},
    {"TIFF", "II*\0", 4, KN_IMAGE_TIFF, probe_tiff},
    {"TIFF", "MM\0*", 4, KN_IMAGE_TIFF, probe_tiff},
    {"GIF", "GIF87a", 6, KN_IMAGE_GIF, probe_gif},
    {"GIF", "GIF89a", 6, KN_IMAGE_GIF, probe_gif},
};
enum { N_READERS = sizeof READERS / sizeof *READERS };

const char *kn_image_probe_bytes(const void *data, size_t size, kn_image_probe *ret)
{
    bytes b = {data, size};
    for (int i = 0; i < N_READERS; i++) {
        const reader *r = &READERS[i];
        if (!magic(b, 0, r->magic, r->magic_size))
            continue;
        if (r->format == KN_IMAGE_WEBP && !magic(b, 8, "WEBP", 4))
            continue;
        kn_image_probe probe = {.format = r->format, .orientation = 1};
        const char *why = r->probe(b, &probe);
        if (why)
            return why;
        if (probe.width < 1 || probe.height < 1)
            return "its size is not a positive number of pixels";
        *ret = probe;
        return NULL;
    }
    return size ? "not a PNG, JPEG, WebP, BMP, TIFF or GIF picture" : "the file is empty";
}

const char *kn_image_format_name(kn_image_format f)
{
    for (int i = 0; i < N_READERS; i++)
        if (READERS[i].format == f)
            return READERS[i].name;
    return "unknown";
}
