/* A form, at once and in pieces: both give the same parts or the same error, and no more than came in.  The first byte says
 * how large the pieces are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/multipart.h"
#include "server/utf8_scan.h"

typedef struct result {
    kn_buf out;
    int n_open;
    size_t n_bytes;
} result;

static int on_begin(void *ud, const kn_multipart_part *p, kn_err *err)
{
    result *r = ud;
    (void)err;
    KN_ASSERT(r->n_open++ == 0);
    KN_ASSERT(kn_utf8_is_valid(p->name, strlen(p->name)));
    KN_ASSERT(!p->filename || kn_utf8_is_valid(p->filename, strlen(p->filename)));
    kn_buf_printf(&r->out, "[%s|%s|%s]", p->name, p->filename ? p->filename : "", p->type);
    return 0;
}

static int on_data(void *ud, const void *data, size_t size, kn_err *err)
{
    result *r = ud;
    (void)err;
    KN_ASSERT(r->n_open == 1 && size > 0);
    r->n_bytes += size;
    kn_buf_append(&r->out, data, size);
    return 0;
}

static int on_end(void *ud, kn_err *err)
{
    result *r = ud;
    (void)err;
    KN_ASSERT(r->n_open-- == 1);
    kn_buf_puts(&r->out, ";");
    return 0;
}

static int parse(const char *text, size_t size, size_t piece, result *r)
{
    static const kn_multipart_fns fns = {on_begin, on_data, on_end};
    kn_multipart m;
    kn_err err = {0};
    *r = (result){0};
    kn_buf_init(&r->out, 1 << 22);
    int rc = kn_multipart_init(&m, "multipart/form-data; boundary=B", &fns, r, &err);
    for (size_t i = 0; !rc && i < size; i += piece) {
        size_t n = size - i < piece ? size - i : piece;
        char *copy = kn_strndup(text + i, n); /* its own end is looked after */
        rc = kn_multipart_feed(&m, copy, n, &err);
        free(copy);
    }
    if (!rc)
        rc = kn_multipart_finish(&m, &err);
    KN_ASSERT(rc ? err.msg[0] != '\0' : r->n_open == 0);
    KN_ASSERT(r->n_bytes <= size);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    result whole, pieces;
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    int rc = parse(text, size - 1, size, &whole);
    KN_ASSERT(parse(text, size - 1, 1u + data[0] % 64, &pieces) == rc);
    KN_ASSERT(whole.out.size == pieces.out.size &&
              (!whole.out.size || memcmp(whole.out.data, pieces.out.data, whole.out.size) == 0));
    kn_buf_done(&whole.out);
    kn_buf_done(&pieces.out);

    /* The same bytes as a Content-Type. */
    kn_multipart m;
    kn_err err = {0};
    char *type = kn_strndup(text, size - 1);
    if (type)
        (void)kn_multipart_init(&m, type, NULL, NULL, &err);
    free(type);
    return 0;
}
