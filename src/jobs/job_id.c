#include "jobs/job_id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const char prefix[] = "job_";
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { PREFIX = sizeof prefix - 1, DIGITS = 10, DIGIT_BITS = 5, PART_BITS = DIGITS * DIGIT_BITS };

#define PART_MAX ((1ull << PART_BITS) - 1)

static void write_part(uint64_t v, char *out)
{
    for (int i = DIGITS - 1; i >= 0; i--, v >>= DIGIT_BITS)
        out[i] = alphabet[v & 31];
}

static uint64_t read_part(const char *s)
{
    uint64_t v = 0;
    for (int i = 0; i < DIGITS; i++)
        v = v << DIGIT_BITS | (uint64_t)(strchr(alphabet, s[i]) - alphabet);
    return v;
}

bool kn_job_id_is_valid(const char *id)
{
    return !strncmp(id, prefix, PREFIX) && strlen(id) == PREFIX + 2 * DIGITS &&
           strspn(id + PREFIX, alphabet) == 2 * DIGITS;
}

int kn_job_ids_init(kn_job_ids *ids, const char *newest, kn_err *err)
{
    *ids = (kn_job_ids){0};
    if (!newest)
        return 0;
    if (!kn_job_id_is_valid(newest))
        return kn_fail(err, KN_EFORMAT, "a job has the id \"%.40s\", expected job_ and %d letters and digits",
                       newest, 2 * DIGITS);
    ids->last_ms = (int64_t)read_part(newest + PREFIX);
    ids->last_random = read_part(newest + PREFIX + DIGITS);
    return 0;
}

/* The upper half stays free for counting up. */
static int draw(uint64_t *ret, kn_err *err)
{
    uint64_t v;
    if (getrandom(&v, sizeof v, 0) != sizeof v)
        return kn_fail(err, KN_EIO, "the system gives no random numbers: %s", strerror(errno));
    *ret = v & PART_MAX >> 1;
    return 0;
}

int kn_job_ids_next(kn_job_ids *ids, int64_t now_ms, char ret[KN_JOB_ID_BYTES], kn_err *err)
{
    kn_job_ids next = *ids;
    int rc = 0;
    if (now_ms > ids->last_ms) {
        next.last_ms = now_ms;
        rc = draw(&next.last_random, err);
    } else if (ids->last_random < PART_MAX) {
        next.last_random++;
    } else {
        next.last_ms++;
        next.last_random = 0;
    }
    if (!rc && (uint64_t)next.last_ms > PART_MAX)
        rc = kn_fail(err, KN_ELIMIT,
                     "no ids of jobs are left: the clock or the newest job's id is from the year 37000");
    if (rc)
        return rc;
    memcpy(ret, prefix, PREFIX);
    write_part((uint64_t)next.last_ms, ret + PREFIX);
    write_part(next.last_random, ret + PREFIX + DIGITS);
    ret[PREFIX + 2 * DIGITS] = '\0';
    *ids = next;
    return 0;
}
