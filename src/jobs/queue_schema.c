/* The queue's tables. A step that was released is never changed: a new one is added. */
#include "jobs/queue_internal.h"

/* Checks of values are for the check of the file on opening: a damaged value is found there, not when its job is due. */
#define IS_JSON(column)         "CHECK (json_valid(" column "))"
#define IS_JSON_OR_NULL(column) "CHECK (" column " IS NULL OR json_valid(" column "))"

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
    " search TEXT NOT NULL," /* the prompt, folded */
    " request TEXT NOT NULL " IS_JSON(
        "request") "," /* the large ones last: a scan does not read them */
                   " labels TEXT " IS_JSON_OR_NULL(
                       "labels") ","
                                 " plan TEXT " IS_JSON_OR_NULL(
                                     "plan") ","
                                             " result TEXT " IS_JSON_OR_NULL(
                                                 "result") ") STRICT;"
                                                           "CREATE INDEX jobs_line ON jobs "
                                                           "(priority DESC, place, id) "
                                                           "WHERE " KN_SQL_IS_LIVE ";"
                                                           "CREATE INDEX jobs_place ON jobs "
                                                           "(place);"
                                                           "CREATE INDEX jobs_state ON jobs "
                                                           "(state, id);"
                                                           "CREATE TABLE events ("
                                                           " id INTEGER PRIMARY KEY "
                                                           "AUTOINCREMENT," /* a number never comes again */
                                                           " job_id TEXT NOT NULL,"
                                                           " what TEXT NOT NULL"
                                                           ") STRICT;"
                                                           "CREATE TABLE vals ("
                                                           " name TEXT NOT NULL PRIMARY KEY,"
                                                           " value TEXT NOT NULL " IS_JSON(
                                                               "value") ") STRICT, WITHOUT "
                                                                        "ROWID;";

static const char *const steps[] = {version_1};

const kn_db_schema kn_queue_schema = {
    .application_id = 0x4B4E5131, /* "KNQ1" */
    .steps = steps,
    .n_steps = sizeof steps / sizeof *steps,
};
