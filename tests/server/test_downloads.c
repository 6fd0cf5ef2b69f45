/* The line of downloads: one after the other, cancelled at once, kept over a restart; and what clients see of it. */
#include "hub/pull_fixture.h"

#include "base/limits.h"
#include "server/downloads.h"
#include "server/hub_json.h"
#include "server/settings.h"

#define SECRET "hf_SecretSecretSecret"

typedef struct scene {
    fixture *f;
    kn_queue *queue;
    kn_downloads *downloads;
    pthread_mutex_t lock;
    int n_changes;
    bool has_secret;
    bool was_wrong; /* a message without id or state */
} scene;

static void look(scene *s, const char *text)
{
    pthread_mutex_lock(&s->lock);
    s->has_secret |= strstr(text, SECRET) != NULL;
    pthread_mutex_unlock(&s->lock);
}

static void on_change(void *ud, const char *id, const json_t *download)
{
    scene *s = ud;
    char *text = json_dumps(download, 0);
    look(s, text);
    free(text);
    pthread_mutex_lock(&s->lock);
    s->n_changes++;
    s->was_wrong |= strncmp(id, "dl_", 3) != 0 || !json_is_string(json_object_get(download, "state"));
    pthread_mutex_unlock(&s->lock);
}

static void on_log(void *ud, const char *line)
{
    look(ud, line);
}

static void start_as(scene *s, bool is_idle)
{
    kn_err err = {0};
    kn_downloads_opts o = {.models_dir = s->f->models,
                           .queue = s->queue,
                           .patience = s->f->config.patience,
                           .is_idle = is_idle,
                           .changed = on_change,
                           .log = on_log,
                           .ud = s};
    if (kn_downloads_start(&o, &s->downloads, &err))
        fail_msg("%s", err.msg);
}

static void start(scene *s)
{
    start_as(s, false);
}

static int make(void **state)
{
    scene *s = calloc(1, sizeof *s);
    void *f = NULL;
    char path[100];
    if (!s || fixture_make(&f))
        return -1;
    s->f = f;
    pthread_mutex_init(&s->lock, NULL);
    snprintf(path, sizeof path, "%s/q.db", s->f->models);
    if (kn_queue_open(path, NULL, &s->queue, NULL))
        return -1;
    json_t *change = json_pack("{s:s, s:s}", "hf_endpoint", s->f->hub->url, "huggingface_token", SECRET);
    int rc = kn_settings_change(s->queue, change, NULL, NULL);
    json_decref(change);
    start(s);
    *state = s;
    return rc;
}

static int clear(void **state)
{
    scene *s = *state;
    void *f = s->f;
    kn_downloads_stop(s->downloads);
    kn_downloads_stop(NULL);
    kn_queue_close(s->queue);
    assert_false(s->has_secret);
    assert_false(s->was_wrong);
    pthread_mutex_destroy(&s->lock);
    fixture_remove(&f);
    free(s);
    return 0;
}

/* Its id, into buf. */
static const char *add(scene *s, const char *model, const char *file, char *buf)
{
    kn_err err = {0};
    json_t *o = NULL;
    if (kn_downloads_add(s->downloads, &(kn_download_spec){.model = model, .file = file}, &o, &err))
        fail_msg("%s", err.msg);
    snprintf(buf, 64, "%s", json_string_value(json_object_get(o, "id")));
    assert_string_equal(json_string_value(json_object_get(o, "state")), "queued");
    json_decref(o);
    return buf;
}

static json_t *get(scene *s, const char *id)
{
    json_t *o = NULL;
    assert_int_equal(kn_downloads_get(s->downloads, id, &o, NULL), 0);
    return o;
}

/* Waits until it is so. */
static json_t *wait_state(scene *s, const char *id, const char *state, int min_bytes)
{
    for (int i = 0; i < 3000; i++) {
        json_t *o = get(s, id);
        const char *is = json_string_value(json_object_get(o, "state"));
        if (strcmp(is, state) == 0 && json_integer_value(json_object_get(o, "done_bytes")) >= min_bytes)
            return o;
        json_decref(o);
        pause_ms(10);
    }
    fail_msg("%s is not %s after half a minute", id, state);
    return NULL;
}

static void must_become(scene *s, const char *id, const char *state)
{
    json_decref(wait_state(s, id, state, 0));
}

static void test_download(void **state)
{
    scene *s = *state;
    char id[64];
    asked q;
    add(s, HUB_ID, ONE, id);
    json_t *o = wait_state(s, id, "completed", 0);
    must_have(s->f, ONE, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "done_bytes")), WEIGHTS);
    assert_string_equal(json_string_value(json_object_get(o, "commit")), HUB_COMMIT);
    assert_non_null(strstr(json_string_value(json_object_get(o, "path")), HUB_ID "/" ONE));
    assert_true(json_is_null(json_object_get(o, "error")));
    assert_true(nth_asked(s->f->hub, "/api/", 0, &q));
    assert_string_equal(q.token, SECRET);
    json_t *task = kn_download_to_task(o);
    assert_string_equal(json_string_value(json_object_get(task, "status")), "completed");
    assert_string_equal(json_string_value(json_object_get(task, "task_type")), "download");
    assert_int_equal(json_integer_value(json_object_get(task, "downloaded_bytes")), WEIGHTS);
    assert_non_null(json_object_get(json_object_get(task, "result"), "local_path"));
    json_decref(task);
    json_decref(o);
    pthread_mutex_lock(&s->lock);
    int n_changes = s->n_changes;
    pthread_mutex_unlock(&s->lock);
    assert_true(n_changes >= 2);
}

static void test_failed(void **state)
{
    scene *s = *state;
    char id[64];
    json_t *o = NULL;
    misbehave(s->f->hub, (rule){ONE, ANSWER, 403, "X-Error-Code: GatedRepo\r\n", 1});
    add(s, HUB_ID, ONE, id);
    o = wait_state(s, id, "failed", 0);
    assert_non_null(
        strstr(json_string_value(json_object_get(json_object_get(o, "error"), "message")), "is gated"));
    json_t *task = kn_download_to_task(o);
    assert_string_equal(json_string_value(json_object_get(task, "status")), "error");
    assert_non_null(strstr(json_string_value(json_object_get(task, "error")), "is gated"));
    json_decref(task);
    json_decref(o);
    assert_int_equal(kn_downloads_retry(s->downloads, id, &o, NULL), 0);
    json_decref(o);
    must_become(s, id, "completed");
    assert_int_equal(kn_downloads_retry(s->downloads, id, &o, NULL), KN_EBUSY);
}

static void test_cancel(void **state)
{
    scene *s = *state;
    char id[64], second[64];
    json_t *o = NULL;
    misbehave(s->f->hub, (rule){ONE, STALL, 50000, NULL, 1});
    add(s, HUB_ID, ONE, id);
    add(s, "acme/other", NULL, second);
    json_decref(wait_state(s, id, "running", 50000));
    assert_true(kn_downloads_use(s->downloads, HUB_ID));
    assert_int_equal(kn_downloads_forget(s->downloads, id, NULL), KN_EBUSY);
    assert_int_equal(kn_downloads_add(s->downloads, &(kn_download_spec){.model = HUB_ID}, &o, NULL),
                     KN_EBUSY);
    assert_int_equal(kn_downloads_cancel(s->downloads, second, &o, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(o, "state")), "cancelled");
    json_decref(o);
    assert_int_equal(kn_downloads_cancel(s->downloads, id, &o, NULL), 0);
    json_decref(o);
    must_become(s, id, "cancelled");
    assert_false(kn_downloads_use(s->downloads, HUB_ID));
    assert_int_equal(kn_downloads_cancel(s->downloads, id, &o, NULL), 0); /* of an ended one: no change */
    json_decref(o);
    assert_int_equal(kn_downloads_forget(s->downloads, id, NULL), 0);
    assert_int_equal(kn_downloads_get(s->downloads, id, &o, NULL), KN_ENOTFOUND);
    json_t *list = kn_downloads_list(s->downloads);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_false(is_there(s->f, "acme"));
}

/* The server ends in the middle; the next one goes on where it was. */
static void test_restart(void **state)
{
    scene *s = *state;
    char id[64];
    asked q;
    misbehave(s->f->hub, (rule){ONE, STALL, 50000, NULL, 1});
    add(s, HUB_ID, ONE, id);
    json_decref(wait_state(s, id, "running", 50000));
    kn_downloads_stop(s->downloads);
    assert_false(is_there(s->f, "acme"));
    behave(s->f->hub);
    start(s);
    must_become(s, id, "completed");
    must_have(s->f, ONE, NULL);
    assert_true(nth_asked(s->f->hub, ONE, 0, &q));
    assert_string_equal(q.range, "50000-");
}

/* An idle one only keeps the line; the next one fetches. */
static void test_idle(void **state)
{
    scene *s = *state;
    char id[64];
    asked q;
    kn_downloads_stop(s->downloads);
    start_as(s, true);
    add(s, HUB_ID, ONE, id);
    pause_ms(200);
    must_become(s, id, "queued");
    assert_false(nth_asked(s->f->hub, ONE, 0, &q));
    kn_downloads_stop(s->downloads);
    start(s);
    must_become(s, id, "completed");
}

/* A list that somebody has damaged is read as far as it makes sense. */
static void test_damaged_list(void **state)
{
    scene *s = *state;
    json_t *o =
        json_pack("[i, {}, {s:s}, {s:s, s:s, s:s}, {s:s, s:s, s:s}]", 3, "id", "dl_x", "id", "dl_y", "state",
                  "failed", "model", "../x", "id", "dl_z", "state", "failed", "model", "a/b");
    kn_downloads_stop(s->downloads);
    assert_int_equal(kn_queue_value_put(s->queue, "downloads", o, NULL), 0);
    json_decref(o);
    start(s);
    json_t *list = kn_downloads_list(s->downloads);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

static void test_bounds(void **state)
{
    scene *s = *state;
    char id[64], name[32], first[64] = "";
    json_t *o = NULL;
    kn_err err = {0};
    misbehave(s->f->hub, (rule){"/", STALL_BEFORE, 0, NULL, 0});
    for (int i = 0; i < KN_LIMIT_DOWNLOADS; i++) {
        snprintf(name, sizeof name, "a/b%d", i);
        add(s, name, NULL, id);
        if (i == 5)
            snprintf(first, sizeof first, "%s", id);
    }
    assert_int_equal(kn_downloads_add(s->downloads, &(kn_download_spec){.model = "a/more"}, &o, &err),
                     KN_EBUSY);
    assert_int_equal(kn_downloads_cancel(s->downloads, first, &o, NULL), 0);
    json_decref(o);
    add(s, "a/more", NULL, id); /* in the place of the one that has ended */
    assert_int_equal(kn_downloads_get(s->downloads, first, &o, NULL), KN_ENOTFOUND);
    assert_int_equal(kn_downloads_add(s->downloads, &(kn_download_spec){.model = "no"}, &o, &err), KN_EINVAL);
    assert_int_equal(kn_downloads_add(s->downloads, &(kn_download_spec){.model = NULL}, &o, &err), KN_EINVAL);
}

/* The environment's token is for the environment's hub. */
static void test_config(void **state)
{
    (void)state;
    setenv("HF_TOKEN", "of-env", 1);
    json_t *o = json_pack("{s:s, s:s}", "hf_endpoint", "", "huggingface_token", "");
    kn_hub_config c = kn_hub_config_of(o);
    assert_null(c.endpoint);
    assert_string_equal(c.token, "of-env");
    json_object_set_new(o, "hf_endpoint", json_string("https://other.example"));
    c = kn_hub_config_of(o);
    assert_string_equal(c.endpoint, "https://other.example");
    assert_null(c.token);
    json_object_set_new(o, "huggingface_token", json_string("own"));
    c = kn_hub_config_of(o);
    assert_string_equal(c.token, "own");
    json_decref(o);
    unsetenv("HF_TOKEN");
}

static void test_local(void **state)
{
    static const char *const rows[][2] = {{"WanPipeline", "likely"}, {"LTXPipeline", "not_supported"}};
    scene *s = *state;
    char id[64];
    json_t *m = json_pack("{s:s, s:n, s:i}", "id", HUB_ID, "class", "downloads", 4);
    kn_hub_add_local(m, s->f->models);
    assert_string_equal(json_string_value(json_object_get(m, "support")), "unknown");
    assert_true(json_is_false(json_object_get(m, "installed")));
    add(s, HUB_ID, ONE, id);
    must_become(s, id, "completed");
    kn_hub_add_local(m, s->f->models);
    assert_true(json_is_true(json_object_get(m, "installed")));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_object_set_new(m, "class", json_string(rows[i][0]));
        kn_hub_add_local(m, s->f->models);
        assert_string_equal(json_string_value(json_object_get(m, "support")), rows[i][1]);
    }
    json_t *item = kn_hub_to_item(m);
    assert_string_equal(json_string_value(json_object_get(item, "name")), "tiny");
    assert_int_equal(json_integer_value(json_object_get(item, "downloads")), 4);
    assert_true(json_is_true(json_object_get(item, "installed")));
    json_decref(item);
    json_decref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, make, clear)
        T(test_download),     T(test_failed), T(test_cancel), T(test_restart), T(test_idle),
        T(test_damaged_list), T(test_bounds), T(test_config), T(test_local),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
