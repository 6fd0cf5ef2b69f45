/* SentencePiece models, good and bad, built field by field. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

static void put_varint(kn_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        kn_buf_append(b, &(char){(char)(v | 0x80)}, 1);
    kn_buf_append(b, &(char){(char)v}, 1);
}

static void put_field(kn_buf *b, unsigned number, uint64_t v)
{
    put_varint(b, number << 3);
    put_varint(b, v);
}

static void put_bytes(kn_buf *b, unsigned number, const void *data, size_t size)
{
    put_varint(b, number << 3 | 2);
    put_varint(b, size);
    kn_buf_append(b, data, size);
}

static void put_piece(kn_buf *b, const char *text, float score, kn_piece_kind kind)
{
    kn_buf piece;
    kn_buf_init(&piece, 4096);
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    kn_buf_append(&piece, &score, sizeof score);
    put_field(&piece, 3, kind);
    put_bytes(b, 1, piece.data, piece.size);
    kn_buf_done(&piece);
}

/* trainer_spec with one varint field beside eos_id = 1; normalizer_spec likewise. */
static void put_specs(kn_buf *b, unsigned trainer_field, uint64_t trainer_value, unsigned norm_field,
                      uint64_t norm_value)
{
    kn_buf spec;
    kn_buf_init(&spec, 64);
    put_field(&spec, 42, 1);
    put_field(&spec, trainer_field, trainer_value);
    put_bytes(b, 2, spec.data, spec.size);
    spec.size = 0;
    put_field(&spec, norm_field, norm_value);
    put_bytes(b, 3, spec.data, spec.size);
    kn_buf_done(&spec);
}

static void put_vocabulary(kn_buf *b)
{
    put_piece(b, "<unk>", 0, KN_PIECE_UNKNOWN);
    put_piece(b, "</s>", 0, KN_PIECE_CONTROL);
    put_piece(b, "\u2581", -2, KN_PIECE_NORMAL);     /* 2 */
    put_piece(b, "a", -3, KN_PIECE_NORMAL);          /* 3 */
    put_piece(b, "b", -3, KN_PIECE_NORMAL);          /* 4 */
    put_piece(b, "ab", -4, KN_PIECE_NORMAL);         /* 5 */
    put_piece(b, "[x]", -50, KN_PIECE_USER_DEFINED); /* 6 */
    put_piece(b, "ba", 0, KN_PIECE_UNUSED);          /* 7 */
}

static void check(kn_buf *b, const char *text, const char *expected)
{
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    int32_t *ids = NULL;
    int n = 0;
    kn_buf found;
    kn_buf_init(&found, 4096);
    if (kn_tokenizer_open_memory(b->data, b->size, "spiece.model", &t, &err) ||
        kn_tokenizer_encode(t, text, 512, &ids, &n, &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < n; i++)
        kn_buf_printf(&found, i ? " %d" : "%d", ids[i]);
    assert_string_equal(found.data, expected);
    kn_buf_done(&found);
    free(ids);
    kn_tokenizer_close(t);
}

static void refuse(kn_buf *b, int code, const char *says)
{
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    int rc = kn_tokenizer_open_memory(b->data, b->size, "spiece.model", &t, &err);
    if (rc != code || !strstr(err.msg, says))
        fail_msg("code %d, \"%s\"; expected %d and \"%s\"", rc, err.msg, code, says);
    assert_null(t);
    kn_buf_done(b);
}

static void rules_of_spaces(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 1 << 16);
    put_vocabulary(&b);
    check(&b, "  ab   a ", "2 5 2 3 2"); /* without a trainer_spec, eos_id is 2 */
    put_specs(&b, 3, 1, 4, 0);           /* keep every space */
    check(&b, " a  ", "2 2 3 2 2 1");
    kn_buf_done(&b);

    kn_buf_init(&b, 1 << 16);
    put_vocabulary(&b);
    put_specs(&b, 3, 1, 3, 0); /* no space in front */
    check(&b, "ab", "5 1");
    check(&b, "", "1");
    kn_buf_done(&b);

    kn_buf_init(&b, 1 << 16);
    put_vocabulary(&b);
    put_specs(&b, 24, 1, 4, 1); /* spaces end words */
    check(&b, "ab", "5 2 1");
    kn_buf_done(&b);
}

static void kinds_of_pieces(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 1 << 16);
    put_vocabulary(&b);
    put_specs(&b, 3, 1, 4, 1);
    check(&b, "ba", "2 4 3 1");      /* an unused piece does not match */
    check(&b, "</s>", "2 0 1");      /* nor does a control piece; unknown characters fuse */
    check(&b, "a[x]b", "2 3 6 4 1"); /* a user-defined symbol wins whatever its score */
    kn_buf_done(&b);
}

static void refuses(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 1 << 16);
    put_vocabulary(&b);
    put_specs(&b, 3, 2, 4, 1);
    refuse(&b, KN_EUNSUPPORTED, "BPE");

    put_vocabulary(&b);
    put_piece(&b, "x", NAN, KN_PIECE_NORMAL);
    refuse(&b, KN_EFORMAT, "piece 8 has score");

    put_vocabulary(&b);
    put_piece(&b, "x", 0, KN_PIECE_UNKNOWN);
    refuse(&b, KN_EFORMAT, "pieces 0 and 8");

    put_piece(&b, "x", 0, KN_PIECE_NORMAL);
    refuse(&b, KN_EFORMAT, "UNKNOWN");

    put_vocabulary(&b);
    put_piece(&b, "", 0, KN_PIECE_NORMAL);
    refuse(&b, KN_EFORMAT, "piece 8");

    put_varint(&b, 1 << 3 | 2);
    put_varint(&b, UINT64_MAX); /* a length beyond everything */
    refuse(&b, KN_EFORMAT, "neither");

    kn_buf_puts(&b, "not a model");
    refuse(&b, KN_EFORMAT, "neither");
}

/* A model cut anywhere is refused or, where a whole field ended there, still works. */
static void truncated_anywhere(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size;
    assert_int_equal(
        kn_file_read(KN_FIXTURES "/wan21-t2v/model/tokenizer/spiece.model", 1 << 20, &data, &size, NULL), 0);
    for (size_t n = 0; n < size; n += n < 300 ? 1 : 37) {
        kn_tokenizer *t = NULL;
        int32_t *ids = NULL;
        int n_ids;
        if (kn_tokenizer_open_memory(data, n, "spiece.model", &t, NULL))
            continue;
        assert_int_equal(kn_tokenizer_encode(t, "a cat \u00E9", 16, &ids, &n_ids, NULL), 0);
        free(ids);
        kn_tokenizer_close(t);
    }
    free(data);
}

static void missing_files(void **state)
{
    (void)state;
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    assert_int_equal(kn_tokenizer_open(KN_FIXTURES "/text", &t, &err), KN_ENOTFOUND);
    assert_non_null(strstr(err.msg, "no tokenizer.json"));
    assert_int_equal(kn_tokenizer_open(KN_FIXTURES "/no-such-file", &t, &err), KN_ENOTFOUND);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_spaces),    cmocka_unit_test(kinds_of_pieces), cmocka_unit_test(refuses),
        cmocka_unit_test(truncated_anywhere), cmocka_unit_test(missing_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
