#include "store/stmt.h"

#include <errno.h>
#include <sqlite3.h>

/* Keeps the first failure of the statement. */
static void check(kn_stmt *st, int code)
{
    if (code != SQLITE_OK && !st->err.code)
        kn_db_fail(st->db, code, &st->err);
}

void kn_stmt_init(kn_stmt *st, kn_db *db, const char *sql)
{
    *st = (kn_stmt){.db = db};
    errno = 0;
    check(st, sqlite3_prepare_v2(kn_db_handle(db), sql, -1, &st->s, NULL));
}

void kn_stmt_done(kn_stmt *st)
{
    sqlite3_finalize(st->s);
    st->s = NULL;
}

void kn_stmt_int(kn_stmt *st, int64_t v)
{
    st->n_bound++;
    if (!st->err.code)
        check(st, sqlite3_bind_int64(st->s, st->n_bound, v));
}

void kn_stmt_real(kn_stmt *st, double v)
{
    st->n_bound++;
    if (!st->err.code)
        check(st, sqlite3_bind_double(st->s, st->n_bound, v));
}

void kn_stmt_text(kn_stmt *st, const char *v)
{
    st->n_bound++;
    if (!st->err.code)
        check(st, sqlite3_bind_text(st->s, st->n_bound, v, -1, SQLITE_STATIC));
}

int kn_stmt_step(kn_stmt *st, kn_err *err)
{
    errno = 0;
    int code = st->err.code ? SQLITE_OK : sqlite3_step(st->s);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code == SQLITE_ROW;
    check(st, code);
    return kn_fail(err, st->err.code, "%s", st->err.msg);
}

int kn_stmt_run(kn_stmt *st, kn_err *err)
{
    int rc;
    while ((rc = kn_stmt_step(st, err)) > 0)
        ;
    kn_stmt_done(st);
    return rc;
}

int kn_stmt_run_int(kn_stmt *st, int64_t fallback, int64_t *ret, kn_err *err)
{
    int rc = kn_stmt_step(st, err);
    if (rc >= 0)
        *ret = rc > 0 && sqlite3_column_type(st->s, 0) != SQLITE_NULL ? sqlite3_column_int64(st->s, 0)
                                                                      : fallback;
    kn_stmt_done(st);
    return rc < 0 ? rc : 0;
}

int64_t kn_stmt_get_int(kn_stmt *st, int column)
{
    return sqlite3_column_int64(st->s, column);
}

double kn_stmt_get_real(kn_stmt *st, int column)
{
    return sqlite3_column_double(st->s, column);
}

const char *kn_stmt_get_text(kn_stmt *st, int column)
{
    if (sqlite3_column_type(st->s, column) == SQLITE_NULL)
        return NULL;
    const char *text = (const char *)sqlite3_column_text(st->s, column);
    if (!text)
        check(st, SQLITE_NOMEM);
    return text;
}
