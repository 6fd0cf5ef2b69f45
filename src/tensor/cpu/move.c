#include "tensor/cpu/kernels.h"

#include <string.h>

#include "base/parallel.h"

/* Bytes a thread takes at least: below this starting threads costs more than the work. */
enum { GRAIN_BYTES = 65536 };
/* A transpose moves tiles of this many elements, square where both sides are long enough: both stay in the
 * first-level cache. */
enum { TILE_SIDE = 16, TILE_ELEMENTS = TILE_SIDE * TILE_SIDE };

/* ---- strided rows: concat, slice ---- */

typedef struct row_copy {
    char *dst;
    const char *src;
    size_t dst_stride, src_stride, bytes; /* of a row */
} row_copy;

static void run_row_copy(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const row_copy *t = arg;
    for (int64_t r = begin; r < end; r++)
        memcpy(t->dst + (size_t)r * t->dst_stride, t->src + (size_t)r * t->src_stride, t->bytes);
}

static void run_byte_copy(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const row_copy *t = arg;
    memcpy(t->dst + begin, t->src + begin, (size_t)(end - begin));
}

static void copy_rows(row_copy *t, int64_t n_rows)
{
    if (t->bytes == 0)
        return;
    if (t->bytes < GRAIN_BYTES) {
        kn_parallel_for(n_rows, (int64_t)(GRAIN_BYTES / t->bytes), run_row_copy, t);
        return;
    }
    row_copy row = *t;
    for (int64_t r = 0; r < n_rows; r++) {
        kn_parallel_for((int64_t)t->bytes, GRAIN_BYTES, run_byte_copy, &row);
        row.dst += t->dst_stride;
        row.src += t->src_stride;
    }
}

/* Bytes of one step along `axis - 1`: dims axis and inward. */
static size_t inner_bytes(kn_tensor t, int axis)
{
    size_t bytes = (size_t)kn_dtype_block_bytes(t.dtype);
    for (int i = axis; i < t.n_dims; i++)
        bytes *= (size_t)t.dims[i];
    return bytes;
}

static int64_t outer_count(kn_tensor t, int axis)
{
    int64_t n = 1;
    for (int i = 0; i < axis; i++)
        n *= t.dims[i];
    return n;
}

int kn_cpu_concat(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs, kn_err *err)
{
    (void)dev;
    (void)err;
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        size_t bytes = inner_bytes(xs[i], axis);
        row_copy t = {(char *)dst.data + at, xs[i].data, inner_bytes(dst, axis), bytes, bytes};
        copy_rows(&t, outer_count(dst, axis));
        at += bytes;
    }
    return 0;
}

int kn_cpu_slice(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin, kn_err *err)
{
    (void)dev;
    (void)err;
    size_t bytes = inner_bytes(dst, axis);
    row_copy t = {dst.data, (const char *)src.data + (size_t)begin * inner_bytes(src, axis + 1), bytes,
                  inner_bytes(src, axis), bytes};
    copy_rows(&t, outer_count(dst, axis));
    return 0;
}

/* ---- repeat ---- */

typedef struct repeat_task {
    kn_tensor dst, src;
    int r;
} repeat_task;

static void run_repeat(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const repeat_task *t = arg;
    if (kn_dtype_block_bytes(t->src.dtype) == 2) {
        const uint16_t *src = t->src.data;
        uint16_t *dst = (uint16_t *)t->dst.data + begin * t->r;
        for (int64_t i = begin; i < end; i++)
            for (int j = 0; j < t->r; j++)
                *dst++ = src[i];
    } else {
        const uint32_t *src = t->src.data;
        uint32_t *dst = (uint32_t *)t->dst.data + begin * t->r;
        for (int64_t i = begin; i < end; i++)
            for (int j = 0; j < t->r; j++)
                *dst++ = src[i];
    }
}

int kn_cpu_repeat_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int r, kn_err *err)
{
    (void)dev;
    (void)err;
    repeat_task t = {dst, src, r};
    kn_parallel_for(kn_numel(src), GRAIN_BYTES / 4 / r, run_repeat, &t);
    return 0;
}

/* ---- permute ---- */

/* A permutation after neighbouring dimensions that stay together were merged and those of size 1 dropped. */
typedef struct permutation {
    int n;
    int64_t size[KN_MAX_DIMS];      /* of the result's dimensions */
    int64_t from[KN_MAX_DIMS];      /* elements between neighbours along that dimension in the source */
    int64_t to[KN_MAX_DIMS];        /* the same in the result */
    int across;                     /* the dimension that is innermost in the source */
    int64_t side_across, side_last; /* of a tile */
    int64_t tiles_across, tiles_last;
    size_t elem;
    char *dst;
    const char *src;
} permutation;

static void permutation_init(permutation *p, kn_tensor dst, kn_tensor src, const int *perm)
{
    int64_t stride[KN_MAX_DIMS], s = 1;
    for (int i = src.n_dims - 1; i >= 0; i--) {
        stride[i] = s;
        s *= src.dims[i];
    }
    *p = (permutation){.elem = (size_t)kn_dtype_block_bytes(src.dtype), .dst = dst.data, .src = src.data};
    for (int i = 0; i < src.n_dims; i++) {
        int64_t size = src.dims[perm[i]], from = stride[perm[i]];
        if (size == 1)
            continue;
        if (p->n > 0 && p->from[p->n - 1] == from * size) {
            p->size[p->n - 1] *= size;
            p->from[p->n - 1] = from;
        } else {
            p->size[p->n] = size;
            p->from[p->n++] = from;
        }
    }
    if (p->n == 0) {
        p->n = 1;
        p->size[0] = p->from[0] = 1;
    }
    for (int i = p->n - 1; i >= 0; i--) {
        p->to[i] = i == p->n - 1 ? 1 : p->to[i + 1] * p->size[i + 1];
        if (p->from[i] == 1)
            p->across = i;
    }
}

/* Offsets in elements of the index-th combination of the dimensions below n except `skip`. */
static void permutation_at(const permutation *p, int n, int skip, int64_t index, int64_t *from, int64_t *to)
{
    *from = *to = 0;
    for (int i = n - 1; i >= 0; i--) {
        if (i == skip)
            continue;
        int64_t k = index % p->size[i];
        index /= p->size[i];
        *from += k * p->from[i];
        *to += k * p->to[i];
    }
}

/* The innermost dimension stays: whole rows are copied. */
static void run_permute_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const permutation *p = arg;
    size_t bytes = (size_t)p->size[p->n - 1] * p->elem;
    for (int64_t r = begin; r < end; r++) {
        int64_t from, to;
        permutation_at(p, p->n - 1, -1, r, &from, &to);
        memcpy(p->dst + (size_t)to * p->elem, p->src + (size_t)from * p->elem, bytes);
    }
}

#define TRANSPOSE(type)                                                                                      \
    static void transpose_##type(type *dst, int64_t dst_stride, const type *src, int64_t src_stride,         \
                                 int64_t n_dst_rows, int64_t n_src_rows)                                     \
    {                                                                                                        \
        for (int64_t i = 0; i < n_dst_rows; i++)                                                             \
            for (int64_t j = 0; j < n_src_rows; j++)                                                         \
                dst[i * dst_stride + j] = src[j * src_stride + i];                                           \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

static void transpose_tile(const permutation *p, int64_t from, int64_t to, int64_t n_dst_rows,
                           int64_t n_src_rows)
{
    char *dst = p->dst + (size_t)to * p->elem;
    const char *src = p->src + (size_t)from * p->elem;
    int64_t ds = p->to[p->across], ss = p->from[p->n - 1];
    switch (p->elem) {
    case 1:
        transpose_uint8_t((uint8_t *)dst, ds, (const uint8_t *)src, ss, n_dst_rows, n_src_rows);
        break;
    case 2:
        transpose_uint16_t((void *)dst, ds, (const void *)src, ss, n_dst_rows, n_src_rows);
        break;
    case 4:
        transpose_uint32_t((void *)dst, ds, (const void *)src, ss, n_dst_rows, n_src_rows);
        break;
    default:
        transpose_uint64_t((void *)dst, ds, (const void *)src, ss, n_dst_rows, n_src_rows);
        break;
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void choose_tiles(permutation *p)
{
    int64_t across = p->size[p->across], last = p->size[p->n - 1];
    p->side_across = smaller(across, TILE_SIDE);
    p->side_last = smaller(last, TILE_ELEMENTS / p->side_across);
    p->side_across = smaller(across, TILE_ELEMENTS / p->side_last);
    p->tiles_across = (across + p->side_across - 1) / p->side_across;
    p->tiles_last = (last + p->side_last - 1) / p->side_last;
}

/* Tiles of the two dimensions that are innermost on one side each. */
static void run_permute_tiles(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const permutation *p = arg;
    int last = p->n - 1;
    for (int64_t k = begin; k < end; k++) {
        int64_t l = k % p->tiles_last * p->side_last, from, to;
        int64_t a = k / p->tiles_last % p->tiles_across * p->side_across;
        permutation_at(p, last, p->across, k / p->tiles_last / p->tiles_across, &from, &to);
        from += a + l * p->from[last];
        to += a * p->to[p->across] + l;
        transpose_tile(p, from, to, smaller(p->side_across, p->size[p->across] - a),
                       smaller(p->side_last, p->size[last] - l));
    }
}

int kn_cpu_permute(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err)
{
    (void)dev;
    (void)err;
    permutation p;
    permutation_init(&p, dst, src, perm);
    int64_t n = kn_numel(src), last = p.size[p.n - 1];
    if (n == 0)
        return 0;
    if (p.from[p.n - 1] == 1) {
        int64_t grain = GRAIN_BYTES / (last * (int64_t)p.elem);
        kn_parallel_for(n / last, grain, run_permute_rows, &p);
        return 0;
    }
    choose_tiles(&p);
    int64_t outer = n / last / p.size[p.across];
    kn_parallel_for(outer * p.tiles_across * p.tiles_last, GRAIN_BYTES / (TILE_ELEMENTS * 4),
                    run_permute_tiles, &p);
    return 0;
}
