/* The queue's tables. A step that was released is never changed: a new one is added. */
#include "jobs/queue_internal.h"

/* Checks of values are for the check of the file on opening: a damaged value is found there, not when its job is due. The
 * large columns come last: a scan does not read them. An event's number never comes again. jobs.search is the prompt, folded. */
/* clang-format off */
static const char version_1[] =
    "CREATE TABLE jobs ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " state TEXT NOT NULL,"
    " wish INTEGER NOT NULL CHECK (wish BETWEEN 0 AND 2),"
    " priority INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),"
    " place INTEGER NOT NULL CHECK (abs(place) < 1 << 62),"
    " attempt INTEGER NOT NULL,"
    " n_lost INTEGER NOT NULL,"
    " created_s REAL NOT NULL,"
    " started_s REAL NOT NULL,"
    " finished_s REAL NOT NULL,"
    " error_code INTEGER NOT NULL,"
    " error TEXT,"
    " output TEXT,"
    " thumbnail TEXT,"
    " search TEXT NOT NULL,"
    " request TEXT NOT NULL CHECK (json_valid(request)),"
    " labels TEXT CHECK (labels IS NULL OR json_valid(labels)),"
    " plan TEXT CHECK (plan IS NULL OR json_valid(plan)),"
    " result TEXT CHECK (result IS NULL OR json_valid(result))"
    ") STRICT;"
    "CREATE INDEX jobs_line ON jobs (priority DESC, place, id) WHERE " KN_SQL_IS_LIVE ";"
    "CREATE INDEX jobs_place ON jobs (place);"
    "CREATE INDEX jobs_state ON jobs (state, id);"
    "CREATE TABLE events ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " job_id TEXT NOT NULL,"
    " what TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE vals ("
    " name TEXT NOT NULL PRIMARY KEY,"
    " value TEXT NOT NULL CHECK (json_valid(value))"
    ") STRICT, WITHOUT ROWID;";

/* Webhooks. The body of a delivery comes last, for the same reason. */
static const char version_2[] =
    "CREATE TABLE webhooks ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " url TEXT NOT NULL,"
    " secret TEXT NOT NULL,"
    " states INTEGER NOT NULL,"
    " is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),"
    " why TEXT,"
    " created_s REAL NOT NULL"
    ") STRICT;"
    "CREATE TABLE deliveries ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " webhook_id TEXT NOT NULL,"
    " job_id TEXT NOT NULL,"
    " event TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " created_s REAL NOT NULL,"
    " due_s REAL NOT NULL,"
    " attempts TEXT NOT NULL CHECK (json_valid(attempts)),"
    " body TEXT NOT NULL CHECK (json_valid(body))"
    ") STRICT;"
    "CREATE INDEX deliveries_of ON deliveries (webhook_id, number);"
    "CREATE INDEX deliveries_due ON deliveries (webhook_id, due_s, number) WHERE state = 'waiting';";
/* clang-format on */

static const char *const steps[] = {version_1, version_2};

const kn_db_schema kn_queue_schema = {
    .application_id = 0x4B4E5131, /* "KNQ1" */
    .steps = steps,
    .n_steps = sizeof steps / sizeof *steps,
};
