/* One SQLite file that one process owns: opened, checked, brought up to date.  One connection does everything, and one
 * thread at a time uses it (the caller's lock); that, and no memory map, is what SQLite's known defects ask for.
 *
 * What goes wrong becomes an error that says what to do: KN_EBUSY another process has the file; KN_EFORMAT it is damaged or
 * no file of ours; KN_EUNSUPPORTED a newer Kinora wrote it; KN_EIO the disk is full, cannot be written or read; KN_ELIMIT a
 * value is larger than KN_LIMIT_DB_VALUE_BYTES. */
#ifndef KN_STORE_DB_H
#define KN_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct kn_db kn_db;

typedef struct kn_db_schema {
    int32_t application_id; /* in the file's header: whose it is */
    const char *const
        *steps; /* steps[i] is the SQL that makes version i + 1 of version i; never changed once released */
    int n_steps;
} kn_db_schema;

/* Opens or makes the file (for the user alone, 0600). Before an older one is brought up to date it is copied to
 * PATH.vVERSION.bak. Commits are on the disk when they return (synchronous=FULL). */
int kn_db_open(const char *path, const kn_db_schema *schema, kn_db **ret, kn_err *err);
void kn_db_close(kn_db *db);
/* A copy as of now, whole or not there; replaces what `path` held. Not inside a transaction. */
int kn_db_backup(kn_db *db, const char *path, kn_err *err);

/* A transaction that writes. Whatever fails between begin and commit, commit included: kn_db_rollback, and nothing of it
 * happened. */
int kn_db_begin(kn_db *db, kn_err *err);
int kn_db_commit(kn_db *db, kn_err *err);
void kn_db_rollback(kn_db *db); /* outside a transaction: nothing */

int kn_db_exec(kn_db *db, const char *sql, kn_err *err); /* one or more statements without values */
int64_t kn_db_last_id(kn_db *db);                        /* the row id of the last INSERT */

/* For statements: fills err from the connection's last failure. errno was 0 before the call that failed. */
int kn_db_fail(kn_db *db, int sqlite_code, kn_err *err);
struct sqlite3 *kn_db_handle(kn_db *db);

#endif
