/* The input is a letter for a route and the JSON (or a form's fields) that a client sends there: whatever it is, the real
 * handlers refuse it or would put it in line.  The line is full, so that nothing piles up; no server and no worker runs. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/http_internal.h"
#include "server/settings.h"
#include "server/studio.h"

static const struct {
    const kn_route *table;
    const char *path;
} posts[] = {
    {kn_routes_jobs, "/api/v1/jobs"},
    {kn_routes_openai, "/v1/videos"},
    {kn_routes_tasks, "/api/generate/text2video"},
    {kn_routes_tasks, "/api/generate/image2video"},
    {kn_routes_system, "/api/v1/prompt/enhance"},
};

enum { N_POSTS = sizeof posts / sizeof *posts };

static kn_studio studio = {.rates_lock = PTHREAD_MUTEX_INITIALIZER};
static kn_queue *settings; /* of its own: what one input sets is nothing to the next one's request */
static char dir[] = "/tmp/kinora-fuzz-XXXXXX";

static void must(int rc, const kn_err *err)
{
    if (rc)
        fprintf(stderr, "%s\n", err->msg);
    KN_ASSERT(rc == 0);
}

static void make(void)
{
    kn_err err = {0};
    char path[96];
    KN_ASSERT(mkdtemp(dir));
    must(kn_places_open(&studio.places, dir, &err), &err);
    snprintf(path, sizeof path, "%s/q.db", dir);
    must(kn_queue_open(path, &(kn_queue_opts){.max_waiting = 1}, &studio.queue, &err), &err);
    snprintf(path, sizeof path, "%s/s.db", dir);
    must(kn_queue_open(path, &(kn_queue_opts){0}, &settings, &err), &err);
    json_t *request = json_pack("{s:s, s:s}", "model", "testsrc", "prompt", "the one that waits");
    must(kn_queue_submit(studio.queue, &(kn_job_spec){.request = request}, NULL, &err), &err);
    json_decref(request);
}

static void remove_all(const char *folder)
{
    DIR *d = opendir(folder);
    char path[512];
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' || (e->d_name[1] && e->d_name[1] != '.')) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            if (unlink(path))
                remove_all(path);
            rmdir(path);
        }
    if (d)
        closedir(d);
}

static void leave(void)
{
    kn_queue_close(studio.queue);
    kn_queue_close(settings);
    remove_all(dir);
    rmdir(dir);
    kn_places_close(&studio.places);
}

static const kn_route *route_of(size_t i)
{
    const kn_route *r = posts[i].table;
    while (r->pattern && (strcmp(r->pattern, posts[i].path) || strcmp(r->method, "POST")))
        r++;
    KN_ASSERT(r->pattern);
    return r;
}

static void post(const kn_route *route, json_t *body)
{
    kn_http_request rq = {.method = "POST", .json = body};
    kn_err err = {0};
    json_t *before = json_deep_copy(body);
    kn_reply_init(&rq.reply, &rq);
    int rc = route->handler(&studio, &rq, &rq.reply, &err);
    KN_ASSERT(rc == err.code && rc != KN_EINTERNAL);
    KN_ASSERT(!rc || err.msg[0]);
    KN_ASSERT(json_equal(before, body)); /* it is the request's */
    kn_reply_done(&rq.reply);
    json_decref(before);
    remove_all(studio.places.uploads);
}

static void change(const json_t *body)
{
    json_t *all = NULL;
    if (kn_settings_change(settings, body, &all, NULL))
        return;
    json_t *shown = kn_settings_shown(all), *table = kn_settings_to_json(all);
    KN_ASSERT(shown && table);
    KN_ASSERT(kn_settings_change(settings, shown, NULL, NULL) == 0); /* what it says can be said again */
    json_decref(shown);
    json_decref(table);
    json_decref(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *body = NULL;
    if (!studio.queue) {
        make();
        atexit(leave);
    }
    size_t which = size ? data[0] % (N_POSTS + 1u) : 0;
    if (!size || kn_json_parse((const char *)data + 1, size - 1, "fuzz", &body, NULL))
        return 0;
    if (json_is_object(body) && which < N_POSTS)
        post(route_of(which), body);
    else if (json_is_object(body))
        change(body);
    json_decref(body);
    return 0;
}
