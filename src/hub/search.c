/* What models the hub has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "hub/ask.h"
#include "hub/choose.h"
#include "hub/url.h"

/* ---- what the hub says of a model, in our words ---- */

static json_t *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? json_string(s) : json_null();
}

static json_t *number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer(json_integer_value(v))
                                                            : json_null();
}

/* The pipeline's class is among the tags: "diffusers:WanPipeline". */
static json_t *class_of(const json_t *o)
{
    static const char prefix[] = "diffusers:";
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, "tags"), i, v)
    {
        const char *s = json_string_value(v);
        if (s && strncmp(s, prefix, sizeof prefix - 1) == 0)
            return json_string(s + sizeof prefix - 1);
    }
    return json_null();
}

static json_t *tags_of(const json_t *o)
{
    enum { MOST = 64 };
    size_t i;
    json_t *v, *list = json_array();
    json_array_foreach(json_object_get(o, "tags"), i, v)
    {
        if (json_is_string(v) && json_array_size(list) < MOST)
            json_array_append(list, v);
    }
    return list;
}

/* "gated" is false, "auto" or "manual". NULL: the entry is no model. */
static json_t *model_of(const json_t *o)
{
    const char *id = json_string_value(json_object_get(o, "id"));
    if (kn_hub_check_id(id, NULL))
        return NULL;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "id", id, "author",
                     json_stringn(id, strcspn(id, "/")), "downloads", number_of(o, "downloads"), "likes",
                     number_of(o, "likes"), "updated_at", text_of(o, "lastModified"), "created_at",
                     text_of(o, "createdAt"), "pipeline_tag", text_of(o, "pipeline_tag"), "library",
                     text_of(o, "library_name"), "class", class_of(o), "gated",
                     json_is_string(json_object_get(o, "gated")) || json_is_true(json_object_get(o, "gated")),
                     "tags", tags_of(o));
}

/* ---- searching ---- */

static const struct {
    const char *ours, *theirs;
} tasks[] = {{"t2v", "text-to-video"}, {"i2v", "image-to-video"}},
  sorts[] = {
      {"downloads", "downloads"}, {"likes", "likes"}, {"updated", "lastModified"}, {"created", "createdAt"}};

static void add_query(kn_buf *b, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    kn_buf_printf(b, "&%s=", name);
    kn_url_escape(b, value, "");
}

static int search_url(const kn_hub_client *h, const kn_hub_query *q, char **ret, kn_err *err)
{
    static const char *const wanted[] = {"downloads",    "likes",        "lastModified", "createdAt",
                                         "pipeline_tag", "library_name", "gated",        "tags"};
    const char *task = q->task, *sort = q->sort && *q->sort ? NULL : "downloads";
    kn_buf b;
    if (q->limit < 1 || q->limit > KN_LIMIT_HUB_RESULTS)
        return kn_fail(err, KN_EINVAL, "limit: %d, expected 1 to %d", q->limit, KN_LIMIT_HUB_RESULTS);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        task = task && strcmp(task, tasks[i].ours) == 0 ? tasks[i].theirs : task;
    for (size_t i = 0; !sort && i < sizeof sorts / sizeof *sorts; i++)
        sort = strcmp(q->sort, sorts[i].ours) == 0 ? sorts[i].theirs : NULL;
    if (!sort)
        return kn_fail(err, KN_EINVAL, "sort: \"%.32s\", expected downloads, likes, updated or created",
                       q->sort);
    kn_buf_init(&b, 64 << 10);
    kn_buf_printf(&b, "%s/api/models?limit=%d", h->endpoint, q->limit);
    add_query(&b, "search", q->text);
    add_query(&b, "pipeline_tag", task);
    add_query(&b, "sort", sort);
    add_query(&b, "direction", "-1");
    add_query(&b, "cursor", q->cursor);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        add_query(&b, "expand%5B%5D", wanted[i]);
    *ret = kn_buf_take(&b);
    return *ret ? 0 : kn_fail(err, KN_ELIMIT, "the search is longer than an address may be");
}

static int list_models(const json_t *answer, const char *next, json_t **ret, kn_err *err)
{
    size_t i;
    json_t *v, *list = json_array();
    if (!json_is_array(answer)) {
        json_decref(list);
        return kn_fail(err, KN_EFORMAT, "the hub answers a search with something that is no list");
    }
    json_array_foreach((json_t *)(uintptr_t)answer, i, v)
    {
        json_t *m = i < KN_LIMIT_HUB_RESULTS ? model_of(v) : NULL;
        if (m)
            json_array_append_new(list, m);
    }
    char *cursor = *next ? kn_url_query(next, "cursor") : NULL;
    *ret = json_pack("{s:o, s:s?}", "models", list, "next", cursor);
    free(cursor);
    return *ret ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a list of models");
}

int kn_hub_search(const kn_hub_config *c, const kn_hub_query *q, const atomic_bool *cancel, json_t **ret,
                  kn_err *err)
{
    kn_hub_client h;
    char next[KN_NEXT_BYTES] = "", *url = NULL;
    json_t *answer = NULL;
    int rc = kn_hub_client_init(&h, c, cancel, err);
    if (rc)
        return rc;
    rc = search_url(&h, q, &url, err);
    if (!rc)
        rc = kn_hub_get_json(&h.fetch, "the search", url, KN_LIMIT_HUB_ANSWER_BYTES, &answer, next, err);
    if (!rc)
        rc = list_models(answer, next, ret, err);
    json_decref(answer);
    free(url);
    kn_hub_client_done(&h);
    return rc;
}

/* ---- one model ---- */

static bool is_wanted(const kn_choices *c, const kn_hub_file *f)
{
    for (int i = 0; i < c->n; i++)
        if (c->items[i].file == f)
            return true;
    return false;
}

static json_t *files_of(const kn_hub_repo *r, const kn_choices *c)
{
    enum { MOST = 2000 };
    json_t *list = json_array();
    for (int i = 0; i < r->n_files && i < MOST; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:b}", "path", r->files[i].path, "size_bytes",
                                        (json_int_t)r->files[i].size, "wanted", is_wanted(c, &r->files[i])));
    return list;
}

static int describe(const kn_hub_client *h, const char *id, const char *variant, const json_t *answer,
                    const kn_hub_repo *r, json_t **ret, kn_err *err)
{
    kn_err why = {0};
    kn_choices c = {0};
    json_t *index = NULL, *o = model_of(answer);
    if (!o)
        return kn_fail(err, KN_EFORMAT, "%s: the hub answers with another model", id);
    int rc = kn_hub_ask_index(h, id, r, &index, &why);
    if (!rc)
        rc = kn_choose(r, &(kn_wish){.id = id, .variant = variant, .index = index}, &c, &why);
    const char *class = json_string_value(json_object_get(index, "_class_name"));
    if (class)
        json_object_set_new(o, "class", json_string(class));
    json_object_set_new(o, "revision", json_string(r->commit));
    json_object_set_new(o, "size_bytes", json_integer((json_int_t)r->size));
    json_object_set_new(o, "variants", kn_hub_variants(r));
    json_object_set_new(o, "why_not", rc ? kn_json_text(why.msg) : json_null());
    json_object_set_new(o, "pull",
                        rc ? json_null()
                           : json_pack("{s:i, s:I}", "files", c.n, "size_bytes", (json_int_t)c.size));
    json_object_set_new(o, "files", files_of(r, &c));
    kn_choices_done(&c);
    json_decref(index);
    if (why.code == KN_ECANCELLED) {
        json_decref(o);
        return kn_fail(err, why.code, "%s", why.msg);
    }
    *ret = o;
    return 0;
}

int kn_hub_model(const kn_hub_config *c, const char *id, const char *revision, const char *variant,
                 const atomic_bool *cancel, json_t **ret, kn_err *err)
{
    kn_hub_client h;
    kn_hub_repo r = {0};
    json_t *answer = NULL;
    int rc = kn_hub_client_init(&h, c, cancel, err);
    if (rc)
        return rc;
    rc = kn_hub_ask(&h, id, revision, &answer, &r, err);
    if (!rc)
        rc = describe(&h, id, variant, answer, &r, ret, err);
    json_decref(answer);
    kn_hub_repo_done(&r);
    kn_hub_client_done(&h);
    return rc;
}
