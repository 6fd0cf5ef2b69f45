#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kn_vfail(kn_err *err, int code, const char *fmt, va_list ap)
{
    KN_ASSERT(code < 0);
    if (err) {
        char msg[sizeof err->msg]; /* fmt's arguments may point into err->msg */
        vsnprintf(msg, sizeof msg, fmt, ap);
        for (char *p = msg; *p; p++)
            if ((unsigned char)*p < 0x20)
                *p = ' ';
        err->code = code;
        memcpy(err->msg, msg, sizeof msg);
    }
    return code;
}

int kn_fail(kn_err *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    kn_vfail(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int kn_err_prefix(kn_err *err, const char *fmt, ...)
{
    if (!err || !err->code)
        return err ? err->code : KN_EINTERNAL;
    char prefix[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    return kn_fail(err, err->code, "%s: %s", prefix, err->msg);
}

const char *kn_err_name(int code)
{
    switch (code) {
#define X(sym, value, http, exit_code, text)                                                                 \
    case sym:                                                                                                \
        return #sym;
        KN_ERR_LIST(X)
#undef X
    case 0:
        return "OK";
    default:
        return "KN_EUNKNOWN";
    }
}

int kn_err_code(const char *name)
{
#define X(sym, value, http, exit_code, text)                                                                 \
    if (strcmp(name, #sym) == 0)                                                                             \
        return sym;
    KN_ERR_LIST(X)
#undef X
    return KN_EINTERNAL;
}

const char *kn_err_text(int code)
{
    switch (code) {
#define X(sym, value, http, exit_code, text)                                                                 \
    case sym:                                                                                                \
        return text;
        KN_ERR_LIST(X)
#undef X
    case 0:
        return "ok";
    default:
        return "unknown error";
    }
}

int kn_err_http(int code)
{
    switch (code) {
#define X(sym, value, http, exit_code, text)                                                                 \
    case sym:                                                                                                \
        return http;
        KN_ERR_LIST(X)
#undef X
    case 0:
        return 200;
    default:
        return 500;
    }
}

int kn_err_exit(int code)
{
    switch (code) {
#define X(sym, value, http, exit_code, text)                                                                 \
    case sym:                                                                                                \
        return exit_code;
        KN_ERR_LIST(X)
#undef X
    case 0:
        return 0;
    default:
        return 1;
    }
}

void kn_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "kinora: internal error: %s does not hold (%s:%d)\n", cond, file, line);
    abort();
}
