#include "formats/log_scan.h"

#include "formats/base/limits.h"

#define LOG_MAGIC      "MLOG"
#define LOG_VERSION    1u
#define HASH_LEN       32
#define ENTRY_LEN_MIN  79u
#define EFFECT_LEN_MIN 4u
#define IDS_LEN        56u
#define SESSION_AT     16u /* in the ids */
/* Of an effect: */
#define BEFORE_PATH    3  /* kind, length */
#define WRITE_LEN      11 /* file kind, mode, size: before the hash */
#define BEFORE_PLACE   (WRITE_LEN + HASH_LEN)
#define TREE_PLACE_LEN 12

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

/* How many bytes follow a place; -1 for one that no effect has. */
static int place_len(uint8_t place)
{
    switch ((enum place)place) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        return TREE_PLACE_LEN;
    case PLACE_MANIFEST:
        return HASH_LEN;
    case PLACE_NONE:
    case PLACE_BLOB:
        return 0;
    case PLACE_PAGE:
        break;
    }
    return -1;
}

/* The effect at `at`: its path, where its hash lies (of a write), and where it ends; NULL when
 * it is none. This is most of what reading through a log takes, so the lengths are looked at
 * here, and not one by one in the reader, and nothing is copied. */
static const uint8_t *effect_find(const uint8_t *at, const uint8_t *end, struct bytes *path,
                                  const uint8_t **hash)
{
    if (end - at < BEFORE_PATH)
        return NULL;
    uint8_t kind = at[0];
    unsigned len = (unsigned)at[1] << 8 | at[2];
    at += BEFORE_PATH;
    if (len > PATH_LEN_MAX || end - at < len)
        return NULL;
    *path = bytes_of(at, len);
    at += len;
    if (kind == EFFECT_DELETE || kind == EFFECT_MOVED)
        return at;
    if (kind != EFFECT_WRITE || end - at <= BEFORE_PLACE)
        return NULL;
    *hash = at + WRITE_LEN;
    int more = place_len(at[BEFORE_PLACE]);
    at += BEFORE_PLACE + 1;
    return more < 0 || end - at < more ? NULL : at + more;
}

static int effects_skip(struct log_scan *scan)
{
    struct reader *r = &scan->r;
    struct bytes path;
    const uint8_t *hash;
    const uint8_t *at = r->at;
    for (; scan->effects_left > 0 && at != NULL; scan->effects_left--)
        at = effect_find(at, r->end, &path, &hash);
    if (at == NULL)
        rd_fail(r, ERR_CORRUPT);
    else
        (void)rd_bytes(r, (size_t)(at - r->at));
    return at == NULL ? ERR_CORRUPT : OK;
}

int log_scan_entry(struct log_scan *scan, struct log_scan_entry *out)
{
    struct reader *r = &scan->r;
    int err = effects_skip(scan);
    if (err != OK)
        return err;
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

int log_scan_effect(struct log_scan *scan, struct log_scan_effect *out)
{
    struct reader *r = &scan->r;
    struct log_scan_effect effect = {0};
    const uint8_t *begin = r->at;
    const uint8_t *hash = NULL;
    assert(scan->effects_left > 0);
    const uint8_t *end = effect_find(begin, r->end, &effect.path, &hash);
    scan->effects_left--;
    if (end == NULL) {
        rd_fail(r, ERR_CORRUPT);
        return ERR_CORRUPT;
    }
    effect.kind = (enum effect_kind)begin[0];
    if (hash != NULL)
        memcpy(effect.hash.b, hash, sizeof(effect.hash.b));
    (void)rd_bytes(r, (size_t)(end - begin));
    *out = effect;
    return OK;
}
