#include "formats/entry.h"

const char *kind_name(enum kind kind)
{
    switch (kind) {
    case KIND_NONE:
        return "none";
    case KIND_FILE:
        return "file";
    case KIND_LINK:
        return "link";
    case KIND_DIR:
        return "dir";
    }
    return "none";
}

#define SEEN_NOT_SAID 255u

bool mode_ok(enum kind kind, uint16_t mode)
{
    switch (kind) {
    case KIND_FILE:
        return mode == MODE_PLAIN || mode == MODE_EXEC;
    case KIND_LINK:
    case KIND_DIR:
        return mode == 0;
    case KIND_NONE:
        break;
    }
    return false;
}

void seen_write(struct buf *out, const struct seen *seen)
{
    wr_u8(out, seen->said ? (uint8_t)seen->kind : SEEN_NOT_SAID);
    if (seen->said && seen->kind != KIND_NONE) {
        wr_u16(out, seen->mode);
        wr_hash(out, &seen->hash);
    }
}

struct seen seen_read(struct reader *r)
{
    struct seen seen = {0};
    uint8_t kind = rd_u8(r);
    if (kind == SEEN_NOT_SAID) {
        return seen;
    }
    seen.said = true;
    if (kind > KIND_DIR) {
        rd_fail(r, ERR_CORRUPT);
        return seen;
    }
    seen.kind = (enum kind)kind;
    if (seen.kind != KIND_NONE) {
        seen.mode = rd_u16(r);
        seen.hash = rd_hash(r);
        if (!mode_ok(seen.kind, seen.mode)) {
            rd_fail(r, ERR_CORRUPT);
        }
    }
    return seen;
}

bool seen_equal(const struct seen *a, const struct seen *b)
{
    assert(a->said && b->said);
    if (a->kind != b->kind) {
        return false;
    }
    return a->kind == KIND_NONE || (a->mode == b->mode && hash_equal(&a->hash, &b->hash));
}

struct seen seen_of(const struct entry *e)
{
    struct seen seen = {.said = true, .kind = KIND_NONE};
    if (e != NULL) {
        seen.kind = e->kind;
        seen.mode = e->mode;
        seen.hash = e->hash;
    }
    return seen;
}
