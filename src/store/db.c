#define _GNU_SOURCE
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/stmt.h"

/* Only another program's lock makes SQLite wait: one that looks into the file by hand. */
enum { BUSY_TIMEOUT_MS = 1000 };

struct kn_db {
    char *path;
    int fd; /* holds the lock of the process that owns the file */
    sqlite3 *handle;
    int version; /* of the schema of this program */
};

sqlite3 *kn_db_handle(kn_db *db)
{
    return db->handle;
}

int64_t kn_db_last_id(kn_db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

/* ---- errors ---- */

/* The newest copy that was made before an update; false if there is none. */
static bool find_backup(const kn_db *db, char *buf, size_t size)
{
    for (int v = db->version - 1; v > 0; v--) {
        snprintf(buf, size, "%s.v%d.bak", db->path, v);
        if (kn_path_exists(buf))
            return true;
    }
    return false;
}

static int fail_damaged(const kn_db *db, const char *why, kn_err *err)
{
    char backup[256];
    if (find_backup(db, backup, sizeof backup))
        return kn_fail(
            err, KN_EFORMAT,
            "%s is damaged (%.100s): put a backup in its place (%s is one), or move it away to begin "
            "with an empty one",
            db->path, why, backup);
    return kn_fail(
        err, KN_EFORMAT,
        "%s is damaged (%.100s): put a backup in its place, or move it away to begin with an empty "
        "one",
        db->path, why);
}

static bool is_disk_full(int code, int system_errno)
{
    return code == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR &&
            (system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG));
}

/* SQLite keeps the system's error of a statement, but not of a commit; that is still in errno. */
int kn_db_fail(kn_db *db, int code, kn_err *err)
{
    int system_errno = errno ? errno : sqlite3_system_errno(db->handle);
    const char *text = sqlite3_errmsg(db->handle), *path = db->path;
    if (is_disk_full(code, system_errno))
        return kn_fail(err, KN_EIO, "the disk is full, %s cannot grow: make room and try again", path);
    if (code == SQLITE_IOERR_NOMEM)
        code = SQLITE_NOMEM;
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return kn_fail(err, KN_ENOMEM, "no memory to work with %s", path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return kn_fail(err, KN_EIO, "cannot read or write %s: %s (%s)", path,
                       system_errno ? strerror(system_errno) : text, sqlite3_errstr(code));
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return kn_fail(err, KN_EIO, "%s cannot be written: make the file and its folder writable", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return kn_fail(err, KN_EBUSY, "%s is in use by another program: close that first", path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail_damaged(db, text, err);
    case SQLITE_TOOBIG:
        return kn_fail(err, KN_ELIMIT, "a value for %s is larger than the limit of %d bytes", path,
                       (int)KN_LIMIT_DB_VALUE_BYTES);
    default:
        return kn_fail(err, KN_EINTERNAL, "%s: %s", path, text);
    }
}

/* ---- statements without values ---- */

int kn_db_exec(kn_db *db, const char *sql, kn_err *err)
{
    errno = 0;
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : kn_db_fail(db, code, err);
}

int kn_db_begin(kn_db *db, kn_err *err)
{
    return kn_db_exec(db, "BEGIN IMMEDIATE", err);
}

int kn_db_commit(kn_db *db, kn_err *err)
{
    return kn_db_exec(db, "COMMIT", err);
}

void kn_db_rollback(kn_db *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

static int read_int(kn_db *db, const char *sql, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, sql);
    return kn_stmt_run_int(&st, 0, ret, err);
}

/* ---- backup ---- */

/* An empty file is what VACUUM INTO accepts, and this one is for the user alone. */
static int make_empty(const char *path, kn_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return kn_fail(err, KN_EIO, "cannot write %s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

int kn_db_backup(kn_db *db, const char *path, kn_err *err)
{
    char *part = kn_asprintf("%s.part", path);
    if (!part)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    int rc = make_empty(part, err);
    if (!rc) {
        kn_stmt st;
        kn_stmt_init(&st, db, "VACUUM INTO ?");
        kn_stmt_text(&st, part);
        rc = kn_stmt_run(&st, err);
    }
    if (!rc)
        rc = kn_commit_path(part, path, err);
    if (rc) {
        (void)unlink(part);
        kn_err_prefix(err, "no copy at %s", path);
    }
    free(part);
    return rc;
}

/* ---- opening ---- */

/* The lock is flock's: unlike SQLite's own it is had at once or not at all, and also refuses a second connection of this
 * process. */
static int own(kn_db *db, kn_err *err)
{
    db->fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (db->fd < 0)
        return kn_fail(err, KN_EIO, "cannot open %s: %s", db->path, strerror(errno));
    if (!flock(db->fd, LOCK_EX | LOCK_NB))
        return 0;
    return errno == EWOULDBLOCK
               ? kn_fail(err, KN_EBUSY, "%s is in use by another Kinora: stop that first", db->path)
               : kn_fail(err, KN_EIO, "cannot lock %s: %s", db->path, strerror(errno));
}

static int connect(kn_db *db, kn_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    errno = 0;
    int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (!db->handle)
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", db->path);
    if (code != SQLITE_OK)
        return kn_db_fail(db, code, err);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, (int)KN_LIMIT_DB_VALUE_BYTES);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Exclusive before the first access: then no shared memory is used, and nobody else gets in. */
    return kn_db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;",
                      err);
}

/* Whose file it is, before anything is written. */
static int identify(kn_db *db, const kn_db_schema *schema, int *ret_version, kn_err *err)
{
    int64_t id, version, n_tables;
    int rc = read_int(db, "PRAGMA application_id", &id, err);
    if (!rc)
        rc = read_int(db, "PRAGMA user_version", &version, err);
    if (!rc)
        rc = read_int(db, "SELECT count(*) FROM sqlite_schema", &n_tables, err);
    if (rc)
        return rc;
    bool is_new = n_tables == 0 && id == 0 && version == 0;
    if (!is_new && id != schema->application_id)
        return kn_fail(err, KN_EFORMAT,
                       "%s is a database of another program (application id %lld, expected %d)", db->path,
                       (long long)id, (int)schema->application_id);
    if (!is_new && version < 1)
        return kn_fail(err, KN_EFORMAT, "%s has version %lld, expected 1 to %d", db->path, (long long)version,
                       schema->n_steps);
    if (version > schema->n_steps)
        return kn_fail(
            err, KN_EUNSUPPORTED,
            "%s was written by a newer Kinora (version %lld of the file, this one knows up to %d): "
            "update Kinora",
            db->path, (long long)version, schema->n_steps);
    *ret_version = (int)version;
    return 0;
}

static int configure(kn_db *db, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "PRAGMA journal_mode=WAL");
    int rc = kn_stmt_step(&st, err);
    const char *mode = rc > 0 ? kn_stmt_get_text(&st, 0) : NULL;
    if (rc >= 0)
        rc =
            mode && !strcmp(mode, "wal")
                ? 0
                : kn_fail(err, KN_EIO, "%s has journal mode %s, expected wal: is its folder on a local disk?",
                          db->path, mode ? mode : "unknown");
    kn_stmt_done(&st);
    /* A log that grew large once is cut again when it is written into the file. */
    return rc ? rc : kn_db_exec(db, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;", err);
}

static int check(kn_db *db, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "PRAGMA quick_check(1)");
    int rc = kn_stmt_step(&st, err);
    const char *found = rc > 0 ? kn_stmt_get_text(&st, 0) : NULL;
    if (rc >= 0)
        rc = found && !strcmp(found, "ok") ? 0 : fail_damaged(db, found ? found : "no answer", err);
    kn_stmt_done(&st);
    return rc;
}

/* One step, and the version that says it was taken, both or neither. */
static int migrate(kn_db *db, const kn_db_schema *schema, int from, kn_err *err)
{
    char version[96];
    snprintf(version, sizeof version, "PRAGMA user_version=%d; PRAGMA application_id=%d;", from + 1,
             (int)schema->application_id);
    int rc = kn_db_begin(db, err);
    if (!rc)
        rc = kn_db_exec(db, schema->steps[from], err);
    if (!rc)
        rc = kn_db_exec(db, version, err);
    if (!rc)
        rc = kn_db_commit(db, err);
    if (rc) {
        kn_db_rollback(db);
        kn_err_prefix(err, "bringing %s from version %d to %d", db->path, from, from + 1);
    }
    return rc;
}

static int update(kn_db *db, const kn_db_schema *schema, int version, kn_err *err)
{
    int rc = 0;
    if (version > 0 && version < schema->n_steps) {
        char *backup = kn_asprintf("%s.v%d.bak", db->path, version);
        rc = backup ? kn_db_backup(db, backup, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
        free(backup);
    }
    for (int v = version; !rc && v < schema->n_steps; v++)
        rc = migrate(db, schema, v, err);
    /* Only now: a step that rebuilds a table must not take away what refers to it. */
    return rc ? rc : kn_db_exec(db, "PRAGMA foreign_keys=ON", err);
}

int kn_db_open(const char *path, const kn_db_schema *schema, kn_db **ret, kn_err *err)
{
    int version = 0;
    kn_db *db = kn_calloc(1, sizeof *db);
    if (!db)
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", path);
    db->fd = -1;
    db->version = schema->n_steps;
    /* SQLite gives some relative names (":memory:", "file:...") a meaning of their own. */
    db->path = kn_asprintf(*path == '/' ? "%s" : "./%s", path);
    int rc = db->path ? own(db, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        rc = connect(db, err);
    if (!rc)
        rc = identify(db, schema, &version, err);
    if (!rc)
        rc = configure(db, err);
    if (!rc)
        rc = check(db, err);
    if (!rc)
        rc = update(db, schema, version, err);
    if (!rc)
        *ret = db;
    else
        kn_db_close(db);
    return rc;
}

void kn_db_close(kn_db *db)
{
    if (!db)
        return;
    sqlite3_close(db->handle);
    if (db->fd >= 0)
        close(db->fd);
    free(db->path);
    free(db);
}
