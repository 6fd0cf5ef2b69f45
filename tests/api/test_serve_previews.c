/* Previews of a running job: the first one at once, and far fewer than there are steps where steps are short. */
#include "studio.h"

#include <sys/inotify.h>

enum { STEPS = 400 };

/* How many finished previews of the job were put in place so far. */
static int count_moves(int fd, const char *id)
{
    char buf[1 << 16] __attribute__((aligned(__alignof__(struct inotify_event)))), name[80];
    int n = 0;
    snprintf(name, sizeof name, "%s.png", id);
    for (ssize_t got; (got = read(fd, buf, sizeof buf)) > 0;)
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)(buf + at);
            assert_int_equal(e->mask & IN_Q_OVERFLOW, 0);
            n += e->len && strcmp(e->name, name) == 0;
            at += (ssize_t)(sizeof *e + e->len);
        }
    return n;
}

static void test_limit(void **state)
{
    char id[64], folder[2 * PATH_BYTES], request[160], path[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s/previews", server.data);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), n = 0;
    assert_true(fd >= 0 && inotify_add_watch(fd, folder, IN_MOVED_TO) >= 0);
    snprintf(request, sizeof request,
             "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"steps\": %d, \"threads\": 1}", STEPS);
    submit(&server, request, id);
    snprintf(path, sizeof path, "/api/v1/jobs/%s/preview", id);
    bool was_served = false, has_ended = false;
    while (!has_ended) {
        json_t *job = job_now(&server, id);
        assert_string_not_equal(text_of(job, "state"), "failed");
        has_ended = strcmp(text_of(job, "state"), "completed") == 0;
        json_decref(job);
        n += count_moves(fd, id);
        if (n && !was_served && !has_ended) {
            reply r = get(&server, path);
            was_served = r.status == 200 && r.size > 8 && memcmp(r.body, "\x89PNG", 4) == 0;
            reply_done(&r);
        }
        usleep(20000);
    }
    n += count_moves(fd, id);
    close(fd);
    assert_true(was_served);
    assert_in_range(n, 1, STEPS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
