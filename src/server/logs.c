#define _GNU_SOURCE
#include "server/logs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/dirs.h"
#include "base/limits.h"
#include "base/mem.h"

struct kn_logs {
    pthread_mutex_t lock;
    char *path, *older;
    FILE *f;
    char *lines[KN_LOG_LINES]; /* a ring */
    int64_t n_added;
};

/* Consumes it; NULL: nothing. */
static void keep(kn_logs *l, char *text)
{
    if (!text)
        return;
    char **slot = &l->lines[l->n_added++ % KN_LOG_LINES];
    free(*slot);
    *slot = text;
}

/* The last lines of the file: what was said before this program was started. */
static void recall(kn_logs *l)
{
    char *text = kn_calloc(1, KN_LIMIT_LOG_RECALL_BYTES + 1), *rest = NULL;
    FILE *f = text ? fopen(l->path, "re") : NULL;
    if (f) {
        bool is_cut = fseek(f, -(long)KN_LIMIT_LOG_RECALL_BYTES, SEEK_END) == 0;
        if (!is_cut)
            rewind(f);
        text[fread(text, 1, KN_LIMIT_LOG_RECALL_BYTES, f)] = '\0';
        rest = is_cut ? strchr(text, '\n') : NULL;
        rest = rest ? rest + 1 : is_cut ? NULL : text;
        fclose(f);
    }
    for (size_t n; rest && *rest; rest += n + (rest[n] != '\0')) {
        n = strcspn(rest, "\n");
        keep(l, kn_strndup(rest, n));
    }
    free(text);
}

kn_logs *kn_logs_open(const char *folder)
{
    kn_logs *l = kn_calloc(1, sizeof *l);
    if (!l)
        return NULL;
    pthread_mutex_init(&l->lock, NULL);
    l->path = kn_asprintf("%s/kinora.log", folder);
    l->older = kn_asprintf("%s/kinora.log.1", folder);
    if (!l->path || !l->older) {
        kn_logs_close(l);
        return NULL;
    }
    recall(l);
    if (kn_dir_make(folder, NULL) == 0)
        l->f = fopen(l->path, "ae");
    return l;
}

void kn_logs_close(kn_logs *l)
{
    if (!l)
        return;
    if (l->f)
        fclose(l->f);
    for (int i = 0; i < KN_LOG_LINES; i++)
        free(l->lines[i]);
    free(l->path);
    free(l->older);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* A line is text of ours and of files and errors: what would break it or a terminal is shown as '?'. */
static char *with_time(const char *line)
{
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    char *text = kn_asprintf("%s  %s", when, line);
    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return text;
}

static void turn_over(kn_logs *l)
{
    fclose(l->f);
    rename(l->path, l->older); /* if that fails the file is cut, which is what was to be avoided only */
    l->f = fopen(l->path, "we");
}

static void write_line(kn_logs *l, const char *text)
{
    if (l->f && ftell(l->f) > (long)KN_LIMIT_LOG_BYTES)
        turn_over(l);
    if (!l->f)
        return;
    fprintf(l->f, "%s\n", text);
    fflush(l->f);
}

void kn_logs_add(kn_logs *l, const char *line)
{
    char *text = with_time(line);
    if (!text)
        return;
    pthread_mutex_lock(&l->lock);
    write_line(l, text);
    keep(l, text);
    pthread_mutex_unlock(&l->lock);
}

json_t *kn_logs_recent(kn_logs *l, int n)
{
    json_t *lines = json_array();
    pthread_mutex_lock(&l->lock);
    int64_t there = l->n_added < KN_LOG_LINES ? l->n_added : KN_LOG_LINES;
    for (int64_t i = l->n_added - (n < there ? n : there); i < l->n_added; i++)
        json_array_append_new(lines,
                              json_string(l->lines[i % KN_LOG_LINES])); /* left out if it is not UTF-8 */
    pthread_mutex_unlock(&l->lock);
    return json_pack("{s:s, s:o}", "log_file", l->path, "lines", lines);
}
