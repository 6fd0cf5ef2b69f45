/* A folder as one ZIP. */
#define _GNU_SOURCE
#include "small_server.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/dirs.h"
#include "jobs/retention.h"
#include "server/studio.h"
#include "server/zip.h"

enum { MAX_BYTES = 1 << 20 };

static char folder[64], frames[96];

static void write_file(const char *name, const void *data, size_t size)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", frames, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state)
{
    static char large[300000];
    (void)state;
    strcpy(folder, "/tmp/kn-test-zip-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(frames, sizeof frames, "%s/job_a_frames", folder);
    assert_int_equal(mkdir(frames, 0700), 0);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 31 >> 3);
    write_file("frame_00001.png", large, sizeof large);
    write_file("frame_00000.png", "first", 5);
    write_file("frame_00002.png", "", 0);
    write_file("kinora.json", "{}", 2);
    write_file("notes.txt", "of someone else", 15);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return kn_dir_remove(folder, NULL);
}

/* A bit at a time, which the one of the program does not do. */
static uint32_t slow_crc(const unsigned char *p, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static uint64_t number(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

typedef struct found {
    char name[64];
    const unsigned char *data;
    uint64_t size;
} found;

/* Reads it as an unpacker does: from the end. Returns how many files it has. */
static int unzip(const unsigned char *zip, size_t size, found *list, int max)
{
    const unsigned char *end = zip + size - 22;
    assert_int_equal(number(end, 4), 0x06054b50);
    int n = (int)number(end + 10, 2);
    uint64_t at = number(end + 16, 4);
    assert_int_equal(at + number(end + 12, 4), size - 22);
    assert_true(n <= max);
    for (int i = 0; i < n; i++) {
        const unsigned char *c = zip + at, *l = zip + number(c + 42, 4);
        uint64_t name = number(c + 28, 2), bytes = number(c + 24, 4);
        assert_int_equal(number(c, 4), 0x02014b50);
        assert_int_equal(number(l, 4), 0x04034b50);
        assert_memory_equal(c + 6, l + 4, 24); /* version to the name's length */
        assert_memory_equal(c + 46, l + 30, name);
        assert_int_equal(number(c + 10, 2), 0);
        assert_int_equal(number(c + 20, 4), bytes);
        list[i] = (found){.data = l + 30 + name, .size = bytes};
        snprintf(list[i].name, sizeof list[i].name, "%.*s", (int)name, (const char *)c + 46);
        assert_int_equal(number(c + 16, 4), slow_crc(list[i].data, bytes));
        at += 46 + name + number(c + 30, 2) + number(c + 32, 2);
    }
    return n;
}

static bool is_frame_or_note(const char *name)
{
    return kn_job_file_is_ours(name);
}

static void check_content(const unsigned char *zip, size_t size)
{
    found list[8];
    assert_int_equal(unzip(zip, size, list, 8), 4);
    assert_string_equal(list[0].name, "job_a_frames/frame_00000.png");
    assert_string_equal(list[1].name, "job_a_frames/frame_00001.png");
    assert_string_equal(list[2].name, "job_a_frames/frame_00002.png");
    assert_string_equal(list[3].name, "job_a_frames/kinora.json");
    assert_memory_equal(list[0].data, "first", 5);
    assert_int_equal(list[1].size, 300000);
    assert_int_equal(list[2].size, 0);
}

static void test_whole(void **state)
{
    static const size_t steps[] = {1, 7, 4096, MAX_BYTES};
    (void)state;
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        kn_zip *z = NULL;
        size_t n = 0, got = 1;
        unsigned char *bytes = calloc(1, MAX_BYTES + 1);
        assert_non_null(bytes);
        assert_int_equal(kn_zip_open(frames, is_frame_or_note, &z, NULL), 0);
        for (; got; n += got)
            assert_int_equal(
                kn_zip_read(z, bytes + n, steps[k] < MAX_BYTES - n ? steps[k] : MAX_BYTES - n, &got, NULL),
                0);
        assert_int_equal(n, kn_zip_size(z));
        check_content(bytes, n);
        kn_zip_close(z);
        free(bytes);
    }
    assert_int_equal(kn_zip_crc(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(kn_zip_crc(kn_zip_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
}

static bool none(const char *name)
{
    (void)name;
    return false;
}

static void test_what_cannot_be(void **state)
{
    kn_zip *z = NULL;
    size_t got = 0;
    char bytes[64];
    (void)state;
    assert_int_equal(kn_zip_open("/tmp/nowhere-at-all", is_frame_or_note, &z, NULL), KN_ENOTFOUND);
    assert_int_equal(kn_zip_open(frames, none, &z, NULL), KN_ENOTFOUND);
    assert_int_equal(kn_zip_open(frames, is_frame_or_note, &z, NULL), 0);
    write_file("frame_00000.png", "longer", 6);
    assert_int_equal(kn_zip_read(z, bytes, sizeof bytes, &got, NULL), KN_EIO);
    kn_zip_close(z);
    write_file("frame_00000.png", "first", 5);
    kn_zip_close(NULL);
}

/* Past 4 GiB, in a file with a hole. */
static void test_large(void **state)
{
    char path[160];
    kn_zip *z = NULL;
    (void)state;
    for (int i = 5; i < 8; i++) {
        snprintf(path, sizeof path, "%s/frame_%05d.png", frames, i);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 1500ll << 20), 0);
        close(fd);
    }
    assert_int_equal(kn_zip_open(frames, is_frame_or_note, &z, NULL), 0);
    uint64_t files = 300000 + 5 + 2 + 3 * (1500ull << 20), name = strlen("job_a_frames/frame_00000.png");
    uint64_t names = 6 * name + strlen("job_a_frames/kinora.json");
    /* one file, the note, begins beyond 4 GiB */
    assert_int_equal(kn_zip_size(z), files + 7 * (30 + 46) + 2 * names + 12 + 76 + 22);
    kn_zip_close(z);
    assert_int_equal(truncate(path, 0xffffffffll), 0);
    assert_int_equal(kn_zip_open(frames, is_frame_or_note, &z, NULL), KN_ELIMIT);
    for (int i = 5; i < 8; i++) {
        snprintf(path, sizeof path, "%s/frame_%05d.png", frames, i);
        unlink(path);
    }
}

/* ---- over HTTP ---- */

static int get_frames(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    return kn_studio_reply_video(reply, frames, false, err);
}

static void test_reply(void **state)
{
    static const kn_route table_of[] = {{"GET", "/frames", KN_BODY_NONE, get_frames, "", false}, {0}};
    kn_route_table table = {table_of, NULL};
    kn_http *h = NULL;
    char request[128];
    (void)state;
    assert_int_equal(kn_http_start(&(kn_http_opts){.host = "127.0.0.1"}, &table, 1, &h, NULL), 0);
    answer a = ask_for(kn_http_port(h), "/frames", "Range: bytes=5-9\r\n");
    assert_int_equal(a.status, 200); /* a part of it is not to be had */
    assert_string_equal(header(&a, "Content-Type"), "application/zip");
    assert_non_null(strstr(header(&a, "Content-Disposition"), "job_a_frames.zip"));
    assert_null(header(&a, "Accept-Ranges"));
    check_content((const unsigned char *)a.body, a.size);
    size_t size = a.size;
    answer_done(&a);
    snprintf(request, sizeof request, "HEAD /frames HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", kn_http_port(h));
    a = ask_bytes(kn_http_port(h), request, strlen(request));
    assert_int_equal(a.status, 200);
    assert_int_equal(strtoull(header(&a, "Content-Length"), NULL, 10), size);
    answer_done(&a);
    int fd = dial(kn_http_port(h)); /* a client that goes away in the middle */
    put_text(fd, "GET /frames HTTP/1.1\r\nHost: localhost\r\n\r\n");
    close(fd);
    kn_http_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_what_cannot_be),
                                       cmocka_unit_test(test_large), cmocka_unit_test(test_reply)};
    return cmocka_run_group_tests_name("server/zip", tests, make_folder, remove_folder);
}
