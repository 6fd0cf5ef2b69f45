/* Which files a checkpoint was opened from, and in which state. */
#include <string.h>

#include "base/hash.h"
#include "tensor/checkpoint_priv.h"

uint64_t kn_checkpoint_place(const kn_checkpoint *ck)
{
    uint64_t h = KN_FNV1A_BEGIN;
    for (const kn_ck_map *m = ck->maps; m; m = m->next)
        h = kn_fnv1a(h, &m->map.id.inode, sizeof m->map.id.inode);
    return ck->maps ? h : 0;
}

static uint64_t add_entry(uint64_t h, const kn_checkpoint *ck, const kn_entry *e)
{
    int64_t facts[3 + KN_ENTRY_MAX_DIMS] = {e->dtype, e->n_dims, (int64_t)e->bytes};
    for (int i = 0; i < e->n_dims; i++)
        facts[3 + i] = e->dims[i];
    h = kn_fnv1a(h, e->name, strlen(e->name) + 1);
    h = kn_fnv1a(h, facts, sizeof facts);
    for (const kn_ck_map *m = ck->maps; m; m = m->next) {
        uintptr_t begin = (uintptr_t)m->map.data, at = (uintptr_t)e->data;
        uint64_t offset = at - begin;
        if (at >= begin && offset < m->map.size)
            h = kn_fnv1a(h, &offset, sizeof offset);
    }
    return e->scale ? add_entry(h, ck, e->scale) : h;
}

uint64_t kn_checkpoint_identity(const kn_checkpoint *ck)
{
    uint64_t h = KN_FNV1A_BEGIN;
    for (const kn_ck_map *m = ck->maps; m; m = m->next)
        h = kn_fnv1a(h, &m->map.id, sizeof m->map.id);
    for (int i = 0; i < ck->n_entries; i++)
        h = add_entry(h, ck, ck->entries[i]);
    return ck->maps ? h : 0;
}
