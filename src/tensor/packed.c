#include "tensor/packed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parallel.h"
#include "tensor/packed_priv.h"
#include "tensor/weight.h"

/* Names and descriptions of as many items as a checkpoint has tensors, at their usual lengths. */
#define ARENA_MAX_BYTES (64ull << 20)

/* ---- sums: pieces by all cores ---- */

typedef struct sum_task {
    const char *data;
    size_t bytes;
    uint64_t *sums;
} sum_task;

static void sum_pieces(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const sum_task *t = arg;
    for (int64_t i = begin; i < end; i++) {
        size_t at = (size_t)i * KN_SAVE_PIECE, n = t->bytes - at;
        t->sums[i] = kn_hash_bulk(t->data + at, n < KN_SAVE_PIECE ? n : KN_SAVE_PIECE);
    }
}

uint64_t kn_packed_sum(uint64_t h, const void *data, size_t bytes)
{
    enum { AT_ONCE = 64 };
    uint64_t sums[AT_ONCE];
    for (size_t at = 0; at < bytes; at += (size_t)AT_ONCE * KN_SAVE_PIECE) {
        size_t n =
            bytes - at < (size_t)AT_ONCE * KN_SAVE_PIECE ? bytes - at : (size_t)AT_ONCE * KN_SAVE_PIECE;
        size_t n_pieces = (n + KN_SAVE_PIECE - 1) / KN_SAVE_PIECE;
        sum_task t = {(const char *)data + at, n, sums};
        kn_parallel_for((int64_t)n_pieces, 1, sum_pieces, &t);
        h = kn_fnv1a(h, sums, n_pieces * sizeof *sums);
    }
    return h;
}

/* ---- entries ---- */

int kn_packed_add(kn_packed *p, const kn_packed_entry *e)
{
    if (p->n_entries == p->max_entries) {
        int max = p->max_entries ? 2 * p->max_entries : 256;
        kn_packed_entry *entries =
            max > 2 * KN_LIMIT_TENSORS ? NULL : kn_realloc_array(p->entries, (size_t)max, sizeof *entries);
        if (!entries)
            return KN_ENOMEM;
        p->entries = entries;
        p->max_entries = max;
    }
    kn_packed_entry copy = *e;
    copy.name = kn_arena_strdup(&p->arena, e->name);
    copy.what = kn_arena_strdup(&p->arena, e->what);
    if (!copy.name || !copy.what)
        return KN_ENOMEM;
    p->entries[p->n_entries++] = copy;
    return 0;
}

static kn_packed_entry *find(const kn_packed *p, const char *name, const char *what)
{
    for (int i = 0; i < p->n_entries; i++) {
        kn_packed_entry *e = &p->entries[(p->next + i) % p->n_entries];
        if (!strcmp(e->name, name) && !strcmp(e->what, what))
            return e;
    }
    return NULL;
}

/* ---- the index ---- */

static json_t *hex(uint64_t v)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_string(text);
}

static uint64_t from_hex(const char *text)
{
    return text ? strtoull(text, NULL, 16) : 0;
}

char *kn_packed_index(const kn_packed *p)
{
    json_t *items = json_array();
    for (int i = 0; i < p->n_entries; i++) {
        const kn_packed_entry *e = &p->entries[i];
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:o?, s:I, s:I, s:o?}", "name", e->name, "what", e->what,
                                        "format", hex(e->format), "begin", (json_int_t)e->begin, "bytes",
                                        (json_int_t)e->bytes, "sum", hex(e->sum)));
    }
    json_t *o = json_pack("{s:s, s:o?}", "key", p->key, "items", items);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static int read_item(kn_packed *p, const json_t *item, uint64_t data_end)
{
    kn_json_reader r;
    kn_json_reader_init(&r, item, p->path);
    kn_packed_entry e = {.name = kn_json_str(&r, "name", NULL),
                         .what = kn_json_str(&r, "what", NULL),
                         .format = from_hex(kn_json_str(&r, "format", NULL)),
                         .begin = (uint64_t)kn_json_int_req(&r, "begin", KN_PACKED_ALIGN, (int64_t)data_end),
                         .bytes = (uint64_t)kn_json_int_req(&r, "bytes", 1, (int64_t)data_end),
                         .sum = from_hex(kn_json_str(&r, "sum", NULL))};
    if (r.err.code || !e.name || !e.what || e.begin % KN_PACKED_ALIGN || e.bytes > data_end - e.begin)
        return KN_EFORMAT;
    return kn_packed_add(p, &e);
}

static int read_index(kn_packed *p, const char *text, size_t bytes, uint64_t data_end)
{
    json_t *o = NULL;
    int rc = kn_json_parse(text, bytes, p->path, &o, NULL);
    const char *key = json_string_value(json_object_get(o, "key"));
    const json_t *items = json_object_get(o, "items");
    if (!rc && (!key || strcmp(key, p->key) != 0 || !json_is_array(items)))
        rc = KN_EFORMAT;
    for (size_t i = 0; i < json_array_size(items) && !rc; i++)
        rc = read_item(p, json_array_get(items, i), data_end);
    json_decref(o);
    return rc;
}

/* Negative if the file at p->path is not whole or not ours. */
static int read_file(kn_packed *p)
{
    kn_packed_header h;
    int rc = kn_map_open(&p->map, p->path, NULL);
    if (rc)
        return rc;
    if (p->map.size < KN_PACKED_ALIGN)
        return KN_EFORMAT;
    memcpy(&h, p->map.data, sizeof h);
    if (memcmp(h.magic, KN_PACKED_MAGIC, sizeof h.magic) != 0 ||
        h.sum != kn_hash_bulk(&h, offsetof(kn_packed_header, sum)) || h.file_bytes != p->map.size ||
        h.index_bytes > KN_LIMIT_JSON_FILE_BYTES || h.index_begin < KN_PACKED_ALIGN ||
        h.index_begin > p->map.size || h.index_bytes != p->map.size - h.index_begin)
        return KN_EFORMAT;
    const char *index = (const char *)p->map.data + h.index_begin;
    if (kn_hash_bulk(index, h.index_bytes) != h.index_sum)
        return KN_EFORMAT;
    return read_index(p, index, h.index_bytes, h.index_begin);
}

/* ---- reading ---- */

kn_packed *kn_packed_alloc(const char *path, const char *key)
{
    kn_packed *p = kn_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    kn_arena_init(&p->arena, ARENA_MAX_BYTES);
    p->fd = -1;
    p->path = kn_strdup(path);
    p->key = kn_strdup(key);
    if (p->key && (p->path || !path))
        return p;
    kn_packed_close(p);
    return NULL;
}

kn_packed *kn_packed_open(const char *path, const char *key)
{
    kn_packed *p = kn_packed_alloc(path, key);
    if (p && read_file(p)) {
        kn_packed_close(p);
        return NULL;
    }
    if (p)
        p->state = KN_PACKED_READING;
    return p;
}

bool kn_packed_is_recording(const kn_packed *p)
{
    return p && p->state == KN_PACKED_RECORDING;
}

bool kn_packed_is_ready(const kn_packed *p)
{
    return p && (p->state == KN_PACKED_READING || p->state == KN_PACKED_REHEARSED);
}

const void *kn_packed_find(const kn_packed *p, const char *name, const char *what, size_t *ret_bytes)
{
    const kn_packed_entry *e = p && p->state == KN_PACKED_READING ? find(p, name, what) : NULL;
    if (!e)
        return NULL;
    *ret_bytes = e->bytes;
    return p->map.data + e->begin;
}

const void *kn_packed_get(kn_packed *p, const kn_packed_item *item)
{
    kn_packed_entry *e = p && p->state == KN_PACKED_READING ? find(p, item->name, item->what) : NULL;
    if (!e)
        return NULL;
    const unsigned char *data = p->map.data + e->begin;
    bool fits = e->format == item->format && e->bytes == item->bytes;
    if (fits && !e->is_checked)
        fits = e->is_checked = kn_packed_sum(KN_FNV1A_BEGIN, data, e->bytes) == e->sum;
    if (!fits) {
        p->state = KN_PACKED_OFF; /* what was mapped already was checked */
        (void)unlink(p->path);
        return NULL;
    }
    p->next = (int)(e - p->entries) + 1;
    return data;
}
