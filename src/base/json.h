/* JSON through jansson, with the checks every reader of a config needs: a type error names the file, the key,
 * the value and what was expected. */
#ifndef KN_BASE_JSON_H
#define KN_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Parses strictly (no duplicate keys, valid UTF-8); `origin` names the source in messages. Caller json_decref()s. */
int kn_json_parse(const char *text, size_t size, const char *origin, json_t **ret, kn_err *err);
int kn_json_load(const char *path, json_t **ret, kn_err *err); /* KN_LIMIT_JSON_FILE_BYTES */

/* "a|b|c" as ["a", "b", "c"]. NULL without memory. */
json_t *kn_choices_to_json(const char *choices);
/* A string for people, from a message that may quote a file's name: JSON holds UTF-8 only, of other text each byte that is not
 * ASCII becomes '?'. NULL without memory. */
json_t *kn_json_text(const char *text);

/* A cursor over one object that remembers where it came from and keeps the first error, so that a config is read
 * as a list of lines and checked once at the end. A key that is absent or null yields `fallback`; the _req forms
 * make that an error. Values out of [min, max] are errors. */
typedef struct kn_json_reader {
    const json_t *obj;
    const char *origin; /* borrowed: "transformer/config.json" */
    kn_err err;         /* first failure; code 0 while all is well */
} kn_json_reader;

void kn_json_reader_init(kn_json_reader *r, const json_t *obj, const char *origin);
bool kn_json_has(const kn_json_reader *r, const char *key); /* present and not null */
int64_t kn_json_int(kn_json_reader *r, const char *key, int64_t fallback, int64_t min, int64_t max);
int64_t kn_json_int_req(kn_json_reader *r, const char *key, int64_t min, int64_t max);
double kn_json_real(kn_json_reader *r, const char *key, double fallback, double min, double max);
bool kn_json_bool(kn_json_reader *r, const char *key, bool fallback);
/* Borrowed from the object; fallback may be NULL. */
const char *kn_json_str(kn_json_reader *r, const char *key, const char *fallback);
/* Arrays: returns the count (at most max_n, more is an error), 0 if absent. */
int kn_json_ints(kn_json_reader *r, const char *key, int64_t *out, int max_n, int64_t min, int64_t max);
int kn_json_reals(kn_json_reader *r, const char *key, double *out, int max_n);
int kn_json_bools(kn_json_reader *r, const char *key, bool *out, int max_n);

#endif
