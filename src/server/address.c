#define _GNU_SOURCE
#include "server/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

static const char NAME[] = "server.json";

static const char *reached_at(const char *host)
{
    if (!host || strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

int kn_address_write(const char *data_dir, const char *host, int port, kn_err *err)
{
    kn_atomic_file file = {0};
    const char *at = reached_at(host);
    bool is_v6 = strchr(at, ':') != NULL;
    char *path = kn_path_join(data_dir, NAME);
    int rc = path ? kn_atomic_open(&file, path, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc) {
        fprintf(file.f, "{\"url\": \"http://%s%s%s:%d\", \"pid\": %d}\n", is_v6 ? "[" : "", at,
                is_v6 ? "]" : "", port, (int)getpid());
        rc = kn_atomic_commit(&file, err);
    }
    free(path);
    return rc;
}

int kn_address_read(const char *data_dir, char **ret_url, kn_err *err)
{
    json_t *o = NULL;
    kn_json_reader r;
    char *path = kn_path_join(data_dir, NAME);
    int rc = path ? kn_json_load(path, &o, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(path);
    if (rc)
        return rc;
    kn_json_reader_init(&r, o, NAME);
    const char *url = kn_json_str(&r, "url", NULL);
    if (!url || strncmp(url, "http://", 7) != 0)
        rc = kn_fail(err, KN_EFORMAT, "%s/%s: expected a url that begins with http://; start the server anew",
                     data_dir, NAME);
    else if (!(*ret_url = kn_strdup(url)))
        rc = kn_fail(err, KN_ENOMEM, "no memory for an address");
    json_decref(o);
    return rc;
}

void kn_address_remove(const char *data_dir)
{
    char *path = kn_path_join(data_dir, NAME);
    if (path)
        unlink(path);
    free(path);
}
