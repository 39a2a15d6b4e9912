#include "api/cli/index.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "formats/path.h"

#define INDEX_MAGIC   "MIDX"
#define INDEX_VERSION 1u
#define ENTRY_LEAST   46u
#define ENTRIES_MAX   100000000u

void index_release(struct index *index)
{
    free(index->entries);
    buf_release(&index->bytes);
    *index = (struct index){0};
}

void index_encode(const struct index *index, struct buf *out)
{
    size_t at = envelope_begin(out, INDEX_MAGIC, INDEX_VERSION);
    wr_u64(out, index->position);
    wr_hash(out, &index->tree);
    wr_hash(out, &index->content);
    wr_u32(out, (uint32_t)index->n);
    for (size_t i = 0; i < index->n; i++) {
        const struct index_entry *e = &index->entries[i];
        assert(i == 0 || path_compare(e[-1].path, e->path) < 0);
        wr_run16(out, e->path);
        wr_u8(out, (uint8_t)e->kind);
        wr_u16(out, e->mode);
        wr_u64(out, e->size);
        wr_hash(out, &e->hash);
        wr_u8(out, e->marked ? 1 : 0);
        if (!e->marked)
            continue;
        wr_u64(out, e->mark.size);
        wr_u64(out, (uint64_t)e->mark.mtime_ns);
        wr_u64(out, (uint64_t)e->mark.ctime_ns);
        wr_u64(out, e->mark.ino);
        wr_u32(out, e->mark.mode);
        wr_hash(out, &e->work);
    }
    envelope_close(out, at);
}

static struct index_entry entry_read(struct reader *r, int64_t written_ns)
{
    struct index_entry e = {.path = rd_run16(r, PATH_LEN_MAX)};
    uint8_t kind = rd_u8(r);
    if (kind > KIND_LINK)
        rd_fail(r, ERR_CORRUPT);
    e.kind = (enum kind)kind;
    e.mode = rd_u16(r);
    e.size = rd_u64(r);
    e.hash = rd_hash(r);
    e.marked = rd_bool(r);
    if (e.marked) {
        e.mark.size = rd_u64(r);
        e.mark.mtime_ns = (int64_t)rd_u64(r);
        e.mark.ctime_ns = (int64_t)rd_u64(r);
        e.mark.ino = rd_u64(r);
        e.mark.mode = rd_u32(r);
        e.work = rd_hash(r);
        e.marked = e.mark.mtime_ns < written_ns;
    }
    return e;
}

int index_decode(struct buf *bytes, int64_t written_ns, struct index *out)
{
    struct reader r;
    int err = envelope_open(buf_bytes(bytes), INDEX_MAGIC, INDEX_VERSION, &r);
    if (err != OK)
        return err;
    struct index index = {.position = rd_u64(&r), .tree = rd_hash(&r), .content = rd_hash(&r)};
    index.n = rd_count(&r, ENTRY_LEAST, ENTRIES_MAX);
    index.entries = calloc(index.n + 1, sizeof(*index.entries));
    if (index.entries == NULL)
        abort();
    for (size_t i = 0; i < index.n && rd_error(&r) == OK; i++) {
        index.entries[i] = entry_read(&r, written_ns);
        if (i > 0 && path_compare(index.entries[i - 1].path, index.entries[i].path) >= 0)
            rd_fail(&r, ERR_CORRUPT);
    }
    err = rd_end(&r);
    if (err != OK) {
        free(index.entries);
        return err;
    }
    index.bytes = *bytes;
    *bytes = (struct buf){0};
    *out = index;
    return OK;
}

int index_load(struct workspace *ws, struct index *out)
{
    AUTO_BUF bytes = {0};
    struct stat st;
    int err = worktree_read(&ws->tree, bytes_str(".mic/index"), INDEX_BYTES_MAX, &bytes, &st);
    if (err != OK)
        return err;
    struct stat_mark mark = stat_mark_of(&st);
    return index_decode(&bytes, mark.mtime_ns, out);
}

int index_save(struct workspace *ws, const struct index *index)
{
    AUTO_BUF bytes = {0};
    index_encode(index, &bytes);
    return workspace_put(ws, "index", buf_bytes(&bytes));
}

size_t index_from(const struct index *index, struct bytes path)
{
    size_t low = 0;
    size_t high = index->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (path_compare(index->entries[mid].path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct index_entry *index_find(const struct index *index, struct bytes path)
{
    size_t at = index_from(index, path);
    if (at == index->n || !bytes_equal(index->entries[at].path, path))
        return NULL;
    return &index->entries[at];
}

bool index_has_below(const struct index *index, struct bytes dir)
{
    size_t at = index_from(index, dir);
    if (at < index->n && bytes_equal(index->entries[at].path, dir))
        at++;
    for (; at < index->n && path_below(index->entries[at].path, dir); at++) {
        if (index->entries[at].kind != KIND_NONE)
            return true;
    }
    return false;
}
