/* The server, killed at random moments over a busy queue: every job it accepted is completed, with the frames it would have
 * had.  KINORA_TEST_KILLS=50 for a longer run. */
#include "studio.h"

#include "base/rng.h"

enum { N_SEEDS = 3, KILLS = 8, MAX_JOBS = 512, SEED = 20261128 };

#define REQUEST                                                                                              \
    "{\"model\": \"demo\", \"prompt\": \"a blue star spins\", \"steps\": 8, \"frames\": 9, \"threads\": 1, " \
    "\"seed\": %d}"

typedef struct accepted {
    char ids[MAX_JOBS][64];
    int seeds[MAX_JOBS];
    int n;
} accepted;

/* What the frames of each seed are, from the command line. */
static void expected_hashes(char hashes[N_SEEDS][32])
{
    for (int i = 0; i < N_SEEDS; i++) {
        char seed[16];
        snprintf(seed, sizeof seed, "%d", i);
        outcome o = run("generate", "--model", "demo", "--prompt", "a blue star spins", "--steps", "8",
                        "--frames", "9", "--threads", "1", "--seed", seed, "--json", "-o", "expected.mp4");
        must_succeed(&o);
        const char *at = strstr(o.out, "\"frames_hash\":\"");
        assert_non_null(at);
        snprintf(hashes[i], 32, "%.16s", at + strlen("\"frames_hash\":\""));
        outcome_done(&o);
    }
}

/* Puts jobs in line until the server goes away or `until`; only what was acknowledged counts. */
static void keep_busy(const studio *s, accepted *jobs, double until)
{
    while (kn_clock_s() < until && jobs->n < MAX_JOBS) {
        char body[256];
        int seed = jobs->n % N_SEEDS;
        snprintf(body, sizeof body, REQUEST, seed);
        reply r = send_json(s, "POST", "/api/v1/jobs", body);
        if (r.status == 201) {
            snprintf(jobs->ids[jobs->n], sizeof *jobs->ids, "%s", text_of(r.json, "id"));
            jobs->seeds[jobs->n++] = seed;
        }
        reply_done(&r);
        usleep(400000);
    }
}

/* The whole server with its worker, as a power cut would. */
static void kill_some_time_later(kn_rng *rng, studio *s, accepted *jobs)
{
    float u;
    kn_rng_uniform(rng, &u, 1);
    double wait_s = 0.2 + 1.5 * (double)u;
    keep_busy(s, jobs, kn_clock_s() + wait_s);
    studio_kill(s);
}

static void test_killed(void **state)
{
    static accepted jobs;
    char hashes[N_SEEDS][32], data[PATH_BYTES + 8];
    const place *p = *state;
    const char *kills = getenv("KINORA_TEST_KILLS");
    int n_kills = kills ? (int)strtol(kills, NULL, 10) : KILLS;
    kn_rng rng;
    kn_rng_seed(&rng, SEED);
    expected_hashes(hashes);
    snprintf(data, sizeof data, "%s/data", p->dir);
    for (int i = 0; i < n_kills; i++) {
        studio s = studio_start(data);
        kill_some_time_later(&rng, &s, &jobs);
    }
    studio s = studio_start(data);
    /* more kills than attempts are allowed may hit one job: that it fails then is right, and retry makes it whole */
    for (int i = 0; i < jobs.n; i++) {
        json_t *job = wait_job(&s, jobs.ids[i], "completed failed");
        if (strcmp(text_of(job, "state"), "failed") == 0) {
            json_decref(job);
            reply r = act(&s, jobs.ids[i], "retry");
            expect(&r, 200);
            reply_done(&r);
            job = wait_job(&s, jobs.ids[i], "completed");
        }
        assert_string_equal(text_of(json_object_get(job, "result"), "frames_hash"), hashes[jobs.seeds[i]]);
        json_decref(job);
    }
    char folder[PATH_BYTES + 16];
    snprintf(folder, sizeof folder, "%s/outputs", s.data);
    assert_int_equal(count_files(folder, ".part"), 0);
    assert_true(count_files(folder, ".mp4") >= jobs.n);
    snprintf(folder, sizeof folder, "%s/state", s.data);
    assert_int_equal(count_files(folder, ""), 0);
    assert_true(jobs.n >= n_kills / 2);
    studio_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed, place_make, place_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
