/* Errors: one list of codes, one small struct that travels up.
 *
 * A function that can fail returns 0 or a negative KN_E... code and takes a `kn_err *` last (NULL allowed).
 * It leaves its outputs untouched on failure and does not log: whoever decides what a failure means
 * (cli, server, jobs) prints `err.msg`, stores it in the job row, or sends it as the HTTP reply. */
#ifndef KN_BASE_ERR_H
#define KN_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* X(symbol, value, HTTP status, process exit code, what it means) */
#define KN_ERR_LIST(X)                                                                                       \
    X(KN_EINVAL, -1, 400, 2, "invalid argument")                                                             \
    X(KN_EFORMAT, -2, 422, 3, "malformed file")                                                              \
    X(KN_ENOTFOUND, -3, 404, 4, "not found")                                                                 \
    X(KN_EIO, -4, 500, 5, "input/output error")                                                              \
    X(KN_ENOMEM, -5, 507, 6, "out of memory")                                                                \
    X(KN_EUNSUPPORTED, -6, 501, 7, "not supported")                                                          \
    X(KN_ELIMIT, -7, 413, 8, "limit exceeded")                                                               \
    X(KN_EDEVICE, -8, 500, 9, "device error")                                                                \
    X(KN_EBUSY, -9, 409, 10, "busy")                                                                         \
    X(KN_ECANCELLED, -10, 499, 130, "cancelled")                                                             \
    X(KN_EINTERNAL, -11, 500, 70, "internal error")

enum kn_err_code {
#define X(sym, value, http, exit_code, text) sym = value,
    KN_ERR_LIST(X)
#undef X
};

typedef struct kn_err {
    int code;      /* 0 or KN_E... */
    char msg[512]; /* one line, no newline: the value found and what was expected */
} kn_err;

/* Fills *err (if not NULL) and returns `code`, so that callers write `return kn_fail(err, KN_EINVAL, ...)`. */
int kn_fail(kn_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int kn_vfail(kn_err *err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Puts "<prefix>: " before the message of an error that is being passed on; returns err->code. */
int kn_err_prefix(kn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *kn_err_name(int code); /* "KN_EINVAL"; "OK" for 0 */
int kn_err_code(const char *name); /* KN_EINTERNAL for a name that is none */
const char *kn_err_text(int code); /* "invalid argument" */
int kn_err_http(int code);         /* HTTP status, 200 for 0 */
int kn_err_exit(int code);         /* process exit code, 0 for 0 */

/* For our own mistakes only; kept in release builds. */
#define KN_ASSERT(cond)                                                                                      \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            kn_assert_failed(#cond, __FILE__, __LINE__);                                                     \
    } while (0)
_Noreturn void kn_assert_failed(const char *cond, const char *file, int line);

#endif
