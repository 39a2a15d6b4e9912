#include "formats/landing.h"

#include "formats/base/limits.h"
#include "formats/path.h"

#define LANDING_MAGIC    "MLRC"
#define LANDING_VERSION  1u
#define CONFLICT_LEN_MIN 13u /* bytes of the shortest: an empty path, both absent */

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_LANDED:
        return "landed";
    case VERDICT_CONFLICTED:
        return "conflicted";
    case VERDICT_REFUSED:
        return "refused";
    case VERDICT_NOT_TRIED:
        return "not_tried";
    case VERDICT_ABANDONED:
        return "abandoned";
    }
    return "unknown";
}

const char *conflict_what_name(enum conflict_what what)
{
    switch (what) {
    case CONFLICT_OPERATION:
        return "operation";
    case CONFLICT_GUARD:
        return "guard";
    case CONFLICT_DIRECTORY:
        return "directory";
    case CONFLICT_ANCESTOR:
        return "ancestor";
    }
    return "unknown";
}

bool verdict_known(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_LANDED:
    case VERDICT_CONFLICTED:
    case VERDICT_REFUSED:
    case VERDICT_NOT_TRIED:
    case VERDICT_ABANDONED:
        return true;
    }
    return false;
}

static bool conflict_what_known(enum conflict_what what)
{
    switch (what) {
    case CONFLICT_OPERATION:
    case CONFLICT_GUARD:
    case CONFLICT_DIRECTORY:
    case CONFLICT_ANCESTOR:
        return true;
    }
    return false;
}

static void conflict_write(struct buf *out, const struct conflict *conflict)
{
    wr_u8(out, (uint8_t)conflict->what);
    wr_run16(out, conflict->path);
    seen_write(out, &conflict->seen);
    seen_write(out, &conflict->there);
    wr_u64(out, conflict->by);
}

void landing_encode(struct landing *landing, struct buf *out)
{
    assert(!landing->has_session || landing->verdict == VERDICT_LANDED);
    assert(landing->n_listed <= CONFLICTS_LISTED_MAX);
    assert(landing->n_listed <= landing->n_conflicts);
    assert(landing->detail.len <= DETAIL_LEN_MAX);
    size_t at = envelope_begin(out, LANDING_MAGIC, LANDING_VERSION);
    wr_u8(out, (uint8_t)((unsigned)landing->verdict | (landing->closes ? VERDICT_CLOSES : 0u)));
    wr_id16(out, &landing->request);
    wr_id16(out, &landing->session);
    wr_id16(out, &landing->owner);
    wr_u64(out, landing->hlc);
    wr_u64(out, landing->position);
    wr_run8(out, landing->reason);
    wr_run16(out, landing->detail);
    wr_u32(out, landing->n_conflicts);
    wr_u16(out, landing->n_listed);
    for (uint16_t i = 0; i < landing->n_listed; i++)
        conflict_write(out, &landing->conflicts[i]);
    wr_u8(out, landing->has_session);
    if (landing->has_session) {
        size_t len_at = out->len;
        wr_u32(out, 0);
        session_encode(&landing->landed, out);
        size_t len = out->len - len_at - 4;
        assert(len <= RECORDS_MAX);
        wr_u32_at(out, len_at, (uint32_t)len);
    }
    envelope_close(out, at);
}

static void seen_check(struct reader *r, const struct seen *seen)
{
    if (seen->said && seen->kind != KIND_NONE && !mode_ok(seen->kind, seen->mode))
        rd_fail(r, ERR_CORRUPT);
}

static struct conflict conflict_read(struct reader *r)
{
    struct conflict conflict = {0};
    conflict.what = (enum conflict_what)rd_u8(r);
    conflict.path = rd_run16(r, PATH_LEN_MAX);
    conflict.seen = seen_read(r);
    conflict.there = seen_read(r);
    conflict.by = rd_u64(r);
    if (!conflict_what_known(conflict.what))
        rd_fail(r, ERR_CORRUPT);
    /* A guard of the whole tree has the empty path. */
    if (conflict.path.len > 0) {
        int err = path_check(conflict.path, NULL);
        if (err != OK)
            rd_fail(r, err);
    }
    seen_check(r, &conflict.seen);
    seen_check(r, &conflict.there);
    return conflict;
}

static void conflicts_read(struct reader *r, struct arena *arena, struct landing *landing)
{
    landing->n_conflicts = rd_u32(r);
    uint16_t n = rd_u16(r);
    if (n > CONFLICTS_LISTED_MAX)
        rd_fail(r, ERR_LIMIT);
    if (n > landing->n_conflicts || n > rd_left(r) / CONFLICT_LEN_MIN)
        rd_fail(r, ERR_CORRUPT);
    if (rd_error(r) != OK)
        return;
    landing->conflicts = arena_array(arena, n, struct conflict);
    landing->n_listed = n;
    for (uint16_t i = 0; i < n; i++)
        landing->conflicts[i] = conflict_read(r);
}

static void landed_read(struct reader *r, struct arena *arena, struct landing *landing)
{
    landing->has_session = rd_bool(r);
    if (landing->has_session && landing->verdict != VERDICT_LANDED)
        rd_fail(r, ERR_CORRUPT);
    if (!landing->has_session)
        return;
    struct bytes session = rd_run32(r, RECORDS_MAX);
    if (rd_error(r) != OK)
        return;
    int err = session_decode(session, arena, &landing->landed);
    if (err != OK)
        rd_fail(r, err);
}

int landing_decode(struct bytes in, struct arena *arena, struct landing *out)
{
    struct reader r;
    int err = envelope_open(in, LANDING_MAGIC, LANDING_VERSION, &r);
    if (err != OK)
        return err;
    struct landing landing = {0};
    uint8_t verdict = rd_u8(&r);
    landing.verdict = (enum verdict)(verdict & ~VERDICT_CLOSES);
    landing.closes = (verdict & VERDICT_CLOSES) != 0;
    landing.request = rd_id16(&r);
    landing.session = rd_id16(&r);
    landing.owner = rd_id16(&r);
    landing.hlc = rd_u64(&r);
    landing.position = rd_u64(&r);
    landing.reason = rd_run8(&r, REASON_LEN_MAX);
    landing.detail = rd_run16(&r, DETAIL_LEN_MAX);
    if (!verdict_known(landing.verdict) || !utf8_ok(landing.reason) || !utf8_ok(landing.detail))
        rd_fail(&r, ERR_CORRUPT);
    conflicts_read(&r, arena, &landing);
    landed_read(&r, arena, &landing);
    err = rd_end(&r);
    if (err == OK)
        *out = landing;
    return err;
}
