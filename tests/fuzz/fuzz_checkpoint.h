/* Opens a checkpoint that lies in memory and uses everything in it. */
#ifndef KN_TESTS_FUZZ_FUZZ_CHECKPOINT_H
#define KN_TESTS_FUZZ_FUZZ_CHECKPOINT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "tensor/checkpoint.h"

/* Scales may be larger than their few bytes on disk: q2_k has three elements a byte. */
enum { FUZZ_MAX_ELEMENTS = 1 << 20 };

static int fuzz_rename(void *ud, const char *name, char *out, size_t size)
{
    (void)ud;
    switch (name[0] % 4) {
    case 0:
        snprintf(out, size, "p.%s", name);
        return 0;
    case 1:
        snprintf(out, size, "%.3s", name);
        return 0;
    default:
        return name[0] % 4 - 1;
    }
}

static void fuzz_entry(kn_checkpoint *ck, const kn_entry *e)
{
    int64_t n = kn_entry_numel(e);
    KN_ASSERT(n >= 0);
    KN_ASSERT(kn_checkpoint_find(ck, e->name) == e);
    float *x = n <= FUZZ_MAX_ELEMENTS ? malloc((size_t)n * sizeof *x + 1) : NULL;
    if (x)
        KN_ASSERT(kn_entry_to_f32(e, x, NULL) == 0);
    free(x);
}

static void fuzz_checkpoint(const void *data, size_t size)
{
    kn_checkpoint *ck = NULL;
    kn_err err = {0};
    int rc = kn_checkpoint_open_memory(data, size, "fuzz", &ck, &err);
    KN_ASSERT((rc == 0) == (ck != NULL) && rc == err.code);
    if (rc)
        return;
    for (int i = 0; i < kn_checkpoint_count(ck); i++)
        fuzz_entry(ck, kn_checkpoint_at(ck, i));
    (void)kn_checkpoint_bytes(ck);
    (void)kn_checkpoint_meta(ck, "general.architecture");
    if (kn_checkpoint_rename(ck, fuzz_rename, NULL, &err) == 0)
        for (int i = 0; i < kn_checkpoint_count(ck); i++)
            KN_ASSERT(kn_checkpoint_find(ck, kn_checkpoint_at(ck, i)->name) == kn_checkpoint_at(ck, i));
    kn_checkpoint_close(ck);
}

#endif
