/* kinora cleanup */
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

int kn_cmd_cleanup(const kn_args *a)
{
    bool json = false, help = false, dry = false;
    json_t *body = NULL, *answer = NULL;
    kn_client_opts o = {0};
    kn_client *c = NULL;
    const kn_switch switches[] = {
        {"dry-run", NULL, "only list what would go", &dry, NULL},
        {"json", NULL, "one JSON object", &json, NULL},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(
            a, &(kn_usage){"cleanup [--dry-run]", switches, false,
                           "Removes ended jobs and their videos beyond the settings cleanup_max_age_days, "
                           "cleanup_max_outputs_count\nand cleanup_max_outputs_bytes, the oldest first.",
                           NULL});
        return 0;
    }
    if (!rc)
        rc = kn_client_open(&o, &c, &err);
    if (!rc && !(body = json_pack("{s:b}", "dry_run", dry)))
        rc = kn_fail(&err, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = kn_client_call(c, "POST", "/api/v1/cleanup", body, &answer, &err);
    if (!rc && json)
        kn_cli_print(json_incref(answer));
    else if (!rc)
        print_cleanup(answer, dry);
    json_decref(answer);
    json_decref(body);
    return kn_client_end(c, rc, json, &err);
}
