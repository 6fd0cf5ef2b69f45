/* A statement: values in order, then its rows.  It keeps the first error, so that it is written as a list of lines and
 * checked where it is stepped.
 *
 *     kn_stmt st;
 *     kn_stmt_init(&st, db, "SELECT id FROM jobs WHERE priority > ?");
 *     kn_stmt_int(&st, 7);
 *     while ((rc = kn_stmt_step(&st, err)) > 0)
 *         ... kn_stmt_get_text(&st, 0) ...
 *     kn_stmt_done(&st); */
#ifndef KN_STORE_STMT_H
#define KN_STORE_STMT_H

#include "store/db.h"

typedef struct kn_stmt {
    kn_db *db;
    struct sqlite3_stmt *s;
    int n_bound;
    kn_err err; /* the first failure */
} kn_stmt;

void kn_stmt_init(kn_stmt *st, kn_db *db, const char *sql);
void kn_stmt_done(kn_stmt *st);

/* The next value of the statement. Text is borrowed until done; NULL is SQL's NULL. */
void kn_stmt_int(kn_stmt *st, int64_t v);
void kn_stmt_real(kn_stmt *st, double v);
void kn_stmt_text(kn_stmt *st, const char *v);

/* 1: a row; 0: no more; or an error. */
int kn_stmt_step(kn_stmt *st, kn_err *err);
/* Steps to the end and is done, also on failure. */
int kn_stmt_run(kn_stmt *st, kn_err *err);
/* As run, for one row of one number; `fallback` where there is none or it is NULL. */
int kn_stmt_run_int(kn_stmt *st, int64_t fallback, int64_t *ret, kn_err *err);

/* Columns of the row, from 0. Text is borrowed until the next step; NULL is SQL's NULL. */
int64_t kn_stmt_get_int(kn_stmt *st, int column);
double kn_stmt_get_real(kn_stmt *st, int column);
const char *kn_stmt_get_text(kn_stmt *st, int column);

#endif
