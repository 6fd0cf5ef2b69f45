/* A server whose disk is full, read only, or has lost its folders: it says so, and goes on when that is over. */
#include "studio.h"

#include <sys/mount.h>

#define BARS                                                                                                 \
    "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 64, \"height\": 48, \"frames\": 6, "          \
    "\"seed\": 3}"
/* Some seconds of sampling. */
#define LONG_JOB                                                                                             \
    "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"steps\": 60, \"threads\": 1, \"seed\": 4}"

static char disk[PATH_BYTES]; /* a small disk of our own; empty: this user may not make one */

static int make(void **state)
{
    char data[PATH_BYTES + 8];
    const place *p;
    if (place_make(state))
        return -1;
    p = *state;
    snprintf(disk, sizeof disk, "%.200s/disk", p->dir);
    if (mkdir(disk, 0700) || mount("tmpfs", disk, "tmpfs", 0, "size=24m"))
        *disk = '\0';
    snprintf(data, sizeof data, "%s/data", *disk ? disk : p->dir);
    server = studio_start(data);
    return 0;
}

static int stop(void **state)
{
    studio_stop(&server);
    if (*disk)
        umount2(disk, MNT_DETACH);
    return place_remove(state);
}

static void fill_disk(void)
{
    char path[PATH_BYTES + 16], block[4096] = "";
    snprintf(path, sizeof path, "%s/fill", disk);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    while (fwrite(block, 1, sizeof block, f) == sizeof block)
        ;
    fclose(f);
}

static void free_disk(void)
{
    shell("rm '%s/fill'", disk);
}

static void expect_error(const reply *r, int status, const char *says)
{
    expect(r, status);
    if (!strstr(text_of(json_object_get(r->json, "error"), "message"), says))
        fail_msg("expected \"%s\" in %s", says, r->body);
}

/* Its error, which names what is wrong. */
static void expect_failed(const char *id, const char *says)
{
    json_t *job = wait_job(&server, id, "failed");
    const char *message = text_of(json_object_get(job, "error"), "message");
    if (!strstr(message, says))
        fail_msg("%s: \"%s\", expected \"%s\"", id, message, says);
    json_decref(job);
}

static void retry(const char *id)
{
    reply r = act(&server, id, "retry");
    expect(&r, 200);
    reply_done(&r);
    json_decref(wait_job(&server, id, "completed"));
}

static void expect_healthy(void)
{
    reply r = get(&server, "/api/health");
    expect(&r, 200);
    reply_done(&r);
}

/* No job can be accepted that could be lost. */
static void test_full_before(void **state)
{
    char id[64];
    (void)state;
    if (!*disk)
        skip();
    fill_disk();
    reply r = {0};
    for (int i = 0; i < 2000 && (!i || r.status == 201); i++) { /* the database has some room of its own */
        reply_done(&r);
        r = send_json(&server, "POST", "/api/v1/jobs", BARS);
    }
    expect_error(&r, 500, "the disk is full");
    reply_done(&r);
    reply upload = call(&server, "POST", "/api/v1/uploads", "Content-Type: image/png\r\n", "not empty", 9);
    assert_true(upload.status >= 400);
    reply_done(&upload);
    expect_healthy();
    free_disk();
    submit(&server, BARS, id);
    json_decref(wait_job(&server, id, "completed"));
}

static void test_full_meanwhile(void **state)
{
    char id[64];
    (void)state;
    if (!*disk)
        skip();
    submit(&server, LONG_JOB, id);
    json_decref(wait_job(&server, id, "sampling"));
    fill_disk();
    for (int i = 0; i < 3000; i++) { /* that it failed can be written when there is room again, not before */
        json_t *job = job_now(&server, id);
        const char *state_now = text_of(job, "state");
        bool is_over =
            strcmp(state_now, "sampling") && strcmp(state_now, "decoding") && strcmp(state_now, "saving");
        json_decref(job);
        if (is_over || i == 700)
            break;
        usleep(10000);
    }
    expect_healthy();
    free_disk();
    expect_failed(id, "No space left");
    retry(id);
}

static void test_folders_gone(void **state)
{
    char id[64];
    (void)state;
    shell("rm -rf '%s/outputs' '%s/thumbnails' '%s/previews' '%s/uploads' '%s/state'", server.data,
          server.data, server.data, server.data, server.data);
    submit(&server, BARS, id);
    json_decref(wait_job(&server, id, "completed"));
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s/video", id);
    reply video = get(&server, path);
    expect(&video, 200);
    reply_done(&video);
    shell("rm -rf '%s/uploads'", server.data);
    reply upload = call(&server, "POST", "/api/v1/uploads", "Content-Type: image/png\r\n", "no picture", 10);
    expect(&upload, 422); /* for what it is, not for where it would be */
    reply_done(&upload);
}

static void test_read_only(void **state)
{
    char id[64], folder[PATH_BYTES + 32];
    (void)state;
    if (!*disk)
        skip();
    snprintf(folder, sizeof folder, "%s/outputs", server.data);
    assert_int_equal(mount(folder, folder, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    submit(&server, BARS, id);
    expect_failed(id, "Read-only file system");
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
    retry(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders_gone),
        cmocka_unit_test(test_full_before),
        cmocka_unit_test(test_full_meanwhile),
        cmocka_unit_test(test_read_only),
    };
    return cmocka_run_group_tests(tests, make, stop);
}
