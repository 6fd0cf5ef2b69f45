/* Videos, thumbnails and previews of jobs; uploads. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "jobs/retention.h"
#include "media/format.h"
#include "server/studio.h"
#include "server/zip.h"

/* ---- of jobs ---- */

static int read_zip(void *ud, void *buf, size_t n, size_t *ret_n, kn_err *err)
{
    return kn_zip_read(ud, buf, n, ret_n, err);
}

static void close_zip(void *ud)
{
    kn_zip_close(ud);
}

static int reply_zip(kn_reply *reply, const char *folder, kn_err *err)
{
    kn_zip *z = NULL;
    char *name = kn_asprintf("%s.zip", kn_path_base(folder));
    int rc = name ? kn_zip_open(folder, kn_job_file_is_ours, &z, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a name");
    if (!rc)
        rc = kn_reply_made(reply, KN_FRAMES_TYPE, kn_zip_size(z), (kn_made){read_zip, close_zip, z}, name,
                           err);
    free(name);
    return rc;
}

int kn_studio_reply_video(kn_reply *reply, const char *output, bool is_download, kn_err *err)
{
    if (kn_path_is_dir(output))
        return reply_zip(reply, output, err);
    return kn_reply_file(reply, output, kn_media_type(output), is_download ? kn_path_base(output) : NULL,
                         err);
}

static int get_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"download", NULL};
    kn_studio *s = ud;
    kn_job job = {0};
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    if (!rc && !job.output)
        rc = kn_fail(err, KN_ENOTFOUND, "%s is %s and has no video", job.id, kn_job_state_name(job.state));
    if (!rc)
        rc = kn_studio_reply_video(reply, job.output, kn_http_query(rq, "download") != NULL, err);
    kn_job_done(&job);
    return rc;
}

/* The picture of a job in a folder. */
static int get_picture(kn_studio *s, const char *folder, const kn_http_request *rq, kn_reply *reply,
                       kn_err *err)
{
    kn_job job = {0};
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    char *path = rc ? NULL : kn_place_of(folder, job.id, ".png");
    if (!rc && !path)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && !kn_path_exists(path))
        rc = kn_fail(err, KN_ENOTFOUND, "%s is %s and has no such picture", job.id,
                     kn_job_state_name(job.state));
    if (!rc)
        rc = kn_reply_file(reply, path, "image/png", NULL, err);
    kn_job_done(&job);
    free(path);
    return rc;
}

static int get_thumbnail(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    return get_picture(s, s->places.thumbnails, rq, reply, err);
}

static int get_preview(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    return get_picture(s, s->places.previews, rq, reply, err);
}

/* ---- uploads ---- */

static int post_upload(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_upload u;
    char url[96];
    if (kn_http_n_files(rq) != 1)
        return kn_fail(err, KN_EINVAL, "%d files, expected the bytes of one as the body, or a form with one",
                       kn_http_n_files(rq));
    const kn_http_file *f = kn_http_file_at(rq, 0);
    int rc = kn_studio_keep_upload(ud, f->path, &u, err);
    if (rc)
        return rc;
    snprintf(url, sizeof url, "/api/v1/uploads/%s", u.id);
    return kn_reply_json(reply, 201,
                         json_pack("{s:s, s:s, s:I, s:o, s:o}", "id", u.id, "url", url, "size_bytes",
                                   (json_int_t)f->size, "width",
                                   u.width ? json_integer(u.width) : json_null(), "height",
                                   u.height ? json_integer(u.height) : json_null()),
                         err);
}

static int get_upload(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    const char *id = kn_http_param(rq, "id");
    if (!kn_place_name_is_plain(id) || strncmp(id, "upl_", 4))
        return kn_fail(err, KN_ENOTFOUND, "there is no upload \"%.64s\"", id);
    char *path = kn_path_join(s->places.uploads, id);
    int rc = path ? kn_reply_file(reply, path, kn_media_type(path), NULL, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(path);
    return rc;
}

const kn_route kn_routes_media[] = {
    {"GET", "/api/v1/jobs/{id}/video", KN_BODY_NONE, get_video, "the video, with Range", false},
    {"GET", "/api/v1/jobs/{id}/thumbnail", KN_BODY_NONE, get_thumbnail, "the first frame, small", false},
    {"GET", "/api/v1/jobs/{id}/preview", KN_BODY_NONE, get_preview, "what sampling has so far, small", false},
    {"POST", "/api/v1/uploads", KN_BODY_RAW, post_upload, "bring a picture or clip for requests to use",
     false},
    {"GET", "/api/v1/uploads/{id}", KN_BODY_NONE, get_upload, "an upload's bytes", false},
    {0},
};
