/* A database of the index: one connection to an SQLite file, and its statements. It is used by
 * one thread at a time; several connections to one file see what the others have committed.
 *
 * The file can be made anew at any time, so what is wrong with it has two names here:
 * ERR_CORRUPT, it is not what was written, and ERR_AGAIN, it cannot be used now (the disk is
 * full, another process has it). The cause is in index_db_why. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_DB_H
#define PIPELINE_DERIVE_INDEX_INDEX_DB_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

struct index_db;
/* A prepared statement. */
struct index_query;
/* A blob of a row that is being read. */
struct index_blob;

/* Makes the file if it is not there. `cache_bytes` is what it may keep of it in memory. */
int index_db_open(const char *path, size_t cache_bytes, struct index_db **out) MUST_USE;
/* Its statements are closed before it. NULL does nothing. */
void index_db_close(struct index_db *);
/* This connection leaves the journal alone when it is closed as the last one: for one that may
 * stay open when the files are made anew, whose journal has the same name. */
void index_db_leave(struct index_db *);
/* Removes the files. Nobody has them open for writing. */
void index_db_remove(const char *path);

/* Runs statements that give nothing. */
int index_db_run(struct index_db *, const char *sql) MUST_USE;
/* Of the last error, for people. */
const char *index_db_why(struct index_db *);
/* Rows that the last insert, update or delete has changed. */
uint64_t index_db_changed(struct index_db *);

int index_query_open(struct index_db *, const char *sql, struct index_query **out) MUST_USE;
void index_query_close(struct index_query *);

/* Values by number, from 1. Bytes must stay until the query is reset. */
void index_query_number(struct index_query *, int at, uint64_t);
void index_query_bytes(struct index_query *, int at, struct bytes);
/* The next row: OK; ERR_NOT_FOUND when there is none (more). */
int index_query_next(struct index_query *) MUST_USE;
/* Ends it, so that it can be run again. Done before a row's bytes are gone. */
void index_query_reset(struct index_query *);
/* Runs one that gives no rows, and resets it. */
int index_query_run(struct index_query *) MUST_USE;

/* Of the row, by number, from 0. Bytes are valid until the next call on the query. */
uint64_t index_row_number(struct index_query *, int at);
struct bytes index_row_bytes(struct index_query *, int at);
/* 32 bytes, else ERR_CORRUPT. */
int index_row_hash(struct index_query *, int at, struct hash *out) MUST_USE;

/* A long blob, read in parts; it does not change while it is open. */
int index_blob_open(struct index_db *, const char *table, const char *column, uint64_t row,
                    struct index_blob **out) MUST_USE;
void index_blob_close(struct index_blob *); /* NULL does nothing */
size_t index_blob_size(struct index_blob *);
/* The part must lie within it. */
int index_blob_read(struct index_blob *, size_t offset, void *out, size_t len) MUST_USE;

#endif
