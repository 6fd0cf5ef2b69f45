/* spiece.model: SentencePiece's ModelProto. Field numbers are those of sentencepiece_model.proto. */
#include <stdlib.h>
#include <string.h>

#include "text/pipeline.h"
#include "text/protobuf.h"
#include "text/unigram.h"
#include "text/utf8.h"

enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_MODEL_TYPE = 3, TRAINER_SPACE_SUFFIX = 24, TRAINER_BYTE_FALLBACK = 35 };
enum { TRAINER_EOS_ID = 42, TRAINER_PAD_ID = 43 };
enum { NORM_CHARSMAP = 2, NORM_DUMMY_PREFIX = 3, NORM_EXTRA_SPACES = 4, NORM_ESCAPE = 5 };

static const char *const model_types[] = {"?", "Unigram", "BPE", "Word", "Char"};

/* What the file says, with the defaults of the .proto. The pieces stay in the file. */
typedef struct spm_file {
    size_t n_pieces;
    int64_t model_type, eos_id, pad_id;
    bool byte_fallback, space_suffix, dummy_prefix, extra_spaces, escape;
    const unsigned char *charsmap;
    size_t charsmap_size;
} spm_file;

static int read_trainer(spm_file *f, const kn_protobuf_field *message, kn_err *err)
{
    kn_protobuf p = {.data = message->data, .size = message->size};
    kn_protobuf_field field;
    while (kn_protobuf_next(&p, &field)) {
        if (field.wire != KN_WIRE_VARINT)
            continue;
        if (field.number == TRAINER_MODEL_TYPE)
            f->model_type = (int64_t)field.value;
        else if (field.number == TRAINER_SPACE_SUFFIX)
            f->space_suffix = field.value != 0;
        else if (field.number == TRAINER_BYTE_FALLBACK)
            f->byte_fallback = field.value != 0;
        else if (field.number == TRAINER_EOS_ID)
            f->eos_id = (int32_t)field.value;
        else if (field.number == TRAINER_PAD_ID)
            f->pad_id = (int32_t)field.value;
    }
    return p.bad ? kn_fail(err, KN_EFORMAT, "malformed trainer_spec") : 0;
}

static int read_normalizer(spm_file *f, const kn_protobuf_field *message, kn_err *err)
{
    kn_protobuf p = {.data = message->data, .size = message->size};
    kn_protobuf_field field;
    while (kn_protobuf_next(&p, &field)) {
        if (field.number == NORM_CHARSMAP && field.wire == KN_WIRE_BYTES) {
            f->charsmap = field.data;
            f->charsmap_size = field.size;
        } else if (field.wire != KN_WIRE_VARINT) {
            continue;
        } else if (field.number == NORM_DUMMY_PREFIX) {
            f->dummy_prefix = field.value != 0;
        } else if (field.number == NORM_EXTRA_SPACES) {
            f->extra_spaces = field.value != 0;
        } else if (field.number == NORM_ESCAPE) {
            f->escape = field.value != 0;
        }
    }
    return p.bad ? kn_fail(err, KN_EFORMAT, "malformed normalizer_spec") : 0;
}

static int read_file(spm_file *f, const void *data, size_t size, kn_err *err)
{
    kn_protobuf p = {.data = data, .size = size};
    kn_protobuf_field field;
    int rc = 0;
    *f = (spm_file){.model_type = 1,
                    .eos_id = 2,
                    .pad_id = -1,
                    .dummy_prefix = true,
                    .extra_spaces = true,
                    .escape = true};
    while (!rc && kn_protobuf_next(&p, &field)) {
        if (field.wire != KN_WIRE_BYTES)
            continue;
        if (field.number == MODEL_PIECES)
            f->n_pieces++;
        else if (field.number == MODEL_TRAINER)
            rc = read_trainer(f, &field, err);
        else if (field.number == MODEL_NORMALIZER)
            rc = read_normalizer(f, &field, err);
    }
    if (!rc && (p.bad || !f->n_pieces))
        rc = kn_fail(err, KN_EFORMAT,
                     "neither a tokenizer.json nor a SentencePiece model (bad at byte %zu of %zu)", p.pos,
                     size);
    if (!rc && f->model_type != 1)
        rc = kn_fail(err, KN_EUNSUPPORTED,
                     "SentencePiece model type %lld (%s) is not supported, expected Unigram",
                     (long long)f->model_type,
                     f->model_type > 0 && f->model_type < 5 ? model_types[f->model_type] : "unknown");
    return rc;
}

static int add_piece(kn_unigram *m, const kn_protobuf_field *message, size_t id, int32_t *unk_id, kn_err *err)
{
    kn_protobuf p = {.data = message->data, .size = message->size};
    kn_protobuf_field field;
    const char *text = "";
    size_t size = 0;
    double score = 0;
    uint64_t kind = KN_PIECE_NORMAL;
    while (kn_protobuf_next(&p, &field)) {
        if (field.number == PIECE_TEXT && field.wire == KN_WIRE_BYTES) {
            text = (const char *)field.data;
            size = field.size;
        } else if (field.number == PIECE_SCORE && field.wire == KN_WIRE_FIXED32) {
            score = (double)kn_protobuf_float(&field);
        } else if (field.number == PIECE_TYPE && field.wire == KN_WIRE_VARINT) {
            kind = field.value;
        }
    }
    if (p.bad || !size || memchr(text, 0, size) || kind < KN_PIECE_NORMAL || kind > KN_PIECE_BYTE)
        return kn_fail(err, KN_EFORMAT, "piece %zu is malformed (%zu bytes of text, type %llu)", id, size,
                       (unsigned long long)kind);
    if (kind == KN_PIECE_UNKNOWN && *unk_id >= 0)
        return kn_fail(err, KN_EFORMAT, "pieces %d and %zu are both the unknown piece", *unk_id, id);
    if (kind == KN_PIECE_UNKNOWN)
        *unk_id = (int32_t)id;
    return kn_unigram_add(m, text, size, score, (kn_piece_kind)kind, err);
}

/* A user-defined symbol is not normalised: the normaliser has to know it. */
static int read_user_defined(kn_trie *t, const kn_unigram *m, kn_err *err)
{
    size_t n = 0;
    kn_trie_key *keys = NULL;
    int rc = kn_unigram_user_defined(m, &keys, &n, err);
    if (!rc && n)
        rc = kn_trie_build(t, keys, n, err);
    free(keys);
    return rc;
}

static int read_pieces(const void *data, size_t size, size_t n_pieces, kn_unigram_rules rules,
                       kn_unigram **ret, kn_err *err)
{
    kn_protobuf p = {.data = data, .size = size};
    kn_protobuf_field field;
    kn_unigram *m = NULL;
    size_t id = 0;
    int rc = kn_unigram_new(n_pieces, &m, err);
    rules.unk_id = -1;
    while (!rc && kn_protobuf_next(&p, &field)) {
        if (field.number == MODEL_PIECES && field.wire == KN_WIRE_BYTES)
            rc = add_piece(m, &field, id++, &rules.unk_id, err);
    }
    if (!rc && rules.unk_id < 0)
        rc = kn_fail(err, KN_EFORMAT, "no piece of type UNKNOWN");
    if (!rc)
        rc = kn_unigram_finish(m, rules, err);
    if (rc)
        kn_unigram_free(m);
    else
        *ret = m;
    return rc;
}

/* SentencePiece as it is: one normaliser, no pre-tokenizer. */
static int fill_sentencepiece(kn_tokenizer *t, const spm_file *f, const kn_unigram *m, kn_err *err)
{
    kn_norm_step *step;
    int rc = kn_normalizer_add(&t->normalizer, KN_NORM_SPM, &step, err);
    if (rc)
        return rc;
    step->spm.add_dummy_prefix = f->dummy_prefix;
    step->spm.remove_extra_whitespaces = f->extra_spaces;
    step->spm.escape_whitespaces = f->escape;
    step->spm.whitespace_as_suffix = f->space_suffix;
    if (f->charsmap_size && (rc = kn_charsmap_init(&step->map, f->charsmap, f->charsmap_size, err)))
        return rc;
    return read_user_defined(&step->spm.user_defined, m, err);
}

/* What transformers writes into a tokenizer.json when it converts such a model. */
static int fill_converted(kn_tokenizer *t, const spm_file *f, kn_err *err)
{
    kn_norm_step *step;
    int rc;
    if (f->charsmap_size) {
        if ((rc = kn_normalizer_add(&t->normalizer, KN_NORM_CHARSMAP, &step, err)) ||
            (rc = kn_charsmap_init(&step->map, f->charsmap, f->charsmap_size, err)))
            return rc;
    }
    if ((rc = kn_normalizer_add(&t->normalizer, KN_NORM_REPLACE, &step, err)))
        return rc;
    if (!(step->content = kn_strdup(" ")))
        return kn_fail(err, KN_ENOMEM, "no memory for a normalizer");
    return kn_pattern_regex(&step->pattern, " {2,}", err);
}

static int fill(kn_tokenizer *t, const void *data, size_t size, const char *config_dir,
                kn_tokenizer_reading reading, kn_err *err)
{
    spm_file f;
    kn_unigram *m = NULL;
    bool genuine = reading == KN_TOKENIZER_AS_WRITTEN;
    int rc = read_file(&f, data, size, err);
    if (rc)
        return rc;
    kn_unigram_rules rules = {.sentencepiece = genuine, .byte_fallback = genuine && f.byte_fallback};
    if ((rc = read_pieces(data, size, f.n_pieces, rules, &m, err)))
        return rc;
    t->model = kn_unigram_model(m);
    if ((rc = genuine ? fill_sentencepiece(t, &f, m, err) : fill_converted(t, &f, err)))
        return rc;
    if (f.eos_id >= 0 && f.eos_id < (int64_t)f.n_pieces)
        t->around.suffix[t->around.n_suffix++] = (int32_t)f.eos_id;
    if (f.pad_id >= 0 && f.pad_id < (int64_t)f.n_pieces)
        t->pad_id = (int32_t)f.pad_id;
    return config_dir ? kn_tokenizer_config_added(t, config_dir, err) : 0;
}

int kn_tokenizer_from_spm(const void *data, size_t size, const char *origin, const char *config_dir,
                          kn_tokenizer_reading reading, kn_tokenizer **ret, kn_err *err)
{
    kn_tokenizer *t = kn_pipeline_new();
    if (!t)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for a tokenizer", origin);
    int rc = fill(t, data, size, config_dir, reading, err);
    if (!rc && reading == KN_TOKENIZER_TRANSFORMERS5)
        rc = kn_pipeline_transformers5(t, err);
    if (!rc)
        rc = kn_pipeline_finish(t, err);
    if (rc) {
        kn_err_prefix(err, "%s", origin);
        kn_tokenizer_close(t);
        return rc;
    }
    *ret = t;
    return 0;
}
