/* What the server says of itself to programs: the API as an OpenAPI document, made from the tables that are in effect, and
 * metrics for Prometheus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/ram.h"
#include "models/catalog.h"
#include "server/settings.h"
#include "server/studio.h"

/* ---- OpenAPI ---- */

static json_t *parameter_schema(const kn_param *p)
{
    static const char *const types[] = {
        [KN_PARAM_TEXT] = "string", [KN_PARAM_FILE] = "string",   [KN_PARAM_CHOICE] = "string",
        [KN_PARAM_INT] = "integer", [KN_PARAM_BYTES] = "integer", [KN_PARAM_REAL] = "number",
        [KN_PARAM_FILES] = "array", [KN_PARAM_TEXTS] = "array",   [KN_PARAM_REALS] = "array",
        [KN_PARAM_LORAS] = "array"};
    json_t *o = json_pack("{s:s, s:s}", "type", types[p->type], "description", p->help);
    if (p->type == KN_PARAM_INT || p->type == KN_PARAM_BYTES || p->type == KN_PARAM_REAL) {
        json_object_set_new(o, "minimum", json_real(p->min));
        json_object_set_new(o, "maximum", json_real(p->max));
    }
    if (p->type == KN_PARAM_FILES || p->type == KN_PARAM_TEXTS || p->type == KN_PARAM_REALS ||
        p->type == KN_PARAM_LORAS)
        json_object_set_new(o, "items",
                            json_pack("{s:s}", "type",
                                      p->type == KN_PARAM_FILES || p->type == KN_PARAM_TEXTS ? "string"
                                      : p->type == KN_PARAM_REALS                            ? "number"
                                                                                             : "object"));
    if (p->choices)
        json_object_set_new(o, "enum", kn_choices_to_json(p->choices));
    return o;
}

static json_t *request_schema(void)
{
    json_t *properties = json_object();
    for (const kn_param *p = kn_params; p->name; p++)
        json_object_set_new(properties, p->name, parameter_schema(p));
    json_object_set_new(properties, "priority",
                        json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", -100, "maximum", 100));
    json_object_set_new(properties, "labels", json_pack("{s:s}", "type", "object"));
    return json_pack("{s:s, s:o, s:[s, s], s:b}", "type", "object", "properties", properties, "required",
                     "model", "prompt", "additionalProperties", 0);
}

static json_t *error_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:[s, s]}}}}}", "type", "object",
                     "properties", "error", "type", "object", "properties", "code", "type", "string", "type",
                     "type", "string", "message", "type", "string", "param", "type", "string", "null");
}

/* "{name}" in a path. */
static json_t *path_parameters(const char *pattern)
{
    json_t *list = json_array();
    for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{'))
        json_array_append_new(list, json_pack("{s:o, s:s, s:b, s:{s:s}}", "name",
                                              json_stringn(p + 1, strcspn(p + 1, "}*")), "in", "path",
                                              "required", 1, "schema", "type", "string"));
    return list;
}

static json_t *body_of(const kn_route *r)
{
    static const char *const content[] = {[KN_BODY_JSON] = "application/json",
                                          [KN_BODY_FORM] = "multipart/form-data",
                                          [KN_BODY_RAW] = "application/octet-stream"};
    bool is_request = strcmp(r->pattern, "/api/v1/jobs") == 0 || strcmp(r->pattern, "/api/v1/plan") == 0;
    json_t *schema = is_request ? json_pack("{s:s}", "$ref", "#/components/schemas/Request") : json_object();
    return json_pack("{s:{s:{s:o}}}", "content", content[r->body], "schema", schema);
}

static json_t *operation(const kn_route *r)
{
    json_t *o =
        json_pack("{s:s, s:o, s:{s:{s:s}, s:{s:s, s:{s:{s:{s:s}}}}}}", "summary", r->summary, "parameters",
                  path_parameters(r->pattern), "responses", "2XX", "description", "as the summary says",
                  "default", "description", "what is wrong, and with which parameter", "content",
                  "application/json", "schema", "$ref", "#/components/schemas/Error");
    if (r->body != KN_BODY_NONE)
        json_object_set_new(o, "requestBody", body_of(r));
    return o;
}

static void add_route(json_t *paths, const kn_route *r)
{
    char path[128], method[16];
    size_t n = 0;
    for (const char *p = r->pattern; *p && n + 1 < sizeof path; p++)
        if (*p != '*')
            path[n++] = *p;
    path[n] = '\0';
    for (n = 0; r->method[n] && n + 1 < sizeof method; n++)
        method[n] = (char)(r->method[n] | 0x20);
    method[n] = '\0';
    if (!json_object_get(paths, path))
        json_object_set_new(paths, path, json_object());
    json_object_set_new(json_object_get(paths, path), method, operation(r));
}

json_t *kn_openapi(const kn_route_table *tables, int n_tables)
{
    json_t *paths = json_object();
    for (int i = 0; i < n_tables; i++)
        for (const kn_route *r = tables[i].routes; r->method; r++)
            add_route(paths, r);
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:o, s:o}, s:{s:{s:s, s:s}}}}", "openapi", "3.1.0",
                     "info", "title", "Kinora", "version", KN_VERSION, "description",
                     "A local AI video studio: jobs, plans, models, files, events.", "paths", paths,
                     "components", "schemas", "Request", request_schema(), "Error", error_schema(),
                     "securitySchemes", "token", "type", "http", "scheme", "bearer");
}

static int get_openapi(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    int n = 0;
    const kn_route_table *tables = kn_studio_tables(ud, &n);
    (void)rq;
    return kn_reply_json(reply, 200, kn_openapi(tables, n), err);
}

/* ---- metrics ---- */

static void put_states(kn_buf *b, const int64_t counts[KN_JOB_STATE_COUNT])
{
    kn_buf_puts(b, "# HELP kinora_jobs Jobs by state.\n# TYPE kinora_jobs gauge\n");
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        kn_buf_printf(b, "kinora_jobs{state=\"%s\"} %lld\n", kn_job_state_name((kn_job_state)i),
                      (long long)counts[i]);
}

static void put_gauge(kn_buf *b, const char *name, const char *help, double value)
{
    kn_buf_printf(b, "# HELP %s %s\n# TYPE %s gauge\n%s %.15g\n", name, help, name, name, value);
}

static void put_workers(kn_buf *b, json_t *workers)
{
    size_t i;
    json_t *w;
    json_int_t deaths = 0, working = 0;
    json_array_foreach(workers, i, w)
    {
        deaths += json_integer_value(json_object_get(w, "deaths"));
        working += strcmp(json_string_value(json_object_get(w, "state")), "working") == 0;
    }
    put_gauge(b, "kinora_workers", "Worker processes.", (double)json_array_size(workers));
    put_gauge(b, "kinora_workers_working", "Workers that have a job.", (double)working);
    put_gauge(b, "kinora_worker_deaths", "Workers that died or were ended since the server began.",
              (double)deaths);
}

static int get_metrics(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    int64_t counts[KN_JOB_STATE_COUNT];
    kn_buf b;
    (void)rq;
    int rc = kn_queue_count(s->queue, counts, err);
    if (rc)
        return rc;
    json_t *workers = kn_supervisor_to_json(s->supervisor);
    kn_buf_init(&b, KN_LIMIT_BODY_BYTES);
    put_states(&b, counts);
    put_workers(&b, workers);
    put_gauge(&b, "kinora_listeners", "Clients that listen to events.", kn_feed_n_listeners(s->progress));
    put_gauge(&b, "kinora_resident_bytes", "Memory of the server process.", (double)kn_ram_resident());
    json_decref(workers);
    rc = b.failed
             ? kn_fail(err, KN_ENOMEM, "no memory for metrics")
             : kn_reply_bytes(reply, 200, "text/plain; version=0.0.4; charset=utf-8", b.data, b.size, err);
    kn_buf_done(&b);
    return rc;
}

const kn_route kn_routes_meta[] = {
    {"GET", "/openapi.json", KN_BODY_NONE, get_openapi, "this document", false},
    {"GET", "/metrics", KN_BODY_NONE, get_metrics, "counters for Prometheus", false},
    {0},
};
