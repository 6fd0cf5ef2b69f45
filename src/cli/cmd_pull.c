/* kinora pull */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/pull.h"
#include "cli/queue.h"
#include "hub/url.h"

enum { SEARCH_RESULTS = 20 };

typedef struct show {
    kn_progress out;
    bool has_begun;
} show;

static void print_object(json_t *take)
{
    char *text = json_dumps(take, JSON_COMPACT | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    fflush(stdout);
    free(text);
    json_decref(take);
}

/* ---- progress ---- */

static void print_json(const kn_hub_progress *g)
{
    print_object(json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:f, s:o, s:s}", "event", "progress", "phase",
                           kn_hub_phase_name(g->phase), "done_bytes", (json_int_t)g->done_bytes,
                           "total_bytes", (json_int_t)g->total_bytes, "done_files", g->n_done, "total_files",
                           g->n_files, "bytes_per_s", g->rate, "eta_s",
                           g->eta_s >= 0 ? json_real(g->eta_s) : json_null(), "file", g->file));
}

/* "fetching  [#####...] 1.20 GB of 28.58 GB, 3/14 files  43 MB/s, 10:36 left" */
static int describe(const kn_hub_progress *g, bool has_bar, char *line, size_t size)
{
    enum { BAR = 24 };
    char bar[BAR + 1], done[32], total[32], rate[32], eta[32];
    double share = g->total_bytes ? (double)g->done_bytes / (double)g->total_bytes : 0;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    int n = snprintf(line, size, "%-9s %s%s%s%s of %s, %d/%d files", kn_hub_phase_name(g->phase),
                     has_bar ? "[" : "", has_bar ? bar : "", has_bar ? "] " : "",
                     kn_format_bytes((double)g->done_bytes, done, sizeof done),
                     kn_format_bytes((double)g->total_bytes, total, sizeof total), g->n_done, g->n_files);
    if (g->rate > 0 && g->eta_s >= 0)
        n += snprintf(line + n, size - (size_t)n, "  %s/s, %s left",
                      kn_format_bytes(g->rate, rate, sizeof rate),
                      kn_format_seconds(g->eta_s, eta, sizeof eta));
    return n;
}

static void print_progress(show *s, const kn_hub_progress *g)
{
    enum { EVERY_S = 5 };
    char line[256];
    double now = kn_clock_s();
    int n = describe(g, s->out.terminal, line, sizeof line);
    if (s->out.terminal) {
        fprintf(s->out.out, "\r%-*s", s->out.width, line);
        s->out.width = n;
        fflush(s->out.out);
    } else if (!s->has_begun || now - s->out.last_s >= EVERY_S) {
        s->out.last_s = now;
        fprintf(s->out.out, "%s\n", line);
    }
    s->has_begun = true;
}

static void on_progress(void *ud, const kn_hub_progress *g)
{
    show *s = ud;
    if (s->out.json)
        print_json(g);
    else if (g->phase != KN_HUB_ASKING)
        print_progress(s, g);
}

static void on_note(void *ud, const char *text)
{
    show *s = ud;
    if (s->out.json) {
        print_object(json_pack("{s:s, s:o}", "event", "note", "text", kn_json_text(text)));
        return;
    }
    kn_progress_clear(&s->out);
    fprintf(s->out.out, "note: %s\n", text);
}

/* ---- what is asked for ---- */

static void print_pulled(const kn_hub_pulled *p, bool json)
{
    char size[32];
    if (json) {
        print_object(json_pack("{s:s, s:s, s:s, s:I, s:i, s:b}", "event", "done", "path", p->path, "revision",
                               p->revision, "size_bytes", (json_int_t)p->bytes, "files", p->n_files,
                               "was_there", p->was_there));
        return;
    }
    fprintf(stderr, "%s  %s, %d file%s, revision %.12s%s\n", p->path,
            kn_format_bytes((double)p->bytes, size, sizeof size), p->n_files, p->n_files == 1 ? "" : "s",
            p->revision, p->was_there ? ", was there already" : "");
}

/* Where models come to without a server. */
static int models_folder(const char *to, const char *data_dir, char **ret, kn_err *err)
{
    char *data = to ? NULL : data_dir ? kn_strdup(data_dir) : kn_dir_data();
    *ret = to ? kn_strdup(to) : data ? kn_path_join(data, "models") : NULL;
    free(data);
    return *ret ? 0 : kn_fail(err, KN_EINVAL, "there is no home to put models in; say --to FOLDER");
}

/* client NULL: no server runs. */
static int pull(kn_client *client, kn_hub_pull_opts *o, bool json, kn_err *err)
{
    show s = {0};
    kn_hub_pulled got = {0};
    kn_hub_config own = {.token = kn_hub_env_token()};
    kn_progress_init(&s.out, json);
    o->cancel = kn_cli_catch_signals();
    o->progress = on_progress;
    o->note = on_note;
    o->ud = &s;
    int rc = client ? kn_pull_served(client, o, &got, err) : kn_hub_pull(&own, o, &got, err);
    kn_progress_clear(&s.out);
    if (!rc)
        print_pulled(&got, json);
    if (rc == KN_ECANCELLED && (!client || strcmp(err->msg, "cancelled") == 0))
        kn_fail(err, rc, "cancelled; say it again to go on");
    free(got.path);
    return rc;
}

static void print_model(const json_t *m)
{
    const char *class = json_string_value(json_object_get(m, "class"));
    const char *tag = json_string_value(json_object_get(m, "pipeline_tag"));
    printf("%-52s %9lld  %-16s %s%s\n", json_string_value(json_object_get(m, "id")),
           (long long)json_integer_value(json_object_get(m, "downloads")), tag ? tag : "", class ? class : "",
           json_is_true(json_object_get(m, "gated")) ? "  gated" : "");
}

static int search_served(kn_client *client, const char *text, json_t **ret, kn_err *err)
{
    kn_buf b;
    kn_buf_init(&b, 8192);
    kn_buf_printf(&b, "/api/v1/hub/search?limit=%d&q=", SEARCH_RESULTS);
    kn_url_escape(&b, text, "");
    char *path = kn_buf_take(&b);
    int rc = path ? kn_client_call(client, "GET", path, NULL, ret, err)
                  : kn_fail(err, KN_EINVAL, "--search: the text is too long");
    free(path);
    return rc;
}

static int search(kn_client *client, const char *text, bool json, kn_err *err)
{
    kn_hub_query q = {.text = text, .limit = SEARCH_RESULTS};
    kn_hub_config own = {.token = kn_hub_env_token()};
    json_t *found = NULL, *m;
    size_t i;
    int rc = client ? search_served(client, text, &found, err)
                    : kn_hub_search(&own, &q, kn_cli_catch_signals(), &found, err);
    if (rc)
        return rc;
    if (json) {
        print_object(found);
        return 0;
    }
    json_array_foreach(json_object_get(found, "models"), i, m) print_model(m);
    if (!json_array_size(json_object_get(found, "models")))
        fprintf(stderr, "no model of that name\n");
    json_decref(found);
    return 0;
}

int kn_cmd_pull(const kn_args *a)
{
    bool json = false, help = false;
    const char *to = NULL, *text = NULL;
    char *folder = NULL;
    kn_hub_pull_opts o = {0};
    kn_client_opts co = {.only_served = true};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"revision", "R", "branch, tag or commit (default: main)", NULL, &o.revision},
        {"file", "F", "only this file of the repository, not the pipeline", NULL, &o.file},
        {"variant", "V", "weights of this variant, where there are such: fp16", NULL, &o.variant},
        {"to", "FOLDER", "folder of models that is not the studio's: no server is asked to fetch them", NULL,
         &to},
        {"search", "TEXT", "list models that are called so", NULL, &text},
        {"json", NULL, "progress and result as JSON lines on standard output", &json, NULL},
        KN_CLIENT_SWITCHES(co),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &o.id, 1, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"pull OWNER/NAME [OPTIONS]\n       kinora pull --search TEXT", switches,
                                    false,
                                    "Where the studio's server runs, it fetches the model, with its own "
                                    "HF_TOKEN and HF_ENDPOINT or settings; "
                                    "Ctrl-C\ncancels that. Otherwise the command does, into the models "
                                    "folder of the data folder.",
                                    NULL});
        return 0;
    }
    if (!rc && (o.id != NULL) == (text != NULL))
        rc = kn_fail(&err, KN_EINVAL, "say OWNER/NAME of a model on Hugging Face, or --search TEXT");
    if (!rc && to && co.server)
        rc = kn_fail(&err, KN_EINVAL,
                     "--to and --server exclude each other: a server has a folder of its own");
    if (!rc && !to)
        rc = kn_client_open(&co, &c, &err);
    if (!rc && !c && !text)
        rc = models_folder(to, co.data_dir, &folder, &err);
    o.models_dir = folder;
    if (!rc)
        rc = text ? search(c, text, json, &err) : pull(c, &o, json, &err);
    free(folder);
    return kn_client_end(c, rc, json, &err);
}
