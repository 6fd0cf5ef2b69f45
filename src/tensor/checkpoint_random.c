#include "tensor/checkpoint_random.h"

#include <string.h>

#include "base/hash.h"
#include "base/parallel.h"
#include "tensor/checkpoint_priv.h"

int kn_checkpoint_random(uint64_t seed, kn_checkpoint **ret, kn_err *err)
{
    kn_checkpoint *ck;
    int rc = kn_ck_new("random weights", &ck, err);
    if (rc)
        return rc;
    ck->is_random = true;
    ck->seed = seed;
    *ret = ck;
    return 0;
}

/* A 32-bit integer hash with good avalanche: C. Wellons' "lowbias32" (2018, public domain). */
static inline uint32_t hash32(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

static uint64_t key_of(uint64_t seed, const char *name)
{
    return kn_fnv1a(seed ^ KN_FNV1A_BEGIN, name, strlen(name));
}

typedef struct fill_job {
    uint64_t key;
    float mean, std;
    kn_dtype dtype;
    void *dst;
} fill_job;

enum { BLOCK = 1 << 16 }; /* elements under one 32-bit key */

static inline float normal(uint32_t key, uint32_t i)
{
    /* four bytes: mean 4 * 127.5, variance 4 * (256^2 - 1) / 12 */
    uint32_t x = hash32(i ^ key);
    uint32_t pairs = (x & 0xff00ffu) + (x >> 8 & 0xff00ffu), sum = (pairs & 0xffffu) + (pairs >> 16);
    return ((float)(int32_t)sum - 510.0f) * (1.0f / 147.80054f);
}

/* kn_f32_to_bf16 without its case for NaN, which costs the loop its vectors. */
static inline uint16_t finite_to_bf16(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {f};
    return (uint16_t)((v.u + 0x7fffu + (v.u >> 16 & 1u)) >> 16);
}

static void fill_block(const fill_job *job, int64_t begin, int64_t n)
{
    uint64_t b = (uint64_t)(begin / BLOCK);
    uint32_t key = hash32(hash32((uint32_t)job->key + (uint32_t)b) ^ (uint32_t)(job->key >> 32));
    float mean = job->mean, std = job->std;
    if (job->dtype == KN_F32) {
        float *dst = (float *)job->dst + begin;
        for (uint32_t i = 0; i < (uint32_t)n; i++)
            dst[i] = mean + std * normal(key, i);
    } else {
        uint16_t *dst = (uint16_t *)job->dst + begin;
        for (uint32_t i = 0; i < (uint32_t)n; i++)
            dst[i] = finite_to_bf16(mean + std * normal(key, i));
    }
}

static void fill_range(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    for (int64_t at = begin; at < end; at += BLOCK)
        fill_block(arg, at, end - at < BLOCK ? end - at : BLOCK);
}

int kn_checkpoint_random_fill(const kn_checkpoint *ck, const char *name, float mean, float std,
                              kn_dtype dtype, void *dst, int64_t n, kn_err *err)
{
    if (!ck->is_random)
        return kn_fail(err, KN_EINVAL, "%s is not a random checkpoint", ck->path);
    KN_ASSERT(dtype == KN_F32 || dtype == KN_BF16);
    fill_job job = {key_of(ck->seed, name), mean, std, dtype, dst};
    kn_parallel_for(n, BLOCK, fill_range, &job);
    return 0;
}
