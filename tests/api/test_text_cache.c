/* A repeated prompt does not load the text encoder, and gives the same frames. */
#include "program.h"

#define MODEL    "model" /* a copy, so that its files can be changed */
#define KNOWN    "known from an earlier run"
#define OF(text) "--model", MODEL, "--prompt", text, TINY, "--json"

static int make(void **state)
{
    if (place_make(state))
        return -1;
    shell("cp -r '%s' " MODEL " && chmod -R u+w " MODEL, FIXTURE("wan22-ti2v-5b/model"));
    return 0;
}

static void forget(void)
{
    shell("rm -rf cache");
}

/* Runs, says whether the states were known, and returns the hash. */
static const char *hash_of(outcome o, bool known, char hash[20])
{
    must_succeed(&o);
    const char *at = strstr(o.out, "\"frames_hash\":\"");
    assert_non_null(at);
    snprintf(hash, 20, "%.16s", at + strlen("\"frames_hash\":\""));
    if ((strstr(o.out, KNOWN) != NULL) != known)
        fail_msg("expected %s states: %s", known ? "known" : "new", o.out);
    outcome_done(&o);
    return hash;
}

#define generate(...) run("generate", __VA_ARGS__, "-o", "out.mp4")

static void test_repeated(void **state)
{
    (void)state;
    char first[20], hash[20];
    forget();
    hash_of(generate(OF("a cat")), false, first);
    assert_string_equal(hash_of(generate(OF("a cat")), true, hash), first);
    assert_string_not_equal(hash_of(generate(OF("a dog")), false, hash), first);
    hash_of(generate(OF("a cat"), "--negative-prompt", "blur"), false, hash);
    hash_of(generate(OF("a cat"), "--guidance", "1"), false, hash);
    hash_of(generate(OF("a cat"), "--dtype", "f32"), false, hash);
    assert_string_equal(hash_of(generate(OF("a cat")), true, hash), first);
    assert_int_equal(count_files("cache/text", ".safetensors"), 5);
    assert_int_equal(count_files("cache/text", ".part"), 0);
}

/* The plan knows what the run will find. */
static void test_planned(void **state)
{
    (void)state;
    char hash[20];
    forget();
    outcome o = run("plan", OF("a cat"));
    must_succeed(&o);
    assert_null(strstr(o.out, KNOWN));
    outcome_done(&o);
    hash_of(generate(OF("a cat")), false, hash);
    o = run("plan", OF("a cat"));
    must_succeed(&o);
    json_t *p = parse_json(o.out), *phase = json_array_get(json_object_get(p, "phases"), 0);
    assert_non_null(strstr(json_string_value(json_object_get(phase, "detail")), KNOWN));
    assert_int_equal(json_integer_value(json_object_get(phase, "weights_bytes")), 0);
    json_decref(p);
    outcome_done(&o);
}

static void test_changed_encoder(void **state)
{
    (void)state;
    char hash[20];
    forget();
    hash_of(generate(OF("a cat")), false, hash);
    shell("touch -d @1000 " MODEL "/text_encoder/*");
    hash_of(generate(OF("a cat")), false, hash);
    hash_of(generate(OF("a cat")), true, hash);
    shell("cp -rp " MODEL " moved"); /* the same files at another place */
    hash_of(run("generate", "--model", "moved", "--prompt", "a cat", TINY, "--json", "-o", "out.mp4"), true,
            hash);
}

/* Another build may encode otherwise. */
static void test_other_build(void **state)
{
    (void)state;
    char hash[20];
    forget();
    shell("cp '%s' other", KN_PROGRAM);
    hash_of(generate(OF("a cat")), false, hash);
    const char *const args[] = {"./other", "generate", OF("a cat"), "-o", "out.mp4", NULL};
    hash_of(finish(start_args(NULL, args)), false, hash);
    hash_of(finish(start_args(NULL, args)), true, hash);
}

/* What cannot be read, or holds something else, is as if it were not there. */
static void test_damaged(void **state)
{
    (void)state;
    char first[20], hash[20];
    forget();
    hash_of(generate(OF("a cat")), false, first);
    hash_of(generate(OF("a dog")), false, hash);
    shell("cd cache/text && set -- * && mv $1 x && mv $2 $1 && mv x $2"); /* as if two keys had one hash */
    assert_string_equal(hash_of(generate(OF("a cat")), false, hash), first);
    shell("for f in cache/text/*; do head -c 300 $f >cut && mv cut $f; done");
    assert_string_equal(hash_of(generate(OF("a cat")), false, hash), first);
    assert_string_equal(hash_of(generate(OF("a cat")), true, hash), first);
}

static void nowhere(void)
{
    setenv("KINORA_CACHE_DIR", "/dev/null/cache", 1);
}

static void test_unwritable(void **state)
{
    (void)state;
    char hash[20];
    for (int i = 0; i < 2; i++)
        hash_of(finish(start_args(nowhere, ARGS("generate", OF("a cat"), "-o", "out.mp4"))), false, hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated),        cmocka_unit_test(test_planned),
        cmocka_unit_test(test_changed_encoder), cmocka_unit_test(test_other_build),
        cmocka_unit_test(test_damaged),         cmocka_unit_test(test_unwritable),
    };
    return cmocka_run_group_tests(tests, make, place_remove);
}
