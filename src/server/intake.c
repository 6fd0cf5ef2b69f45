/* The body of a request: JSON, a form, or a file, each within its limit. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "server/http_internal.h"
#include "server/utf8_scan.h"

/* "application/json; charset=utf-8" is "application/json". */
static bool is_type(const char *header, const char *type)
{
    size_t n = strlen(type);
    return header && strncasecmp(header, type, n) == 0 && strchr("; \t", header[n]);
}

static int refuse(kn_http_request *rq, const kn_err *err, bool is_full)
{
    /* A body that is not what its type says is the request's mistake, not a file's. */
    int code = err->code == KN_EFORMAT ? KN_EINVAL : err->code;
    return kn_request_refuse(rq, is_full ? 507 : kn_err_http(code), code, "%s", err->msg);
}

/* ---- files ---- */

static int open_file(kn_http_request *rq, const char *name, const char *filename, const char *type)
{
    kn_intake *in = rq->intake;
    kn_http_file *f = &in->files[in->n_files];
    kn_err err = {0};
    int rc = rq->h->opts.upload_dir
                 ? kn_part_file_open(&in->parts[in->n_files], rq->h->opts.upload_dir, rq->body_size, &err)
                 : kn_fail(&err, KN_EUNSUPPORTED, "this server takes no files");
    if (rc)
        return refuse(rq, &err, rc == KN_ELIMIT);
    *f =
        (kn_http_file){kn_strdup(name), kn_strdup(filename), kn_strdup(type), in->parts[in->n_files].path, 0};
    in->n_files++;
    return f->name && f->filename && f->type
               ? 0
               : kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for an upload");
}

static void drop_file(kn_intake *in, int i)
{
    kn_part_file_done(&in->parts[i]);
    free((void *)(uintptr_t)in->files[i].name);
    free((void *)(uintptr_t)in->files[i].filename);
    free((void *)(uintptr_t)in->files[i].type);
}

static int write_file(kn_http_request *rq, const void *data, size_t size)
{
    kn_intake *in = rq->intake;
    kn_err err = {0};
    bool is_full = false;
    if (kn_part_file_write(&in->parts[in->n_files - 1], data, size, &is_full, &err))
        return refuse(rq, &err, is_full);
    return 0;
}

static int close_file(kn_http_request *rq)
{
    kn_intake *in = rq->intake;
    kn_err err = {0};
    bool is_full = false;
    int i = in->n_files - 1;
    if (kn_part_file_close(&in->parts[i], &is_full, &err))
        return refuse(rq, &err, is_full);
    in->files[i].size = in->parts[i].size;
    return 0;
}

/* ---- forms ---- */

static int set_field(kn_http_request *rq, const char *name, const char *value, size_t size)
{
    if (json_object_get(rq->json, name))
        return kn_request_refuse(rq, 400, KN_EINVAL, "the form has \"%.64s\" twice, expected it once", name);
    if (memchr(value, '\0', size) || !kn_utf8_is_valid(value, size))
        return kn_request_refuse(rq, 400, KN_EINVAL, "the form's \"%.64s\" is not UTF-8 text", name);
    if (json_object_set_new(rq->json, name, json_stringn(value, size)))
        return kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a form");
    return 0;
}

static int begin_part(void *ud, const kn_multipart_part *part, kn_err *err)
{
    kn_http_request *rq = ud;
    kn_intake *in = rq->intake;
    (void)err;
    if (part->filename)
        return open_file(rq, part->name, part->filename, part->type);
    in->field = kn_strdup(part->name);
    return in->field ? 0 : kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a form");
}

static int add_data(void *ud, const void *data, size_t size, kn_err *err)
{
    kn_http_request *rq = ud;
    kn_intake *in = rq->intake;
    (void)err;
    if (!in->field)
        return write_file(rq, data, size);
    in->n_field_bytes += size;
    if (in->n_field_bytes > KN_LIMIT_BODY_BYTES)
        return kn_request_refuse(rq, 413, KN_ELIMIT, "the form's text has more than %u bytes",
                                 KN_LIMIT_BODY_BYTES);
    kn_buf_append(&in->text, data, size);
    return in->text.failed ? kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a form") : 0;
}

static int end_part(void *ud, kn_err *err)
{
    kn_http_request *rq = ud;
    kn_intake *in = rq->intake;
    (void)err;
    if (!in->field) {
        int rc = close_file(rq), last = in->n_files - 1;
        /* What browsers send for a file nobody chose. */
        if (!rc && !*in->files[last].filename && in->files[last].size == 0)
            drop_file(in, --in->n_files);
        return rc;
    }
    int rc = set_field(rq, in->field, in->text.data ? in->text.data : "", in->text.size);
    free(in->field);
    in->field = NULL;
    kn_buf_done(&in->text);
    return rc;
}

static const kn_multipart_fns form_fns = {begin_part, add_data, end_part};

static int begin_form(kn_http_request *rq, const char *type)
{
    kn_err err = {0};
    rq->intake->sink = KN_SINK_FORM;
    rq->intake->form = kn_calloc(1, sizeof *rq->intake->form);
    if (!rq->intake->form || !(rq->json = json_object()))
        return kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a form");
    return kn_multipart_init(rq->intake->form, type, &form_fns, rq, &err) ? refuse(rq, &err, false) : 0;
}

/* ---- what a route takes ---- */

static int refuse_type(kn_http_request *rq, const char *type, const char *expected)
{
    return kn_request_refuse(rq, 415, KN_EUNSUPPORTED, "Content-Type: \"%.64s\", expected %s",
                             type ? type : "", expected);
}

static int begin_text(kn_http_request *rq, bool is_json)
{
    rq->intake->sink = KN_SINK_TEXT;
    rq->intake->is_json = is_json;
    return 0;
}

static int choose_sink(kn_http_request *rq, kn_body body, const char *type)
{
    bool is_form = is_type(type, "multipart/form-data");
    if (body == KN_BODY_RAW && !is_form) {
        rq->intake->sink = KN_SINK_FILE;
        return open_file(rq, "", "", type ? type : "");
    }
    if (body != KN_BODY_JSON && is_form)
        return begin_form(rq, type);
    if (is_type(type, "application/json"))
        return begin_text(rq, true);
    if (body == KN_BODY_FORM && is_type(type, "application/x-www-form-urlencoded"))
        return begin_text(rq, false);
    return refuse_type(rq, type, body == KN_BODY_JSON ? "application/json" : "a form or application/json");
}

static int check_size(kn_http_request *rq, kn_body body, bool is_form)
{
    uint64_t max = body == KN_BODY_RAW || is_form ? KN_LIMIT_UPLOAD_BYTES : KN_LIMIT_BODY_BYTES;
    if (is_form)
        max += KN_LIMIT_BODY_BYTES;
    if (rq->body_size > max)
        return kn_request_refuse(rq, 413, KN_ELIMIT, "the body has %llu bytes, at most %llu are taken here",
                                 (unsigned long long)rq->body_size, (unsigned long long)max);
    return 0;
}

int kn_intake_begin(kn_http_request *rq)
{
    kn_body body = rq->match.route ? rq->match.route->body : KN_BODY_NONE;
    const char *type = kn_http_header(rq, "Content-Type");
    bool needs_body = body == KN_BODY_RAW || body == KN_BODY_FORM;
    if (body == KN_BODY_NONE)
        return rq->has_body ? kn_request_refuse(rq, 400, KN_EINVAL, "%s takes no body here", rq->method) : 0;
    if (!rq->has_body) {
        if (needs_body && !kn_http_header(rq, "Content-Length"))
            return kn_request_refuse(rq, 411, KN_EINVAL, "no Content-Length; expected a body");
        if (needs_body)
            return kn_request_refuse(rq, 400, KN_EINVAL, "an empty body; expected %s",
                                     body == KN_BODY_RAW ? "the bytes of a file" : "a form");
        rq->json = json_object();
        return rq->json ? 0 : kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a request");
    }
    if (check_size(rq, body, body != KN_BODY_JSON && is_type(type, "multipart/form-data")))
        return rq->err.code;
    rq->intake = kn_calloc(1, sizeof *rq->intake);
    if (!rq->intake)
        return kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a request");
    kn_buf_init(&rq->intake->text, KN_LIMIT_BODY_BYTES);
    return choose_sink(rq, body, type);
}

int kn_intake_feed(kn_http_request *rq, const char *data, size_t size)
{
    kn_intake *in = rq->intake;
    kn_err err = {0};
    switch (in ? in->sink : KN_SINK_NONE) {
    case KN_SINK_TEXT:
        if (size > KN_LIMIT_BODY_BYTES - in->text.size)
            return kn_request_refuse(rq, 413, KN_ELIMIT,
                                     "the body has more than %u bytes, the most taken here",
                                     KN_LIMIT_BODY_BYTES);
        kn_buf_append(&in->text, data, size);
        return in->text.failed ? kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for the body") : 0;
    case KN_SINK_FILE:
        return write_file(rq, data, size);
    case KN_SINK_FORM:
        if (rq->n_received > KN_LIMIT_UPLOAD_BYTES + KN_LIMIT_BODY_BYTES)
            return kn_request_refuse(rq, 413, KN_ELIMIT, "the form has more than %llu bytes",
                                     (unsigned long long)(KN_LIMIT_UPLOAD_BYTES + KN_LIMIT_BODY_BYTES));
        /* What the callbacks refuse is refused already. */
        return kn_multipart_feed(in->form, data, size, &err) && err.code ? refuse(rq, &err, false) : 0;
    default:
        return 0;
    }
}

static int parse_json(kn_http_request *rq)
{
    kn_intake *in = rq->intake;
    kn_err err = {0};
    int rc = kn_json_parse(in->text.data ? in->text.data : "", in->text.size, "the body", &rq->json, &err);
    if (rc == KN_ELIMIT)
        return kn_request_refuse(rq, 400, KN_EINVAL, "%s", err.msg);
    if (rc)
        return refuse(rq, &err, false);
    if (!json_is_object(rq->json))
        return kn_request_refuse(rq, 400, KN_EINVAL, "the body is JSON but no object");
    return 0;
}

static int parse_urlencoded(kn_http_request *rq)
{
    kn_intake *in = rq->intake;
    kn_uri_query q;
    kn_err err = {0};
    rq->json = json_object();
    if (!rq->json)
        return kn_request_refuse(rq, 507, KN_ENOMEM, "no memory for a form");
    if (kn_uri_query_parse(&q, in->text.data ? in->text.data : "", in->text.size, "the form", &err))
        return refuse(rq, &err, false);
    int rc = 0;
    for (int i = 0; !rc && i < q.n; i++)
        rc = set_field(rq, q.items[i].name, q.items[i].value, strlen(q.items[i].value));
    kn_uri_query_done(&q);
    return rc;
}

int kn_intake_end(kn_http_request *rq)
{
    kn_intake *in = rq->intake;
    kn_err err = {0};
    switch (in ? in->sink : KN_SINK_NONE) {
    case KN_SINK_TEXT:
        return in->is_json ? parse_json(rq) : parse_urlencoded(rq);
    case KN_SINK_FILE:
        if (in->parts[0].size == 0)
            return kn_request_refuse(rq, 400, KN_EINVAL, "an empty body; expected the bytes of a file");
        return close_file(rq);
    case KN_SINK_FORM:
        return kn_multipart_finish(in->form, &err) ? refuse(rq, &err, false) : 0;
    default:
        return 0;
    }
}

void kn_intake_free(kn_intake *in)
{
    if (!in)
        return;
    for (int i = 0; i < in->n_files; i++)
        drop_file(in, i);
    kn_buf_done(&in->text);
    free(in->form);
    free(in->field);
    free(in);
}
