#include "fake_device.h"

#include "tensor/pool.h"

enum { MIB = 1 << 20, CAPACITY = 4 * MIB };

typedef struct fixture {
    fake_device *fake;
    kn_ctx c;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->fake = fake_device_new(CAPACITY);
    assert_int_equal(kn_ctx_init(&f->c, &f->fake->dev, KN_F32, 0, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    kn_ctx_done(&f->c);
    assert_int_equal(f->fake->dev.mem_pool_bytes, 0);
    assert_int_equal(f->fake->live_reserved, 0);
    kn_device_close(&f->fake->dev);
    free(f);
    return 0;
}

static kn_pool *pool_of(void **state)
{
    return ((fixture *)*state)->c.pool;
}

static size_t alloc_at(kn_pool *p, size_t bytes, int depth)
{
    kn_err err = {0};
    void *data = kn_pool_alloc(p, bytes, depth, &err);
    if (!data)
        fail_msg("%s", err.msg);
    return (uintptr_t)data - p->base;
}

static void release_at(kn_pool *p, size_t offset)
{
    kn_pool_block *b = kn_pool_find(p, (void *)(p->base + offset));
    assert_non_null(b);
    assert_int_equal(b->offset, offset);
    kn_pool_release(p, b);
}

static kn_tensor bytes_tensor(kn_ctx *c, int64_t bytes)
{
    return kn_empty(c, KN_U8, KN_DIMS(bytes));
}

/* ---- the pool alone ---- */

static void test_blocks_are_aligned_and_apart(void **state)
{
    kn_pool *p = pool_of(state);
    assert_int_equal(p->base % KN_POOL_ALIGN, 0);
    assert_int_equal(alloc_at(p, 1, 0), 0);
    assert_int_equal(alloc_at(p, 64, 0), 64);
    assert_int_equal(alloc_at(p, 65, 0), 128);
    assert_int_equal(alloc_at(p, 1, 0), 256);
    assert_int_equal(p->live, 320);
    assert_int_equal(p->extent, 320);
}

static void test_neighbouring_gaps_become_one(void **state)
{
    kn_pool *p = pool_of(state);
    for (int i = 0; i < 4; i++)
        alloc_at(p, 128, 0);
    release_at(p, 0);
    release_at(p, 256);
    release_at(p, 128);
    assert_int_equal(alloc_at(p, 384, 0), 0);
    assert_int_equal(p->extent, 512);
}

static void test_smallest_sufficient_gap_is_taken(void **state)
{
    kn_pool *p = pool_of(state);
    size_t big = alloc_at(p, 1024, 0);
    alloc_at(p, 64, 0);
    size_t small = alloc_at(p, 256, 0);
    alloc_at(p, 64, 0);
    release_at(p, big);
    release_at(p, small);
    assert_int_equal(alloc_at(p, 192, 0), small);
    assert_int_equal(alloc_at(p, 1024, 0), big);
    assert_int_equal(p->extent, 1024 + 64 + 256 + 64);
}

static void test_touched_end_counts_as_a_gap(void **state)
{
    kn_pool *p = pool_of(state);
    size_t hole = alloc_at(p, 1024, 0);
    alloc_at(p, 64, 0);
    size_t end = alloc_at(p, 256, 0);
    release_at(p, hole);
    release_at(p, end);
    assert_int_equal(alloc_at(p, 128, 0), end); /* the tighter of the two */
    assert_int_equal(alloc_at(p, 512, 0), hole);
    assert_int_equal(p->extent, 1024 + 64 + 256);
}

static void test_blocks_lie_beside_what_dies_with_them(void **state)
{
    kn_pool *p = pool_of(state);
    alloc_at(p, 64, 0);
    size_t hole = alloc_at(p, 1024, 0);
    size_t deeper = alloc_at(p, 64, 2);
    release_at(p, hole);
    assert_int_equal(alloc_at(p, 256, 2), deeper - 256);
    assert_int_equal(alloc_at(p, 256, 1), deeper - 512);
    kn_pool_release_depth(p, 1);
    assert_int_equal(p->live, 64);
    hole = alloc_at(p, 1024, 0);
    alloc_at(p, 64, 0);
    release_at(p, hole);
    assert_int_equal(alloc_at(p, 256, 2), hole); /* neighbours of one age: the lower end */
}

static void test_find_accepts_addresses_inside(void **state)
{
    kn_pool *p = pool_of(state);
    alloc_at(p, 128, 0);
    size_t b = alloc_at(p, 128, 0);
    assert_int_equal(kn_pool_find(p, (void *)(p->base + b + 127))->offset, b);
    assert_null(kn_pool_find(p, (void *)(p->base + b + 128)));
    assert_null(kn_pool_find(p, (void *)(p->base - 1)));
    assert_null(kn_pool_find(p, (void *)(p->base + p->capacity)));
    release_at(p, 0);
    assert_null(kn_pool_find(p, (void *)p->base));
}

static void test_full_pool_says_so(void **state)
{
    kn_pool *p = pool_of(state);
    kn_err err = {0};
    alloc_at(p, CAPACITY - 64, 0);
    assert_null(kn_pool_alloc(p, 65, 0, &err));
    assert_int_equal(err.code, KN_ENOMEM);
    assert_string_equal(err.msg,
                        "65 bytes do not fit into the pool of device fake: 4194240 of 4194304 bytes in use");
    assert_null(kn_pool_alloc(p, SIZE_MAX - 10, 0, &err));
    assert_null(kn_pool_alloc(p, SIZE_MAX, 0, &err));
    assert_int_equal(alloc_at(p, 64, 0), CAPACITY - 64);
}

static void test_trim_gives_pages_back_but_keeps_data(void **state)
{
    fixture *f = *state;
    kn_pool *p = f->c.pool;
    alloc_at(p, MIB / 2, 0);
    size_t kept = alloc_at(p, 100, 0), end = alloc_at(p, MIB, 0);
    memset((void *)(p->base + kept), 7, 100);
    release_at(p, 0);
    release_at(p, end);
    assert_int_equal(f->fake->dev.mem_pool_bytes, MIB / 2 + 128 + MIB);
    kn_pool_trim(&f->c);
    assert_int_equal(p->extent, MIB / 2 + 128);
    assert_int_equal(f->fake->dev.mem_pool_bytes, MIB / 2 + 128);
    assert_true(f->fake->trimmed_bytes >= MIB / 2 + MIB - 65536);
    for (int i = 0; i < 100; i++)
        assert_int_equal(((unsigned char *)(p->base + kept))[i], 7);
    assert_int_equal(kn_pool_peak(&f->c), MIB / 2 + 128 + MIB);
    kn_pool_reset_peak(&f->c);
    assert_int_equal(kn_pool_peak(&f->c), MIB / 2 + 128);
}

/* Against a map of bytes: no overlap, what lies inside, the sums, and never a failure while a gap is large enough. */
static void test_random_traffic(void **state)
{
    enum { LIVE = 40, UNIT = KN_POOL_ALIGN, UNITS = CAPACITY / UNIT };
    kn_pool *p = pool_of(state);
    unsigned char *map = calloc(UNITS, 1);
    assert_non_null(map);
    size_t offset[LIVE], size[LIVE] = {0}, live = 0;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t slot = (seed >> 33) % LIVE;
        if (size[slot]) {
            memset(map + offset[slot] / UNIT, 0, size[slot]);
            live -= size[slot];
            release_at(p, offset[slot]);
            size[slot] = 0;
            continue;
        }
        size_t n = 1 + (seed >> 40) % (i % 3 ? 300 : 6000), run = 0, longest = 0;
        for (size_t u = 0; u < UNITS; u++) {
            run = map[u] ? 0 : run + 1;
            longest = run > longest ? run : longest;
        }
        void *data = kn_pool_alloc(p, n * UNIT - 1, 0, NULL);
        assert_int_equal(data != NULL, n <= longest);
        if (!data)
            continue;
        offset[slot] = (uintptr_t)data - p->base;
        size[slot] = n;
        live += n;
        assert_true(offset[slot] % UNIT == 0 && offset[slot] + n * UNIT <= p->extent &&
                    p->extent <= CAPACITY);
        for (size_t u = 0; u < n; u++)
            assert_int_equal(map[offset[slot] / UNIT + u]++, 0);
        assert_int_equal(p->live, live * UNIT);
    }
    free(map);
}

/* ---- scopes ---- */

static void test_scope_frees_all_but_keep(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_tensor outer = bytes_tensor(c, 64);
    kn_scope s = kn_scope_open(c);
    bytes_tensor(c, 640);
    kn_tensor y = bytes_tensor(c, 128);
    bytes_tensor(c, 640);
    kn_tensor kept = kn_scope_close(c, s, y);
    assert_ptr_equal(kept.data, y.data);
    assert_int_equal(kn_pool_live(c), 64 + 128);
    kn_free(c, &outer);
    assert_null(outer.data);
    assert_int_equal(kn_pool_live(c), 128);
    assert_true(kn_ok(c));
}

static void test_kept_tensor_dies_with_the_parent(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope a = kn_scope_open(c), b = kn_scope_open(c), d = kn_scope_open(c);
    kn_tensor t = kn_scope_close(c, d, bytes_tensor(c, 100));
    bytes_tensor(c, 1000);
    t = kn_scope_close(c, b, t);
    assert_int_equal(kn_pool_live(c), 128);
    kn_scope_close(c, a, (kn_tensor){0});
    assert_int_equal(kn_pool_live(c), 0);
    assert_true(kn_ok(c));
    assert_int_equal(c->depth, 0);
}

static void test_keeping_a_view_keeps_its_block(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope s = kn_scope_open(c);
    kn_tensor t = kn_empty(c, KN_F32, KN_DIMS(8, 32));
    kn_tensor rows = kn_scope_close(c, s, kn_rows(c, t, 3, 2));
    assert_int_equal((uintptr_t)rows.data - (uintptr_t)t.data, 3 * 32 * 4);
    assert_int_equal(kn_pool_live(c), 8 * 32 * 4);
}

static void test_keeping_an_outer_tensor_leaves_it_there(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope a = kn_scope_open(c);
    kn_tensor x = bytes_tensor(c, 64);
    kn_scope b = kn_scope_open(c);
    assert_ptr_equal(kn_scope_close(c, b, x).data, x.data);
    kn_scope_close(c, a, (kn_tensor){0});
    assert_int_equal(kn_pool_live(c), 0);
}

static void test_early_free_makes_room(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope s = kn_scope_open(c);
    kn_tensor a = bytes_tensor(c, 3 * MIB);
    void *at = a.data;
    kn_free(c, &a);
    kn_tensor b = bytes_tensor(c, 3 * MIB);
    assert_ptr_equal(b.data, at);
    kn_scope_close(c, s, (kn_tensor){0});
    assert_int_equal(kn_pool_peak(c), 3 * MIB);
}

static void test_closing_out_of_order_is_an_error(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope a = kn_scope_open(c), b = kn_scope_open(c);
    bytes_tensor(c, 64);
    kn_scope_close(c, a, (kn_tensor){0});
    assert_int_equal(kn_pool_live(c), 0);
    assert_error(c, KN_EINTERNAL, "scope of depth 1 closed, expected the innermost of depth 2");
    kn_scope_close(c, b, (kn_tensor){0});
    assert_error(c, KN_EINTERNAL, "scope of depth 2 closed, expected the innermost of depth 0");
    assert_int_equal(c->depth, 0);
}

static void test_scopes_close_after_an_error(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_scope s = kn_scope_open(c);
    kn_tensor t = bytes_tensor(c, 64);
    kn_ctx_fail(c, KN_EDEVICE, "first");
    kn_ctx_fail(c, KN_EINVAL, "second");
    assert_null(kn_scope_close(c, s, t).data);
    assert_int_equal(c->depth, 0);
    kn_err err = {0};
    assert_int_equal(kn_ctx_error(c, &err), KN_EDEVICE);
    assert_string_equal(err.msg, "first");
}

static void test_freeing_a_view_or_twice_is_an_error(void **state)
{
    kn_ctx *c = &((fixture *)*state)->c;
    kn_tensor t = kn_empty(c, KN_F32, KN_DIMS(4, 16)), again = t;
    kn_tensor view = kn_rows(c, t, 1, 1);
    kn_free(c, &view);
    assert_null(view.data);
    assert_error(c, KN_EINTERNAL, "free: [1, 16] f32 is not the beginning of a live block");
    kn_free(c, &t);
    assert_true(kn_ok(c));
    kn_free(c, &again);
    assert_error(c, KN_EINTERNAL, "free: [4, 16] f32");
    kn_free(c, &t); /* the null tensor */
    assert_true(kn_ok(c));
}

/* ---- accounting ---- */

static void test_device_peak_is_weights_and_pools(void **state)
{
    fixture *f = *state;
    kn_device *dev = &f->fake->dev;
    kn_ctx second;
    assert_int_equal(kn_ctx_init(&second, dev, KN_BF16, MIB, NULL), 0);
    kn_weight *w = fake_linear_weight(dev, 100, 10);
    assert_int_equal(w->bytes, 2400);
    bytes_tensor(&f->c, 1000);
    bytes_tensor(&second, 64);
    assert_int_equal(dev->mem_pool_bytes, 1024 + 64);
    kn_weight_free(dev, w);
    bytes_tensor(&f->c, 64);
    assert_int_equal(dev->mem_weights_bytes, 0);
    assert_int_equal(dev->mem_peak_bytes, 2400 + 1024 + 64);
    kn_ctx_done(&second);
    kn_device_reset_peak(dev);
    assert_int_equal(dev->mem_peak_bytes, 1024 + 64);
    assert_int_equal(f->fake->n_weights, 0);
}

static void test_context_refuses_what_it_cannot_have(void **state)
{
    fixture *f = *state;
    kn_ctx c = {.depth = 77};
    kn_err err = {0};
    assert_int_equal(kn_ctx_init(&c, &f->fake->dev, KN_I8, 0, &err), KN_EINVAL);
    assert_int_equal(kn_ctx_init(&c, &f->fake->dev, KN_F32, 10, &err), KN_EINVAL);
    assert_int_equal(c.depth, 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_blocks_are_aligned_and_apart),
        TEST(test_neighbouring_gaps_become_one),
        TEST(test_smallest_sufficient_gap_is_taken),
        TEST(test_touched_end_counts_as_a_gap),
        TEST(test_blocks_lie_beside_what_dies_with_them),
        TEST(test_find_accepts_addresses_inside),
        TEST(test_full_pool_says_so),
        TEST(test_trim_gives_pages_back_but_keeps_data),
        TEST(test_random_traffic),
        TEST(test_scope_frees_all_but_keep),
        TEST(test_kept_tensor_dies_with_the_parent),
        TEST(test_keeping_a_view_keeps_its_block),
        TEST(test_keeping_an_outer_tensor_leaves_it_there),
        TEST(test_early_free_makes_room),
        TEST(test_closing_out_of_order_is_an_error),
        TEST(test_scopes_close_after_an_error),
        TEST(test_freeing_a_view_or_twice_is_an_error),
        TEST(test_device_peak_is_weights_and_pools),
        TEST(test_context_refuses_what_it_cannot_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
