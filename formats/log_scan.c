#include "formats/log_scan.h"

#include "formats/base/limits.h"

#define LOG_MAGIC      "MLOG"
#define LOG_VERSION    1u
#define HASH_LEN       32u
#define ENTRY_LEN_MIN  79u
#define EFFECT_LEN_MIN 4u
#define IDS_LEN        56u
#define SESSION_AT     16u /* in the ids */
#define WRITE_LEN      11u /* file kind, mode, size: before the hash */
#define TREE_PLACE_LEN 12u

int log_scan_open(struct bytes in, struct log_scan *out)
{
    struct log_scan scan = {0};
    int err = envelope_open(in, LOG_MAGIC, LOG_VERSION, &scan.r);
    if (err != OK)
        return err;
    struct reader *r = &scan.r;
    scan.project = rd_id16(r);
    scan.first = scan.next = rd_u64(r);
    scan.end = rd_u64(r);
    if (scan.first == 0 || scan.end <= scan.first)
        rd_fail(r, ERR_CORRUPT);
    uint32_t trees = rd_count(r, HASH_LEN, LOG_SEGMENT_MAX / HASH_LEN);
    (void)rd_bytes(r, (size_t)trees * HASH_LEN);
    scan.entries_left = rd_count(r, ENTRY_LEN_MIN, LOG_SEGMENT_MAX / ENTRY_LEN_MIN);
    err = rd_error(r);
    if (err == OK)
        *out = scan;
    return err == OK ? OK : ERR_CORRUPT;
}

/* As log_segment_decode has it: each position its landing, in order, and other answers behind
 * the landing under whose position they are filed. */
static bool position_ok(struct log_scan *scan, const struct log_scan_entry *entry)
{
    if (entry->verdict != VERDICT_LANDED)
        return entry->position == scan->next - 1 &&
               (scan->next > scan->first || scan->first == 1);
    return entry->position == scan->next++ && entry->position < scan->end;
}

static int scan_end(struct log_scan *scan)
{
    if (scan->next != scan->end || rd_end(&scan->r) != OK)
        return ERR_CORRUPT;
    return ERR_NOT_FOUND;
}

int log_scan_entry(struct log_scan *scan, struct log_scan_entry *out)
{
    struct reader *r = &scan->r;
    struct log_scan_effect skipped;
    while (scan->effects_left > 0) {
        int err = log_scan_effect(scan, &skipped);
        if (err != OK)
            return err;
    }
    if (scan->entries_left == 0)
        return scan_end(scan);
    struct log_scan_entry entry = {0};
    uint8_t verdict = rd_u8(r);
    entry.verdict = (enum verdict)(verdict & ~VERDICT_CLOSES);
    entry.position = rd_u64(r);
    (void)rd_u32(r);
    entry.ids = rd_bytes(r, IDS_LEN);
    (void)rd_run8(r, AUTHOR_LEN_MAX);
    (void)rd_run32(r, GOAL_LEN_MAX);
    (void)rd_run8(r, REASON_LEN_MAX);
    entry.n_effects = rd_count(r, EFFECT_LEN_MIN, LOG_SEGMENT_MAX / EFFECT_LEN_MIN);
    if (rd_error(r) != OK || !verdict_known(entry.verdict) || !position_ok(scan, &entry))
        return ERR_CORRUPT;
    memcpy(entry.session.b, entry.ids.data + SESSION_AT, sizeof(entry.session.b));
    scan->entries_left--;
    scan->effects_left = entry.n_effects;
    *out = entry;
    return OK;
}

static void place_skip(struct reader *r)
{
    switch ((enum place)rd_u8(r)) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        (void)rd_bytes(r, TREE_PLACE_LEN);
        return;
    case PLACE_MANIFEST:
        (void)rd_bytes(r, HASH_LEN);
        return;
    case PLACE_NONE:
    case PLACE_BLOB:
        return;
    case PLACE_PAGE:
        break;
    }
    rd_fail(r, ERR_CORRUPT);
}

int log_scan_effect(struct log_scan *scan, struct log_scan_effect *out)
{
    struct reader *r = &scan->r;
    assert(scan->effects_left > 0);
    out->kind = (enum effect_kind)rd_u8(r);
    out->path = rd_run16(r, PATH_LEN_MAX);
    switch (out->kind) {
    case EFFECT_WRITE:
        (void)rd_bytes(r, WRITE_LEN);
        out->hash = rd_hash(r);
        place_skip(r);
        break;
    case EFFECT_DELETE:
    case EFFECT_MOVED:
        break;
    }
    if (out->kind != EFFECT_WRITE && out->kind != EFFECT_DELETE && out->kind != EFFECT_MOVED)
        rd_fail(r, ERR_CORRUPT);
    scan->effects_left--;
    return rd_error(r) == OK ? OK : ERR_CORRUPT;
}
