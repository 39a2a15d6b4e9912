#include "formats/bucket.h"

#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "formats/path.h"
#include "formats/project_id.h"

#define VERSION 1u

static const char bucket_magic[4] = "MBUC";
static const char project_magic[4] = "MPRJ";
static const char handle_magic[4] = "MHND";
static const char probe_magic[4] = "MPRB";

void bucket_encode(const struct bucket *b, struct buf *out)
{
    size_t at = envelope_begin(out, bucket_magic, VERSION);
    wr_id16(out, &b->id);
    wr_u32(out, b->shards);
    wr_u32(out, b->chunk_size);
    wr_u64(out, b->hlc_created);
    envelope_close(out, at);
}

int bucket_decode(struct bytes in, struct bucket *out)
{
    struct reader r;
    int err = envelope_open(in, bucket_magic, VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct bucket b;
    b.id = rd_id16(&r);
    b.shards = rd_u32(&r);
    b.chunk_size = rd_u32(&r);
    b.hlc_created = rd_u64(&r);
    err = rd_end(&r);
    if (err != 0) {
        return err;
    }
    if (id16_is_zero(&b.id) || b.shards == 0 || b.shards > SHARDS_MAX ||
        b.chunk_size < CHUNK_SIZE_MIN || b.chunk_size > CHUNK_SIZE_MAX) {
        return ERR_CORRUPT;
    }
    *out = b;
    return 0;
}

/* A project and the handle that names it say the same under two magics: either leads to the
 * other. */

static void info_encode(const char magic[4], const struct project_info *p, struct buf *out)
{
    assert(handle_check(p->handle) == 0);
    size_t at = envelope_begin(out, magic, VERSION);
    wr_id16(out, &p->id);
    wr_u64(out, p->hlc_created);
    wr_run8(out, p->handle);
    envelope_close(out, at);
}

static int info_decode(const char magic[4], struct bytes in, struct arena *arena,
                       struct project_info *out)
{
    struct reader r;
    int err = envelope_open(in, magic, VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct project_info p;
    p.id = rd_id16(&r);
    p.hlc_created = rd_u64(&r);
    p.handle = rd_run8(&r, HANDLE_LEN_MAX);
    err = rd_end(&r);
    if (err != 0) {
        return err;
    }
    if (id16_is_zero(&p.id) || handle_check(p.handle) != 0) {
        return ERR_CORRUPT;
    }
    p.handle = arena_copy(arena, p.handle);
    *out = p;
    return 0;
}

void project_info_encode(const struct project_info *p, struct buf *out)
{
    info_encode(project_magic, p, out);
}

int project_info_decode(struct bytes in, struct arena *arena, struct project_info *out)
{
    return info_decode(project_magic, in, arena, out);
}

void handle_encode(const struct project_info *p, struct buf *out)
{
    info_encode(handle_magic, p, out);
}

int handle_decode(struct bytes in, struct arena *arena, struct project_info *out)
{
    struct project_info info;
    int err = info_decode(handle_magic, in, arena, &info);
    if (err == 0 && project_id_is_refs(&info.id)) {
        err = ERR_CORRUPT;
    }
    if (err == 0) {
        *out = info;
    }
    return err;
}

void probe_note_encode(const struct probe_note *note, struct buf *out)
{
    size_t at = envelope_begin(out, probe_magic, VERSION);
    wr_hash(out, &note->where);
    wr_u64(out, note->passed_ms);
    wr_u8(out, note->bare_etag);
    envelope_close(out, at);
}

int probe_note_decode(struct bytes in, struct probe_note *out)
{
    struct reader r;
    int err = envelope_open(in, probe_magic, VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct probe_note note;
    note.where = rd_hash(&r);
    note.passed_ms = rd_u64(&r);
    uint8_t bare = rd_u8(&r);
    err = rd_end(&r);
    if (err != 0) {
        return err;
    }
    if (bare > 1) {
        return ERR_CORRUPT;
    }
    note.bare_etag = bare == 1;
    *out = note;
    return 0;
}
