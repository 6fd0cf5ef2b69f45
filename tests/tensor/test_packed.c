/* Packed files: what is loaded from one is, byte by byte, what would have been made; what is not whole is not used. */
#include "weights_check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "tensor/blocks.h"
#include "tensor/device.h"
#include "tensor/loader.h"
#include "tensor/packed.h"

enum { N_IN = 96, N_OUT = 160, N_BLOCKS = 3 };

typedef struct fixture {
    kn_device *dev;
    char *dir, *source, *path, *part;
    kn_checkpoint *ck;
} fixture;

enum { MAX_TENSORS = 32 };

static float values[N_OUT * N_IN * 9 + MAX_TENSORS]; /* each tensor begins at another one */

static kn_checkpoint *make_source(const char *path)
{
    kn_save_tensor t[MAX_TENSORS];
    static char names[MAX_TENSORS][40];
    int n = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)((i * 2654435761u >> 7) % 2001) * 1e-3f - 1;
#define ADD(suffix, dims_, ...)                                                                              \
    do {                                                                                                     \
        snprintf(names[n], sizeof names[n], "%s%s", prefix, suffix);                                         \
        t[n] = (kn_save_tensor){names[n], KN_F32, dims_, {__VA_ARGS__}, values + n};                         \
        n++;                                                                                                 \
    } while (0)
    for (int i = -1; i < N_BLOCKS; i++) {
        char prefix[16] = "";
        if (i >= 0)
            snprintf(prefix, sizeof prefix, "b.%d.", i);
        ADD("lin.weight", 2, N_OUT, N_IN);
        ADD("lin.bias", 1, N_OUT);
        ADD("two.weight", 2, N_OUT, N_IN);
        ADD("two.bias", 1, N_OUT);
        ADD("norm", 1, N_IN);
        if (i < 0)
            ADD("conv.weight", 4, N_OUT, N_IN, 3, 3);
    }
    kn_err err = {0};
    kn_checkpoint *ck = NULL;
    if (kn_checkpoint_save(path, n, t, &err) || kn_checkpoint_open(path, NULL, &ck, &err))
        fail_msg("%s", err.msg);
    return ck;
}

static int set_up(void **state)
{
    fixture *f = kn_calloc(1, sizeof *f);
    kn_err err = {0};
    kn_cpu_options opts = {.n_threads = 2};
    assert_int_equal(kn_cpu_device_open(&opts, &f->dev, &err), 0);
    f->dir = make_folder();
    f->source = kn_path_join(f->dir, "x.safetensors");
    f->path = kn_path_join(f->dir, "x.packed");
    f->part = kn_path_join(f->dir, "x.packed.part");
    f->ck = make_source(f->source);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    const char *const files[] = {"x.safetensors", "x.packed", "x.packed.part", NULL};
    assert_int_equal(f->dev->mem_weights_bytes, 0);
    kn_checkpoint_close(f->ck);
    kn_device_close(f->dev);
    remove_folder(f->dir, files);
    free(f->source);
    free(f->path);
    free(f->part);
    free(f);
    return 0;
}

/* ---- what was loaded, as bytes ---- */

static int append(void *buf, const void *data, size_t bytes)
{
    kn_buf_append(buf, data, bytes);
    return 0;
}

typedef struct block {
    const kn_weight *lin, *both;
    kn_tensor norm;
} block;

static void load_block(kn_loader *l, const void *config, int i, void *ret)
{
    static const char *const names[] = {"lin", "two", NULL};
    (void)config;
    block *b = ret;
    kn_loader_prefix(l, "b.%d.", i);
    *b = (block){.lin = kn_load_linear(l, "lin", N_IN, N_OUT, 0),
                 .both = kn_load_linear_stack(l, names, N_IN, N_OUT, 0),
                 .norm = kn_load_vector(l, "norm", KN_DIMS(N_IN), 0)};
}

static void append_block(kn_device *dev, const block *b, kn_buf *buf)
{
    kn_weight_save(dev, b->lin, append, buf);
    kn_weight_save(dev, b->both, append, buf);
    kn_buf_append(buf, b->norm.data, kn_bytes(b->norm));
}

/* Everything in the file: heads, then the blocks, of which n_resident stay. Two passes over the blocks. */
static void load_all(fixture *f, kn_dtype dtype, kn_packed *packed, int n_resident, kn_buf *ret)
{
    static const char *const names[] = {"two", "lin", NULL};
    kn_weight_set set;
    kn_loader l;
    kn_ctx c;
    kn_err err = {0};
    kn_buf_init(ret, 64 << 20);
    kn_weight_set_init(&set, f->dev);
    kn_loader_init(&l, &set, f->ck, NULL, dtype);
    l.packed = packed;
    kn_weight_save(f->dev, kn_load_linear(&l, "lin", N_IN, N_OUT, 0), append, ret);
    kn_weight_save(f->dev, kn_load_linear(&l, "two", N_IN, N_OUT, KN_LOAD_NO_BIAS), append, ret);
    kn_weight_save(f->dev, kn_load_linear_stack(&l, names, N_IN, N_OUT, KN_LOAD_KEEP_FLOAT), append, ret);
    kn_weight_save(f->dev, kn_load_conv(&l, "conv", N_IN, N_OUT, 1, 3, 3, KN_LOAD_NO_BIAS), append, ret);
    kn_weight_save(f->dev,
                   kn_load_conv(&l, "conv", N_IN, N_OUT, 1, 3, 3, KN_LOAD_NO_BIAS | KN_LOAD_UPSAMPLE2),
                   append, ret);
    kn_tensor norm = kn_load_vector(&l, "norm", KN_DIMS(N_IN), 0);
    kn_buf_append(ret, norm.data, kn_bytes(norm));
    kn_blocks_spec spec = {
        .load = load_block, .block_bytes = sizeof(block), .n = N_BLOCKS, .n_resident = n_resident};
    kn_blocks *blocks = kn_blocks_new(&l, &spec);
    if (l.err.code)
        fail_msg("%s", l.err.msg);
    kn_packed_commit(packed);
    assert_int_equal(kn_ctx_init(&c, f->dev, KN_F32, 1 << 20, &err), 0);
    for (int i = 0; i < 2 * N_BLOCKS; i++) {
        const block *b = kn_blocks_use(&c, blocks, i % N_BLOCKS);
        assert_non_null(b);
        append_block(f->dev, b, ret);
    }
    kn_ctx_done(&c);
    kn_blocks_free(blocks);
    kn_weight_set_done(&set);
    kn_packed_close(packed);
    assert_false(ret->failed);
}

static void same(const kn_buf *a, const kn_buf *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

/* Records and returns what was loaded. */
static void record(fixture *f, kn_dtype dtype, int n_resident, kn_buf *ret)
{
    kn_packed *p = kn_packed_record(f->path, "key");
    assert_non_null(p);
    assert_false(kn_path_exists(f->path));
    load_all(f, dtype, p, n_resident, ret);
    assert_true(kn_path_exists(f->path));
    assert_false(kn_path_exists(f->part));
}

/* ---- tests ---- */

static void hit_and_miss(void **state)
{
    fixture *f = *state;
    static const kn_dtype types[] = {KN_F32, KN_BF16, KN_I8};
    for (int t = 0; t < 3; t++)
        for (int n_resident = 0; n_resident <= N_BLOCKS; n_resident += N_BLOCKS) {
            kn_buf plain, first, again;
            unlink(f->path);
            load_all(f, types[t], NULL, n_resident, &plain);
            record(f, types[t], n_resident, &first);
            int64_t made = f->dev->n_weights_made, recalled = f->dev->n_weights_recalled;
            assert_null(kn_packed_open(f->path, "another key"));
            kn_packed *p = kn_packed_open(f->path, "key");
            assert_true(kn_packed_is_ready(p));
            load_all(f, types[t], p, n_resident, &again);
            assert_int_equal(f->dev->n_weights_made, made);
            assert_int_equal(f->dev->n_weights_recalled - recalled,
                             5 + 2 * (n_resident ? N_BLOCKS : 2 * N_BLOCKS));
            same(&plain, &first);
            same(&plain, &again);
            kn_buf_done(&plain);
            kn_buf_done(&first);
            kn_buf_done(&again);
        }
}

/* A file that was recorded with all blocks resident serves blocks that come and go, and the other way round. */
static void any_residency(void **state)
{
    fixture *f = *state;
    for (int n_resident = 0; n_resident <= N_BLOCKS; n_resident++) {
        kn_buf first, again;
        unlink(f->path);
        record(f, KN_I8, n_resident, &first);
        int64_t made = f->dev->n_weights_made;
        load_all(f, KN_I8, kn_packed_open(f->path, "key"), N_BLOCKS - n_resident, &again);
        assert_int_equal(f->dev->n_weights_made, made);
        same(&first, &again);
        kn_buf_done(&first);
        kn_buf_done(&again);
    }
}

static void flip(const char *path, off_t at)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* A flipped bit anywhere: the frames cannot tell. */
static void damaged(void **state)
{
    fixture *f = *state;
    uint64_t seed = 7;
    kn_buf plain, first, again;
    load_all(f, KN_I8, NULL, 1, &plain);
    for (int i = 0; i < 40; i++) {
        unlink(f->path);
        record(f, KN_I8, 1, &first);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        off_t size = size_of(f->path), at = (off_t)(seed >> 33) % size;
        if (i % 4 == 0)
            at %= 4096 * 2; /* the header and the first item */
        else if (i % 4 == 1)
            at = size - 1 - at % 2000; /* the index */
        flip(f->path, at);
        load_all(f, KN_I8, kn_packed_open(f->path, "key"), 1, &again);
        same(&plain, &again);
        kn_buf_done(&first);
        kn_buf_done(&again);
    }
    kn_buf_done(&plain);
}

/* What is found damaged is given up: nothing after it is mapped, and the file is gone. */
static void given_up(void **state)
{
    fixture *f = *state;
    kn_buf first, again;
    record(f, KN_I8, N_BLOCKS, &first);
    flip(f->path, 4096); /* of the first item */
    int64_t recalled = f->dev->n_weights_recalled;
    load_all(f, KN_I8, kn_packed_open(f->path, "key"), N_BLOCKS, &again);
    assert_int_equal(f->dev->n_weights_recalled, recalled);
    assert_false(kn_path_exists(f->path));
    same(&first, &again);
    kn_buf_done(&first);
    kn_buf_done(&again);
}

static void truncated_or_foreign(void **state)
{
    fixture *f = *state;
    kn_buf first;
    record(f, KN_BF16, N_BLOCKS, &first);
    kn_buf_done(&first);
    off_t size = size_of(f->path);
    for (off_t at = size - 1; at >= 0; at = at * 3 / 4 - 1) {
        assert_int_equal(truncate(f->path, at), 0);
        assert_null(kn_packed_open(f->path, "key"));
    }
    assert_int_equal(truncate(f->path, size), 0); /* a hole */
    assert_null(kn_packed_open(f->path, "key"));
    assert_null(kn_packed_open(f->source, "key"));
    assert_null(kn_packed_open(f->dir, "key"));
    assert_null(kn_packed_open("/dev/null", "key"));
    write_bytes(f->path, "KNPACK1", 8);
    assert_null(kn_packed_open(f->path, "key"));
}

/* Items whose place or size the index gives wrongly, with sums that are right. */
static void hostile_index(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *from, *to;
    } edits[] = {
        {"\"begin\":4096,", "\"begin\":4095,"},
        {"\"begin\":4096,", "\"begin\":-4096,"},
        {"\"begin\":4096,", "\"begin\":0,"},
        {"\"begin\":4096,", "\"begin\":9223372036854771712,"},
        {"\"begin\":4096,", "\"begin\":\"4096\","},
        {"\"key\":\"key\"", "\"key\":7"},
        {"\"items\":", "\"itemz\":"},
        {"\"bytes\":", "\"bytes\":-"},
        {"\"bytes\":", "\"bytes\":1000000000000"},
        {"\"what\":", "\"whit\":"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        kn_buf first;
        kn_err err = {0};
        char *data = NULL;
        size_t size = 0;
        unlink(f->path);
        record(f, KN_I8, N_BLOCKS, &first);
        kn_buf_done(&first);
        assert_int_equal(kn_file_read(f->path, 64 << 20, &data, &size, &err), 0);
        uint64_t h[6];
        memcpy(h, data, sizeof h);
        char *at = strstr(data + h[2], edits[i].from);
        assert_non_null(at);
        char *index = kn_asprintf("%.*s%s%s", (int)(at - (data + h[2])), data + h[2], edits[i].to,
                                  at + strlen(edits[i].from));
        h[3] = strlen(index);
        h[1] = h[2] + h[3];
        h[4] = kn_hash_bulk(index, h[3]);
        h[5] = kn_hash_bulk(h, 40);
        memcpy(data, h, sizeof h);
        FILE *out = fopen(f->path, "wb");
        assert_true(out && fwrite(data, 1, h[2], out) == h[2] && fwrite(index, 1, h[3], out) == h[3] &&
                    !fclose(out));
        assert_null(kn_packed_open(f->path, "key"));
        free(index);
        free(data);
    }
}

static void one_recorder(void **state)
{
    fixture *f = *state;
    kn_packed *a = kn_packed_record(f->path, "key");
    assert_non_null(a);
    assert_null(kn_packed_record(f->path, "key")); /* another process has it: its lock is a file's */
    kn_packed_close(a);
    assert_false(kn_path_exists(f->path)); /* nothing was committed */
    assert_false(kn_path_exists(f->part));
    write_bytes(f->part, "left by a process that died", 20);
    kn_buf first;
    record(f, KN_BF16, 0, &first);
    kn_buf_done(&first);
    assert_null(kn_packed_record("/dev/null/x", "key"));
}

/* A replaced file does not touch those who map the old one. */
static void replaced(void **state)
{
    fixture *f = *state;
    kn_buf first, second, again;
    record(f, KN_I8, 0, &first);
    kn_packed *old = kn_packed_open(f->path, "key"), *new = kn_packed_record(f->path, "new key");
    load_all(f, KN_BF16, new, 0, &second);
    assert_null(kn_packed_open(f->path, "key"));
    load_all(f, KN_I8, old, 0, &again);
    same(&first, &again);
    kn_buf_done(&first);
    kn_buf_done(&second);
    kn_buf_done(&again);
}

static void full_disk(void **state)
{
    fixture *f = *state;
    kn_buf plain, limited;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    load_all(f, KN_I8, NULL, 0, &plain);
    for (rlim_t room = 0; room < 200000; room = room * 2 + 5000) {
        kn_packed *p = kn_packed_record(f->path, "key");
        assert_non_null(p);
        getrlimit(RLIMIT_FSIZE, &old);
        small = (struct rlimit){room, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        load_all(f, KN_I8, p, 0, &limited);
        setrlimit(RLIMIT_FSIZE, &old);
        same(&plain, &limited);
        kn_buf_done(&limited);
        assert_false(kn_path_exists(f->path));
        assert_false(kn_path_exists(f->part));
    }
    kn_buf_done(&plain);
}

static void rehearsal(void **state)
{
    (void)state;
    kn_packed *p = kn_packed_record(NULL, "key");
    assert_true(kn_packed_is_recording(p));
    assert_false(kn_packed_is_ready(p));
    kn_packed_commit(p);
    assert_false(kn_packed_is_recording(p));
    assert_true(kn_packed_is_ready(p));
    assert_null(kn_packed_get(p, &(kn_packed_item){.name = "a", .what = "b"}));
    kn_packed_close(p);
    assert_false(kn_packed_is_ready(NULL));
    kn_packed_close(NULL);
}

/* Another state of the source, or another source, has another identity; the same file has the same. */
static void identity(void **state)
{
    fixture *f = *state;
    kn_err err = {0};
    kn_checkpoint *again = NULL;
    uint64_t id = kn_checkpoint_identity(f->ck), place = kn_checkpoint_place(f->ck);
    assert_true(id && place);
    assert_int_equal(kn_checkpoint_open(f->source, NULL, &again, &err), 0);
    assert_true(kn_checkpoint_identity(again) == id);
    kn_checkpoint_close(again);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, f->source, times, 0), 0);
    assert_int_equal(kn_checkpoint_open(f->source, NULL, &again, &err), 0);
    assert_true(kn_checkpoint_identity(again) != id);
    assert_true(kn_checkpoint_place(again) == place);
    kn_checkpoint_close(again);
    kn_checkpoint_close(f->ck);
    unlink(f->source);
    f->ck = make_source(f->source);
    assert_true(kn_checkpoint_identity(f->ck) != id);
    assert_int_equal(kn_checkpoint_random(1, &again, &err), 0);
    assert_true(!kn_checkpoint_identity(again) && !kn_checkpoint_place(again));
    kn_checkpoint_close(again);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(hit_and_miss),  TEST(any_residency), TEST(damaged),  TEST(given_up),  TEST(truncated_or_foreign),
        TEST(hostile_index), TEST(one_recorder),  TEST(replaced), TEST(full_disk), TEST(rehearsal),
        TEST(identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
