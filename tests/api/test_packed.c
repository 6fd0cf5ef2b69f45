/* Weights that were packed by an earlier run: nothing is converted again, and no frame changes. */
#include "program.h"

#define MODEL "model" /* a copy, so that its files can be changed */
#define LORA  FIXTURE("wan21-lora/peft.safetensors")
#define OF    "--model", MODEL, "--prompt", "a cat", TINY, "--json", "-o", "out.mp4"

static int make(void **state)
{
    if (place_make(state))
        return -1;
    shell("cp -r '%s' " MODEL " && chmod -R u+w " MODEL, FIXTURE("wan21-t2v/model"));
    return 0;
}

static void forget(void)
{
    shell("rm -rf cache");
}

typedef struct facts {
    char hash[20];
    int made, recalled; /* of the denoiser's weights */
} facts;

static facts facts_of(outcome o)
{
    facts f = {0};
    must_succeed(&o);
    char *line = strstr(o.out, "{\"generator\"");
    if (!line)
        for (line = o.out + strlen(o.out) - 1; line > o.out && line[-1] != '\n';)
            line--;
    json_t *j = parse_json(line), *timings = json_object_get(j, "timings");
    snprintf(f.hash, sizeof f.hash, "%s", json_string_value(json_object_get(j, "frames_hash")));
    for (size_t i = 0; i < json_array_size(timings); i++) {
        const json_t *t = json_array_get(timings, i);
        const char *phase = json_string_value(json_object_get(t, "phase"));
        if (strcmp(phase, "loading") != 0 && strcmp(phase, "sampling") != 0)
            continue;
        assert_non_null(json_object_get(t, "weights_made"));
        f.made += (int)json_integer_value(json_object_get(t, "weights_made"));
        f.recalled += (int)json_integer_value(json_object_get(t, "weights_recalled"));
    }
    json_decref(j);
    outcome_done(&o);
    return f;
}

#define generate(...) facts_of(run("generate", OF, __VA_ARGS__))

static void nowhere(void)
{
    setenv("KINORA_CACHE_DIR", "/dev/null/cache", 1);
}

static facts without_cache(const char *const *args)
{
    return facts_of(finish(start_args(nowhere, args)));
}

static void all_made(facts f, const char *hash)
{
    assert_true(f.made > 0);
    assert_int_equal(f.recalled, 0);
    assert_string_equal(f.hash, hash);
}

static void all_recalled(facts f, const char *hash)
{
    assert_int_equal(f.made, 0);
    assert_true(f.recalled > 0);
    assert_string_equal(f.hash, hash);
}

static void test_every_type_and_residency(void **state)
{
    (void)state;
    static const struct {
        const char *dtype, *blocks;
        bool kept;
    } cases[] = {{"int8", "2", true},  {"int8", "1", true}, {"bf16", "0", true},
                 {"bf16", "2", false}, {"f32", "1", true},  {"f32", "2", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *d = cases[i].dtype, *b = cases[i].blocks;
        forget();
        facts plain = without_cache(ARGS("generate", OF, "--dtype", d, "--resident-blocks", b));
        facts first = generate("--dtype", d, "--resident-blocks", b);
        facts second = generate("--dtype", d, "--resident-blocks", b);
        all_made(plain, plain.hash);
        assert_true(first.made > 0);
        assert_string_equal(first.hash, plain.hash);
        assert_int_equal(kn_path_exists("cache/packed") ? count_files("cache/packed", ".packed") : 0,
                         cases[i].kept);
        if (cases[i].kept)
            all_recalled(second, plain.hash);
        else
            all_made(second, plain.hash);
    }
}

/* A source that is smaller than what is made of it is packed again at each visit. */
static void test_quantised_source(void **state)
{
    (void)state;
#define GGUF                                                                                                 \
    "generate", "--model", FIXTURE("wan21-original/wan_t2v-Q4_0.gguf"), "--vae",                             \
        FIXTURE("wan21-original/wan_2.1_vae.safetensors"), "--text-encoder",                                 \
        FIXTURE("wan21-original/umt5-encoder-Q8_0.gguf"), "--config", FIXTURE("wan21-t2v/model"),            \
        "--prompt", "a cat", TINY, "--json", "-o", "out.mp4", "--resident-blocks", "0", "--dtype"
    forget();
    facts_of(run(GGUF, "bf16"));
    assert_false(kn_path_exists("cache/packed"));
    facts first = facts_of(run(GGUF, "int8"));
    all_recalled(facts_of(run(GGUF, "int8")), first.hash);
}

static void test_two_experts(void **state)
{
    (void)state;
#define A14B                                                                                                 \
    "generate", "--model", FIXTURE("wan22-t2v-a14b/model"), "--prompt", "a cat", TINY, "--json", "-o",       \
        "out.mp4"
    forget();
    facts first = facts_of(run(A14B, "--dtype", "int8"));
    all_recalled(facts_of(run(A14B, "--dtype", "int8")), first.hash);
    assert_int_equal(count_files("cache/packed", ".packed"), 2);
    facts vace = facts_of(run("generate", "--model", FIXTURE("wan21-vace/model"), "--prompt", "a cat", TINY,
                              "--json", "-o", "out.mp4", "--resident-blocks", "0"));
    all_recalled(facts_of(run("generate", "--model", FIXTURE("wan21-vace/model"), "--prompt", "a cat", TINY,
                              "--json", "-o", "out.mp4", "--resident-blocks", "0")),
                 vace.hash);
}

/* Another state of the source, a LoRA, its strength: each is made anew, and replaces what is out of date. */
static void test_stale(void **state)
{
    (void)state;
    forget();
    facts plain = generate("--dtype", "int8");
    shell("touch -d @1000 " MODEL "/transformer/*.safetensors");
    facts touched = generate("--dtype", "int8");
    all_made(touched, plain.hash);
    all_recalled(generate("--dtype", "int8"), plain.hash);
    assert_int_equal(count_files("cache/packed", ".packed"), 1);

    facts lora = generate("--dtype", "int8", "--lora", LORA ":0.7");
    assert_true(lora.made > 0 && strcmp(lora.hash, plain.hash));
    all_recalled(generate("--dtype", "int8", "--lora", LORA ":0.7"), lora.hash);
    facts stronger = generate("--dtype", "int8", "--lora", LORA ":0.8");
    assert_true(stronger.made > 0 && strcmp(stronger.hash, lora.hash));
    all_recalled(generate("--dtype", "int8"), plain.hash);

    /* one value changed, and the time set back: only the time of the change itself tells */
    shell("cp -p " MODEL "/transformer/*.safetensors was && "
          "printf '\\277' | dd of=$(echo " MODEL
          "/transformer/*.safetensors) bs=1 seek=$(($(stat -c %%s was) - 1)) "
          "conv=notrunc status=none && touch -r was " MODEL "/transformer/*.safetensors");
    facts changed = generate("--dtype", "int8");
    assert_true(changed.made > 0);
    shell("cat was >$(echo " MODEL "/transformer/*.safetensors)");
}

/* Another build may pack otherwise. */
static void test_other_build(void **state)
{
    (void)state;
    forget();
    shell("cp '%s' other", KN_PROGRAM);
    facts first = generate("--dtype", "int8");
    const char *const args[] = {"./other", "generate", OF, "--dtype", "int8", NULL};
    all_made(facts_of(finish(start_args(NULL, args))), first.hash);
    all_recalled(facts_of(finish(start_args(NULL, args))), first.hash);
    assert_int_equal(count_files("cache/packed", ".packed"), 1);
}

static void test_damaged(void **state)
{
    (void)state;
    forget();
    facts first = generate("--dtype", "int8");
    shell("for f in cache/packed/*; do printf 'xxxxxxxxxxxxxxxx' | dd of=$f bs=1 seek=8192 conv=notrunc "
          "status=none; done");
    facts damaged = generate("--dtype", "int8");
    assert_true(damaged.made > 0);
    assert_string_equal(damaged.hash, first.hash);
    assert_true(generate("--dtype", "int8").made > 0); /* made again */
    all_recalled(generate("--dtype", "int8"), first.hash);
    shell("for f in cache/packed/*; do truncate -s -1 $f; done");
    all_made(generate("--dtype", "int8"), first.hash);
    all_recalled(generate("--dtype", "int8"), first.hash);
}

static void little_files(void)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){50000, 50000});
}

static void test_nowhere_to_write(void **state)
{
    (void)state;
    forget();
    facts plain = without_cache(ARGS("generate", OF, "--dtype", "int8"));
    all_made(facts_of(finish(start_args(little_files, ARGS("generate", OF, "--dtype", "int8")))), plain.hash);
    assert_int_equal(count_files("cache/packed", ""), 0);
    shell("rm -rf cache/packed && touch cache/packed");
    all_made(generate("--dtype", "int8"), plain.hash);
    shell("rm cache/packed && mkdir cache/packed && chmod 0500 cache/packed");
    assert_string_equal(generate("--dtype", "int8").hash,
                        plain.hash); /* the superuser may write all the same */
}

/* The files that were not used for longest go. */
static void test_limit(void **state)
{
    (void)state;
    forget();
    shell("mkdir -p cache/packed && truncate -s 40G cache/packed/old.packed cache/packed/dead.packed.part && "
          "truncate -s 30G cache/packed/new.packed && touch -d @1000 cache/packed/old.packed && "
          "touch -d @2000 cache/packed/dead.packed.part && touch -d @3000 cache/packed/new.packed");
    facts first = generate("--dtype", "int8");
    assert_false(kn_path_exists("cache/packed/old.packed"));
    assert_false(kn_path_exists("cache/packed/dead.packed.part"));
    assert_true(kn_path_exists("cache/packed/new.packed"));
    all_recalled(generate("--dtype", "int8"), first.hash);
}

static void test_two_at_once(void **state)
{
    (void)state;
    forget();
    started s[3];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.mp4", i);
        s[i] = start_args(NULL, ARGS("generate", "--model", MODEL, "--prompt", "a cat", TINY, "--json", "-o",
                                     name, "--dtype", "int8"));
    }
    facts first = facts_of(finish(s[0]));
    for (int i = 1; i < 3; i++)
        assert_string_equal(facts_of(finish(s[i])).hash, first.hash);
    all_recalled(generate("--dtype", "int8"), first.hash);
    assert_int_equal(count_files("cache/packed", ""), 1);
}

/* The plan is the same before and after, but for time. */
static void test_plan(void **state)
{
    (void)state;
    forget();
    json_int_t need[2], peak[2];
    for (int i = 0; i < 2; i++) {
        outcome o = run("plan", "--model", MODEL, "--prompt", "a cat", TINY, "--dtype", "int8",
                        "--resident-blocks", "1", "--json");
        must_succeed(&o);
        json_t *j = parse_json(o.out);
        need[i] = json_integer_value(json_object_get(j, "need_bytes"));
        peak[i] = json_integer_value(json_object_get(j, "peak_bytes"));
        json_decref(j);
        outcome_done(&o);
        if (i == 0) {
            assert_false(kn_path_exists("cache/packed")); /* planning writes nothing */
            generate("--dtype", "int8", "--resident-blocks", "1");
        }
    }
    assert_true(need[0] == need[1] && peak[0] == peak[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_and_residency),
        cmocka_unit_test(test_quantised_source),
        cmocka_unit_test(test_two_experts),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_other_build),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_nowhere_to_write),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, make, place_remove);
}
