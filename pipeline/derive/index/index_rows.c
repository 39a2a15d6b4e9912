#include "pipeline/derive/index/index_rows.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "pipeline/sys/must_alloc.h"

/* Raised when the tables change: files of another version are made anew. */
#define VERSION "2"

static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE node(id INTEGER PRIMARY KEY, address BLOB NOT NULL);"
    "CREATE TABLE prefix(prefix INTEGER, id INTEGER, PRIMARY KEY(prefix, id)) WITHOUT ROWID;"
    "CREATE TABLE recipe(id INTEGER PRIMARY KEY, canonical BLOB NOT NULL);"
    "CREATE TABLE edge(key INTEGER PRIMARY KEY);"
    "CREATE TABLE run(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, edges BLOB NOT NULL);"
    "CREATE TABLE ref_edge(ref BLOB, recipe INTEGER, PRIMARY KEY(ref, recipe)) WITHOUT ROWID;"
    "CREATE TABLE leaf(address BLOB PRIMARY KEY, uploaded INTEGER, size INTEGER,"
    " agent INTEGER, seq INTEGER, offset INTEGER) WITHOUT ROWID;"
    "CREATE TABLE memo(key BLOB PRIMARY KEY, output BLOB, body BLOB, hlc INTEGER,"
    " agent INTEGER, seq INTEGER, item INTEGER) WITHOUT ROWID;"
    "CREATE INDEX memo_output ON memo(output);"
    "CREATE TABLE tree(content BLOB PRIMARY KEY, object BLOB, offset INTEGER, len INTEGER,"
    " page BLOB) WITHOUT ROWID;"
    "CREATE TABLE quarantine(function BLOB, version BLOB, implementation BLOB, key BLOB,"
    " first BLOB, second BLOB, PRIMARY KEY(function, version, implementation)) WITHOUT ROWID;"
    "CREATE TABLE pin(address BLOB PRIMARY KEY, pinned INTEGER, hlc INTEGER, agent INTEGER,"
    " seq INTEGER, item INTEGER) WITHOUT ROWID;"
    "CREATE INDEX pinned ON pin(address) WHERE pinned = 1;"
    "CREATE TABLE chunk(hash BLOB PRIMARY KEY, recipe BLOB, start INTEGER, stop INTEGER,"
    " hlc INTEGER, agent INTEGER, seq INTEGER, item INTEGER) WITHOUT ROWID;"
    "CREATE TABLE agent(agent INTEGER PRIMARY KEY, seq INTEGER);"
    "CREATE TABLE total(project BLOB, recipes INTEGER, leaves INTEGER, memos INTEGER,"
    " pins INTEGER, edges INTEGER);";

static const char *const statements[ROWS_QUERIES] = {
    [ROWS_TOTAL] = "SELECT recipes, leaves, memos, pins, edges, project FROM total",
    [ROWS_NODE] = ("SELECT id FROM prefix CROSS JOIN node USING(id)"
                   " WHERE prefix = ?1 AND address = ?2"),
    [ROWS_NODE_PUT] = "INSERT INTO node VALUES(?1, ?2)",
    [ROWS_PREFIX_PUT] = "INSERT INTO prefix VALUES(?1, ?2)",
    [ROWS_ADDRESS] = "SELECT address FROM node WHERE id = ?1",
    [ROWS_RECIPE] = ("SELECT canonical FROM prefix CROSS JOIN node USING(id)"
                     " CROSS JOIN recipe USING(id) WHERE prefix = ?1 AND address = ?2"),
    [ROWS_RECIPE_PUT] = "INSERT OR IGNORE INTO recipe VALUES(?1, ?2)",
    [ROWS_EDGES] = ("SELECT key & 0x7fffffff FROM edge"
                    " WHERE key BETWEEN (?1 << 31) + ?2 AND (?1 << 31) + 0x7fffffff"),
    [ROWS_EDGE_PUT] = "INSERT OR IGNORE INTO edge VALUES(?1)",
    [ROWS_REF_EDGES] = "SELECT recipe FROM ref_edge WHERE ref = ?1 AND recipe >= ?2",
    [ROWS_REF_EDGE_PUT] = "INSERT OR IGNORE INTO ref_edge VALUES(?1, ?2)",
    [ROWS_RUNS] = "SELECT id, n FROM run ORDER BY id",
    [ROWS_LAST_RUNS] = "SELECT id, n FROM run ORDER BY id DESC",
    [ROWS_RUNS_DROP] = "DELETE FROM run WHERE id >= ?1",
    [ROWS_RUN_PUT] = "INSERT INTO run VALUES(?1, ?2, ?3)",
    [ROWS_ALL_ADDRESSES] = "SELECT id, address FROM node WHERE id >= ?1 ORDER BY id",
    [ROWS_LEAF] = "SELECT uploaded, size, agent, seq, offset FROM leaf WHERE address = ?1",
    [ROWS_LEAF_PUT] = "INSERT OR REPLACE INTO leaf VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [ROWS_MEMO] = "SELECT body, hlc, agent, seq, item FROM memo WHERE key = ?1",
    [ROWS_OUTPUT] = "SELECT body FROM memo WHERE output = ?1 LIMIT 1",
    /* Out of the index, which is a fraction of the table. */
    [ROWS_MEMO_KEYS] = "SELECT key FROM memo INDEXED BY memo_output",
    [ROWS_MEMO_PUT] = "INSERT OR REPLACE INTO memo VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ROWS_TREE] = "SELECT object, offset, len, page FROM tree WHERE content = ?1",
    [ROWS_TREE_PUT] = "INSERT OR REPLACE INTO tree VALUES(?1, ?2, ?3, ?4, ?5)",
    [ROWS_QUARANTINES] =
        "SELECT function, version, implementation, key, first, second FROM quarantine",
    [ROWS_QUARANTINE_PUT] = "INSERT OR IGNORE INTO quarantine VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [ROWS_PIN] = "SELECT pinned, hlc, agent, seq, item FROM pin WHERE address = ?1",
    [ROWS_PIN_PUT] = "INSERT OR REPLACE INTO pin VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [ROWS_PINS] = "SELECT address FROM pin WHERE pinned = 1 AND address > ?1 ORDER BY address",
    [ROWS_ALL_PINS] = "SELECT address, pinned, hlc, agent, seq, item FROM pin",
    [ROWS_CHUNK] = ("SELECT recipe, start, stop, hlc, agent, seq, item FROM chunk"
                    " WHERE hash = ?1"),
    [ROWS_CHUNK_PUT] = "INSERT OR REPLACE INTO chunk VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [ROWS_AGENTS] = "SELECT agent, seq FROM agent",
    [ROWS_AGENT_PUT] = "INSERT OR REPLACE INTO agent VALUES(?1, ?2)",
    [ROWS_NEXT_NODE] = "SELECT coalesce(max(id), 0) + 1 FROM node",
    [ROWS_COUNT] = ("UPDATE total SET recipes = recipes + ?1, leaves = leaves + ?2,"
                    " memos = memos + ?3, pins = pins + ?4, edges = edges + ?5"),
};

int told_compare(const struct told *a, const struct told *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? -1 : 1;
    if (a->agent != b->agent)
        return a->agent < b->agent ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->item == b->item ? 0 : a->item < b->item ? -1 : 1;
}

/* ---- opening ---- */

int rows_query(struct index_rows *rows, enum rows_query which, struct index_query **out)
{
    if (rows->queries[which] == NULL) {
        int err = index_query_open(rows->db, statements[which], &rows->queries[which]);
        if (err != OK)
            return err;
    }
    *out = rows->queries[which];
    return OK;
}

/* The one number that a statement gives. */
static int number_of(struct index_rows *rows, const char *sql, uint64_t *out)
{
    struct index_query *query;
    int err = index_query_open(rows->db, sql, &query);
    if (err != OK)
        return err;
    err = index_query_next(query);
    if (err == OK)
        *out = index_row_number(query, 0);
    index_query_close(query);
    return err;
}

static int tables_make(struct index_rows *rows, const struct id16 *project)
{
    AUTO_BUF sql = {0};
    buf_printf(&sql,
               "%sINSERT INTO total VALUES(x'%s', 0, 0, 0, 0, 0);"
               "PRAGMA application_id = 0x4d444958; PRAGMA user_version = " VERSION ";"
               "COMMIT;",
               tables, id16_hex(project).s);
    buf_append(&sql, "", 1);
    return index_db_run(rows->db, (const char *)sql.data);
}

static int tables_check(struct index_rows *rows, const struct id16 *project)
{
    struct index_query *query;
    int err = rows_query(rows, ROWS_TOTAL, &query);
    if (err != OK)
        return err;
    err = index_query_next(query);
    struct bytes there = err == OK ? index_row_bytes(query, 5) : bytes_of(NULL, 0);
    bool ours = bytes_equal(there, bytes_of(project->b, sizeof(project->b)));
    index_query_reset(query);
    if (err == ERR_NOT_FOUND || (err == OK && !ours))
        return ERR_CORRUPT;
    return err;
}

static int rows_begin(struct index_rows *rows, const struct id16 *project)
{
    uint64_t kind = 0;
    uint64_t version = 0;
    uint64_t n = 0;
    int err = number_of(rows, "PRAGMA application_id", &kind);
    if (err == OK)
        err = number_of(rows, "PRAGMA user_version", &version);
    if (err == OK)
        err = number_of(rows, "SELECT count(*) FROM sqlite_schema", &n);
    if (err != OK)
        return err;
    if (kind == 0 && version == 0 && n == 0)
        err = tables_make(rows, project);
    else if (kind != 0x4d444958 || version != strtoull(VERSION, NULL, 10))
        err = ERR_CORRUPT;
    return err != OK ? err : tables_check(rows, project);
}

int index_rows_open(const char *path, const struct id16 *project, size_t cache_bytes,
                    struct index_rows **out)
{
    struct index_rows *rows = must_alloc(1, sizeof(*rows));
    int err = index_db_open(path, cache_bytes, &rows->db);
    if (err == OK)
        err = rows_begin(rows, project);
    if (err != OK) {
        index_rows_close(rows);
        return err;
    }
    *out = rows;
    return OK;
}

void index_rows_close(struct index_rows *rows)
{
    if (rows == NULL)
        return;
    for (size_t i = 0; i < ROWS_QUERIES; i++)
        index_query_close(rows->queries[i]);
    index_db_close(rows->db);
    free(rows);
}

/* ---- finds ---- */

static struct bytes hash_bytes(const struct hash *hash)
{
    return bytes_of(hash->b, sizeof(hash->b));
}

/* The first row of a statement about one hash; reset it when the row was read, unless this
 * fails. */
static int first_row(struct index_rows *rows, enum rows_query which, const struct hash *hash,
                     struct index_query **out)
{
    struct index_query *query;
    int err = rows_query(rows, which, &query);
    if (err != OK)
        return err;
    index_query_bytes(query, 1, hash_bytes(hash));
    err = index_query_next(query);
    if (err != OK) {
        index_query_reset(query);
        return err;
    }
    *out = query;
    return OK;
}

uint64_t rows_prefix(const struct hash *address)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < sizeof(prefix); i++)
        prefix = prefix << 8 | address->b[i];
    return prefix ^ 1ull << 63; /* numbers in the database have a sign */
}

/* The same, about an address that has a number. */
static int node_row(struct index_rows *rows, enum rows_query which, const struct hash *address,
                    struct index_query **out)
{
    struct index_query *query;
    int err = rows_query(rows, which, &query);
    if (err != OK)
        return err;
    index_query_number(query, 1, rows_prefix(address));
    index_query_bytes(query, 2, hash_bytes(address));
    err = index_query_next(query);
    if (err != OK) {
        index_query_reset(query);
        return err;
    }
    *out = query;
    return OK;
}

int rows_node(struct index_rows *rows, const struct hash *address, uint64_t *out)
{
    struct index_query *query;
    int err = node_row(rows, ROWS_NODE, address, &query);
    if (err != OK)
        return err;
    *out = index_row_number(query, 0);
    index_query_reset(query);
    return OK;
}

int rows_address(struct index_rows *rows, uint64_t node, struct hash *out)
{
    struct index_query *query;
    int err = rows_query(rows, ROWS_ADDRESS, &query);
    if (err != OK)
        return err;
    index_query_number(query, 1, node);
    err = index_query_next(query);
    if (err == OK)
        err = index_row_hash(query, 0, out);
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int rows_recipe(struct index_rows *rows, const struct hash *address, struct buf *out)
{
    struct index_query *query;
    int err = node_row(rows, ROWS_RECIPE, address, &query);
    if (err != OK)
        return err;
    buf_append_bytes(out, index_row_bytes(query, 0));
    index_query_reset(query);
    return OK;
}

int rows_leaf(struct index_rows *rows, const struct hash *address, struct derive_leaf *out)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_LEAF, address, &query);
    if (err != OK)
        return err;
    *out = (struct derive_leaf){
        .uploaded = index_row_number(query, 0) != 0,
        .size = index_row_number(query, 1),
        .agent = index_row_number(query, 2),
        .seq = index_row_number(query, 3),
        .offset = (uint32_t)index_row_number(query, 4),
    };
    index_query_reset(query);
    return OK;
}

static struct told told_row(struct index_query *query, int from)
{
    return (struct told){
        .hlc = index_row_number(query, from),
        .agent = index_row_number(query, from + 1),
        .seq = index_row_number(query, from + 2),
        .item = index_row_number(query, from + 3),
    };
}

static int memo_of(struct bytes body, struct arena *arena, struct memo *out)
{
    struct reader r;
    rd_init(&r, arena_copy(arena, body));
    struct memo memo = memo_read(&r);
    int err = rd_end(&r);
    if (err != OK)
        return ERR_CORRUPT;
    *out = memo;
    return OK;
}

int rows_memo(struct index_rows *rows, const struct hash *key, struct arena *arena,
              struct memo *out, struct told *told)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_MEMO, key, &query);
    if (err != OK)
        return err;
    err = memo_of(index_row_bytes(query, 0), arena, out);
    if (err == OK)
        *told = told_row(query, 1);
    index_query_reset(query);
    return err;
}

int rows_output(struct index_rows *rows, const struct hash *output, struct arena *arena,
                struct memo *out)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_OUTPUT, output, &query);
    if (err != OK)
        return err;
    err = memo_of(index_row_bytes(query, 0), arena, out);
    index_query_reset(query);
    return err;
}

int rows_tree(struct index_rows *rows, const struct hash *content, struct location *out)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_TREE, content, &query);
    if (err != OK)
        return err;
    struct location where = {
        .place = PLACE_PAGE,
        .offset = (uint32_t)index_row_number(query, 1),
        .len = (uint32_t)index_row_number(query, 2),
    };
    err = index_row_hash(query, 0, &where.tree);
    if (err == OK)
        err = index_row_hash(query, 3, &where.check);
    index_query_reset(query);
    if (err == OK)
        *out = where;
    return err;
}

int rows_pin(struct index_rows *rows, const struct hash *address, bool *pinned,
             struct told *told)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_PIN, address, &query);
    if (err != OK)
        return err;
    *pinned = index_row_number(query, 0) != 0;
    *told = told_row(query, 1);
    index_query_reset(query);
    return OK;
}

int rows_pins(struct index_rows *rows, const struct hash *after, size_t max,
              struct arena *arena, struct hash **out, size_t *n)
{
    struct index_query *query;
    int err = rows_query(rows, ROWS_PINS, &query);
    if (err != OK)
        return err;
    index_query_bytes(query, 1, hash_is_zero(after) ? bytes_str("") : hash_bytes(after));
    void *items = NULL;
    size_t found = 0;
    size_t cap = 0;
    while (found < max && (err = index_query_next(query)) == OK) {
        struct hash *one = arena_push(arena, &items, &found, &cap, sizeof(*one));
        if ((err = index_row_hash(query, 0, one)) != OK)
            break;
    }
    index_query_reset(query);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *out = items;
    *n = found;
    return OK;
}

int rows_chunk(struct index_rows *rows, const struct hash *hash, struct derive_chunk *out,
               struct told *told)
{
    struct index_query *query;
    int err = first_row(rows, ROWS_CHUNK, hash, &query);
    if (err != OK)
        return err;
    struct derive_chunk chunk = {.from = index_row_number(query, 1),
                                 .end = index_row_number(query, 2)};
    struct told when = told_row(query, 3);
    err = index_row_hash(query, 0, &chunk.recipe);
    index_query_reset(query);
    if (err == OK) {
        *out = chunk;
        *told = when;
    }
    return err;
}

int rows_counts(struct index_rows *rows, struct derive_counts *out, uint64_t *edges)
{
    struct index_query *query;
    int err = rows_query(rows, ROWS_TOTAL, &query);
    if (err != OK)
        return err;
    err = index_query_next(query);
    if (err == OK) {
        *out = (struct derive_counts){
            .recipes = index_row_number(query, 0),
            .leaves = index_row_number(query, 1),
            .memos = index_row_number(query, 2),
            .pins = index_row_number(query, 3),
        };
        *edges = index_row_number(query, 4);
    }
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int rows_dependents(struct index_rows *rows, uint64_t node, const struct bytes *ref,
                    uint64_t after, size_t max, struct arena *arena, uint64_t **out, size_t *n)
{
    struct index_query *query;
    int err = rows_query(rows, ref != NULL ? ROWS_REF_EDGES : ROWS_EDGES, &query);
    if (err != OK)
        return err;
    if (ref != NULL)
        index_query_bytes(query, 1, *ref);
    else
        index_query_number(query, 1, node);
    index_query_number(query, 2, after + 1);
    void *items = NULL;
    size_t found = 0;
    size_t cap = 0;
    while (found < max && (err = index_query_next(query)) == OK) {
        uint64_t *one = arena_push(arena, &items, &found, &cap, sizeof(*one));
        *one = index_row_number(query, 0);
    }
    index_query_reset(query);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *out = items;
    *n = found;
    return OK;
}
