#include "pipeline/derive/index/index_db.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/derive/index/index_vfs.h"
#include <sqlite3.h>

/* Another connection of this process writes at the same time only while it opens the file. */
#define BUSY_MS 5000
/* Pages in the journal when they are moved to the file. */
#define JOURNAL_PAGES "16384"

struct index_db {
    sqlite3 *sqlite;
};

static int err_from_sqlite(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return OK;
    case SQLITE_NOMEM:
        (void)fputs("out of memory\n", stderr);
        abort();
    case SQLITE_IOERR_DATA: /* a page's checksum */
    case SQLITE_IOERR_SHORT_READ:
        return ERR_CORRUPT;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* what is asked is always the same: a table is missing */
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
        return ERR_CORRUPT;
    default:
        return ERR_AGAIN;
    }
}

int index_db_run(struct index_db *db, const char *sql)
{
    return err_from_sqlite(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

static int prepare(struct index_db *db, size_t cache_bytes)
{
    int reserved = INDEX_PAGE_RESERVED;
    (void)sqlite3_extended_result_codes(db->sqlite, 1);
    (void)sqlite3_busy_timeout(db->sqlite, BUSY_MS);
    int code = sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    if (code != SQLITE_OK)
        return err_from_sqlite(code);
    char cache[64];
    (void)snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%zu;", cache_bytes / KIB + 1);
    int err = index_db_run(db, cache);
    /* A commit need not be durable, for the log is; but what is there after a power failure is
     * to be whole. */
    return err != OK ? err
                     : index_db_run(db, "PRAGMA page_size=4096;"
                                        "PRAGMA journal_mode=WAL;"
                                        "PRAGMA synchronous=NORMAL;"
                                        "PRAGMA temp_store=MEMORY;"
                                        "PRAGMA wal_autocheckpoint=" JOURNAL_PAGES ";");
}

int index_db_open(const char *path, size_t cache_bytes, struct index_db **out)
{
    const char *vfs = index_vfs();
    if (vfs == NULL)
        return ERR_AGAIN;
    struct index_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        abort();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int err = err_from_sqlite(sqlite3_open_v2(path, &db->sqlite, flags, vfs));
    if (err == OK)
        err = prepare(db, cache_bytes);
    if (err != OK) {
        index_db_close(db);
        return err;
    }
    *out = db;
    return OK;
}

void index_db_close(struct index_db *db)
{
    if (db == NULL)
        return;
    int code = sqlite3_close(db->sqlite);
    assert(code == SQLITE_OK);
    (void)code;
    free(db);
}

void index_db_leave(struct index_db *db)
{
    int persist = 1;
    (void)sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
}

void index_db_remove(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        AUTO_BUF name = {0};
        buf_printf(&name, "%s%s", path, ends[i]);
        buf_append(&name, "", 1);
        (void)remove((const char *)name.data);
    }
}

const char *index_db_why(struct index_db *db)
{
    return sqlite3_errmsg(db->sqlite);
}

uint64_t index_db_changed(struct index_db *db)
{
    return (uint64_t)sqlite3_changes(db->sqlite);
}

/* ---- statements ---- */

static sqlite3_stmt *statement(struct index_query *query)
{
    return (sqlite3_stmt *)query;
}

int index_query_open(struct index_db *db, const char *sql, struct index_query **out)
{
    sqlite3_stmt *made = NULL;
    int code = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
    if (code != SQLITE_OK)
        return err_from_sqlite(code);
    *out = (struct index_query *)made;
    return OK;
}

void index_query_close(struct index_query *query)
{
    (void)sqlite3_finalize(statement(query));
}

static void must_bind(int code)
{
    if (code == SQLITE_NOMEM)
        (void)err_from_sqlite(code);
    assert(code == SQLITE_OK);
}

void index_query_number(struct index_query *query, int at, uint64_t value)
{
    must_bind(sqlite3_bind_int64(statement(query), at, (sqlite3_int64)value));
}

void index_query_bytes(struct index_query *query, int at, struct bytes value)
{
    const void *data = value.data == NULL ? "" : (const void *)value.data;
    must_bind(sqlite3_bind_blob64(statement(query), at, data, value.len, SQLITE_STATIC));
}

int index_query_next(struct index_query *query)
{
    int code = sqlite3_step(statement(query));
    return code == SQLITE_DONE ? ERR_NOT_FOUND : err_from_sqlite(code);
}

void index_query_reset(struct index_query *query)
{
    (void)sqlite3_reset(statement(query)); /* the error of the last step once more */
}

int index_query_run(struct index_query *query)
{
    int err = index_query_next(query);
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? OK : err;
}

uint64_t index_row_number(struct index_query *query, int at)
{
    return (uint64_t)sqlite3_column_int64(statement(query), at);
}

struct bytes index_row_bytes(struct index_query *query, int at)
{
    const void *data = sqlite3_column_blob(statement(query), at);
    return bytes_of(data,
                    data == NULL ? 0 : (size_t)sqlite3_column_bytes(statement(query), at));
}

int index_row_hash(struct index_query *query, int at, struct hash *out)
{
    struct bytes bytes = index_row_bytes(query, at);
    if (bytes.len != sizeof(out->b))
        return ERR_CORRUPT;
    memcpy(out->b, bytes.data, sizeof(out->b));
    return OK;
}

/* ---- blobs ---- */

int index_blob_open(struct index_db *db, const char *table, const char *column, uint64_t row,
                    struct index_blob **out)
{
    sqlite3_blob *blob = NULL;
    int code =
        sqlite3_blob_open(db->sqlite, "main", table, column, (sqlite3_int64)row, 0, &blob);
    if (code != SQLITE_OK)
        return err_from_sqlite(code);
    *out = (struct index_blob *)blob;
    return OK;
}

static sqlite3_blob *handle(struct index_blob *blob)
{
    return (sqlite3_blob *)blob;
}

void index_blob_close(struct index_blob *blob)
{
    (void)sqlite3_blob_close(handle(blob)); /* an error of the last read once more */
}

size_t index_blob_size(struct index_blob *blob)
{
    return (size_t)sqlite3_blob_bytes(handle(blob));
}

int index_blob_read(struct index_blob *blob, size_t offset, void *out, size_t len)
{
    return err_from_sqlite(sqlite3_blob_read(handle(blob), out, (int)len, (int)offset));
}
