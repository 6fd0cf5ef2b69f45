/* kinora cleanup */
#include <stdint.h>

#include "cli/queue.h"

static void print_cleanup(const json_t *o, bool is_dry_run)
{
    char size[32], id[128], reason[64], line[2048];
    size_t i, n = json_array_size(json_object_get(o, "jobs"));
    json_t *job;
    json_array_foreach(json_object_get(o, "jobs"), i, job)
    {
        const char *why = kn_queue_text(job, "error");
        printf("%-25s %-6s %10s%s%s\n", kn_cli_one_line(kn_queue_text(job, "id"), 24, id, sizeof id),
               kn_cli_one_line(kn_queue_text(job, "reason"), 8, reason, sizeof reason),
               kn_format_bytes(json_number_value(json_object_get(job, "size_bytes")), size, sizeof size),
               *why ? "  stays: " : "", kn_cli_one_line(why, 400, line, sizeof line));
    }
    printf("%zu job%s, %s%s%s\n", n, n == 1 ? "" : "s",
           kn_format_bytes(json_number_value(json_object_get(o, "size_bytes")), size, sizeof size),
           is_dry_run ? ", would be removed" : ", removed",
           json_is_true(json_object_get(o, "has_more")) ? "; there are more, say it again" : "");
}

static void print_caches(const json_t *caches, bool is_dry_run)
{
    char size[32], name[128], path[4096];
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)(uintptr_t)caches, i, c)
    {
        long long n = json_integer_value(json_object_get(c, "files"));
        printf("%s in %s: %lld file%s, %s%s\n",
               kn_cli_one_line(kn_queue_text(c, "name"), 32, name, sizeof name),
               kn_cli_one_line(kn_queue_text(c, "path"), 900, path, sizeof path), n, n == 1 ? "" : "s",
               kn_format_bytes(json_number_value(json_object_get(c, "size_bytes")), size, sizeof size),
               is_dry_run ? ", would be removed" : ", removed");
    }
}

int kn_cmd_cleanup(const kn_args *a)
{
    bool json = false, help = false, dry = false, caches = false;
    json_t *body = NULL, *answer = NULL;
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"dry-run", NULL, "only list what would go", &dry, NULL},
        {"caches", NULL, "remove text states and packed weights, too, which runs keep to save time", &caches,
         NULL},
        {"json", NULL, "one JSON object", &json, NULL},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(
            a,
            &(kn_usage){"cleanup [--dry-run] [--caches]", switches, false,
                        "Removes ended jobs and their videos beyond the settings cleanup_max_age_days, "
                        "cleanup_max_outputs_count\nand cleanup_max_outputs_bytes, the oldest first. Nothing "
                        "else is touched: models go with kinora models --remove, and\nthe cache of Hugging "
                        "Face's own programs (HF_HOME, ~/.cache/huggingface) is neither read nor written by "
                        "Kinora.",
                        NULL});
        return 0;
    }
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc && !(body = json_pack("{s:b, s:b}", "dry_run", dry, "caches", caches)))
        rc = kn_fail(&err, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = kn_client_call(c, "POST", "/api/v1/cleanup", body, &answer, &err);
    if (!rc && json) {
        kn_cli_print(json_incref(answer));
    } else if (!rc) {
        print_cleanup(answer, dry);
        print_caches(json_object_get(answer, "caches"), dry);
    }
    json_decref(answer);
    json_decref(body);
    return kn_client_end(c, rc, json, &err);
}
