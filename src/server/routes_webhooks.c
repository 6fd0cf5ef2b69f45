/* /api/v1/webhooks. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "hub/post.h"
#include "server/settings.h"
#include "server/studio.h"
#include "server/webhook_sign.h"

enum { DEFAULT_PAGE = 50 };

/* ---- what a client gives ---- */

static int take_events(const json_t *v, uint32_t *ret, kn_err *err)
{
    size_t i;
    json_t *item;
    int rc =
        json_is_array(v) && json_array_size(v)
            ? 0
            : kn_fail(err, KN_EINVAL, "events: expected a list of states, as [\"completed\", \"failed\"]");
    json_array_foreach(v, i, item)
    {
        kn_job_state state;
        const char *name = json_string_value(item);
        if (!rc && (rc = kn_job_state_parse(name ? name : "", &state, err)))
            return kn_err_prefix(err, "events");
        if (!rc)
            *ret |= 1u << state;
    }
    return rc;
}

static int take_url(kn_studio *s, const json_t *v, const char **ret, kn_err *err)
{
    json_t *settings = NULL;
    *ret = json_string_value(v);
    if (!*ret)
        return kn_fail(err, KN_EINVAL, "url: expected an address, as \"https://example.org/hook\"");
    int rc = kn_settings_load(s->queue, &settings, err);
    if (!rc)
        rc = kn_post_check_url(*ret, json_is_true(json_object_get(settings, "webhook_allow_private")), err);
    json_decref(settings);
    return rc;
}

static int take_secret(const json_t *v, char ret[KN_WEBHOOK_SECRET_BYTES], kn_err *err)
{
    const char *given = json_string_value(v);
    if (!v || json_is_null(v))
        return kn_webhook_make_secret(ret, err);
    int rc = kn_webhook_check_secret(given ? given : "", err);
    if (!rc)
        memcpy(ret, given, strlen(given) + 1);
    return rc;
}

/* What there is of them; the rest stays as it was. */
typedef struct given {
    const char *url;
    uint32_t states;
    const json_t *secret;
    bool has_active, is_active;
} given;

static int take_member(kn_studio *s, const char *name, const json_t *v, bool is_new, given *g, kn_err *err)
{
    if (strcmp(name, "url") == 0)
        return take_url(s, v, &g->url, err);
    if (strcmp(name, "events") == 0)
        return take_events(v, &g->states, err);
    if (strcmp(name, "secret") == 0 && is_new) {
        g->secret = v;
        return 0;
    }
    if (strcmp(name, "active") == 0 && !is_new && json_is_boolean(v)) {
        g->has_active = true;
        g->is_active = json_is_true(v);
        return 0;
    }
    return kn_fail(err, KN_EINVAL, "%.64s: expected %s", name,
                   is_new ? "url, events and secret, nothing else" : "url, events, or active: true or false");
}

static int take_body(kn_studio *s, const kn_http_request *rq, kn_reply *reply, bool is_new, given *g,
                     kn_err *err)
{
    const char *name;
    json_t *v;
    int rc = 0;
    json_object_foreach(kn_http_json(rq), name, v)
    {
        if (!rc && (rc = take_member(s, name, v, is_new, g, err)))
            kn_reply_param(reply, name);
    }
    if (!rc && is_new && !g->url)
        rc = take_url(s, NULL, &g->url, err);
    return rc;
}

/* ---- webhooks ---- */

static int reply_webhook(kn_reply *reply, int status, kn_webhook *take, bool with_secret, kn_err *err)
{
    json_t *o = kn_webhook_to_json(take);
    if (with_secret)
        json_object_set_new(o, "secret", json_string(take->secret));
    kn_webhook_done(take);
    return kn_reply_json(reply, status, o, err);
}

static int post_webhook(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_webhook made = {0};
    given g = {0};
    char secret[KN_WEBHOOK_SECRET_BYTES], url[KN_LIMIT_WEBHOOK_URL_BYTES + 1];
    int rc = take_body(s, rq, reply, true, &g, err);
    if (!rc && (rc = take_secret(g.secret, secret, err)))
        kn_reply_param(reply, "secret");
    if (rc)
        return rc;
    snprintf(url, sizeof url, "%s", g.url);
    uint32_t final = 1u << KN_JOB_COMPLETED | 1u << KN_JOB_FAILED | 1u << KN_JOB_CANCELLED;
    rc = kn_queue_webhook_add(
        s->queue, &(kn_webhook){.url = url, .secret = secret, .states = g.states ? g.states : final}, &made,
        err);
    return rc ? rc : reply_webhook(reply, 201, &made, true, err);
}

static int get_webhooks(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_webhook *all = NULL;
    int n = 0, rc = kn_queue_webhook_list(s->queue, &all, &n, err);
    (void)rq;
    if (rc)
        return rc;
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(list, kn_webhook_to_json(&all[i]));
        kn_webhook_done(&all[i]);
    }
    free(all);
    return kn_reply_json(reply, 200, json_pack("{s:o}", "webhooks", list), err);
}

static int get_webhook(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_webhook w = {0};
    int rc = kn_queue_webhook_get(s->queue, kn_http_param(rq, "id"), &w, err);
    return rc ? rc : reply_webhook(reply, 200, &w, false, err);
}

static int patch_webhook(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_webhook w = {0};
    given g = {0};
    int rc = take_body(s, rq, reply, false, &g, err);
    if (!rc)
        rc = kn_queue_webhook_edit(s->queue, kn_http_param(rq, "id"),
                                   &(kn_webhook_edit){g.url, g.states, g.has_active ? &g.is_active : NULL},
                                   &w, err);
    if (rc)
        return rc;
    kn_webhooks_wake(s->webhooks); /* what waited while it was off */
    return reply_webhook(reply, 200, &w, false, err);
}

static int delete_webhook(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    const char *id = kn_http_param(rq, "id");
    int rc = kn_queue_webhook_remove(s->queue, id, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:s, s:b}", "id", id, "deleted", 1), err);
}

/* ---- deliveries ---- */

static int get_deliveries(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"limit", "before", NULL};
    kn_studio *s = ud;
    kn_webhook w = {0};
    kn_delivery *all = NULL;
    int n = 0;
    int64_t limit = DEFAULT_PAGE;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_PAGE, 1, KN_LIMIT_JOB_PAGE - 1, &limit, err);
    if (!rc)
        rc = kn_queue_webhook_get(s->queue, kn_http_param(rq, "id"), &w, err);
    if (!rc)
        rc = kn_queue_delivery_list(s->queue, w.id, kn_http_query(rq, "before"), (int)limit + 1, &all, &n,
                                    err);
    kn_webhook_done(&w);
    if (rc)
        return rc;
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        if (i < limit)
            json_array_append_new(list, kn_delivery_to_json(&all[i]));
        kn_delivery_done(&all[i]);
    }
    free(all);
    return kn_reply_json(reply, 200, json_pack("{s:o, s:b}", "deliveries", list, "has_more", n > limit), err);
}

const kn_route kn_routes_webhooks[] = {
    {"POST", "/api/v1/webhooks", KN_BODY_JSON, post_webhook, "have an address told of jobs", false},
    {"GET", "/api/v1/webhooks", KN_BODY_NONE, get_webhooks, "list webhooks, oldest first", false},
    {"GET", "/api/v1/webhooks/{id}", KN_BODY_NONE, get_webhook, "one webhook", false},
    {"PATCH", "/api/v1/webhooks/{id}", KN_BODY_JSON, patch_webhook,
     "change a webhook, or switch it on or off", false},
    {"DELETE", "/api/v1/webhooks/{id}", KN_BODY_NONE, delete_webhook, "remove a webhook with its deliveries",
     false},
    {"GET", "/api/v1/webhooks/{id}/deliveries", KN_BODY_NONE, get_deliveries,
     "what it was told, newest first, with every try", false},
    {0},
};
