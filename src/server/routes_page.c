/* The page. */
#include <stdio.h>
#include <string.h>

#include "server/assets.h"
#include "server/studio.h"

static const kn_asset *find(const char *path)
{
    for (const kn_asset *a = kn_web_assets; a->path; a++)
        if (strcmp(a->path, path) == 0)
            return a;
    return NULL;
}

static int reply_asset(const kn_asset *a, kn_reply *reply, kn_err *err)
{
    int rc = kn_reply_static(reply, a->type, a->data, a->size, true, a->etag, err);
    return rc ? rc : kn_reply_header(reply, "Cache-Control", "no-cache", err);
}

static int get_page(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    const kn_asset *a = find("/");
    return a ? reply_asset(a, reply, err) : kn_fail(err, KN_ENOTFOUND, "this build has no page");
}

static int get_asset(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    char path[128];
    const char *name = kn_http_param(rq, "file");
    (void)ud;
    snprintf(path, sizeof path, "/%.100s", name);
    const kn_asset *a = find(path);
    return a ? reply_asset(a, reply, err) : kn_fail(err, KN_ENOTFOUND, "there is no /%.64s", name);
}

const kn_route kn_routes_page[] = {
    {"GET", "/", KN_BODY_NONE, get_page, "the page", true},
    {"GET", "/{file}", KN_BODY_NONE, get_asset, "a file of the page", true},
    {0},
};
