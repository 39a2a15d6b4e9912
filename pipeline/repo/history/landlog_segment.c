#include "pipeline/repo/history/landlog_segment.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"

/* ---- which segments there are ---- */

/* Keys of one list where only the end of the log is wanted. */
#define LIST_SHORT 64u

static uint64_t first_of(uint64_t position, uint64_t span)
{
    return position - (position - 1) % span;
}

/* Those that begin at `first` or later. */
static int keys_from(struct repo *repo, const struct id16 *project, uint64_t first, size_t max,
                     struct arena *arena, struct landlog_segment_ref **out, size_t *n)
{
    struct key prefix = key_log_prefix(project);
    struct key before = key_log(project, first - 1, UINT64_MAX);
    size_t prefix_len = strlen(prefix.s);
    void *items = NULL;
    size_t count = 0;
    size_t cap = 0;
    struct store_list keys = {.more = true};
    const char *after = before.s;
    while (keys.more) {
        int err = store_list(repo->store, arena, prefix.s, after, max, &keys);
        if (err != OK)
            return err;
        for (size_t i = 0; i < keys.n; i++) {
            struct landlog_segment_ref ref;
            after = keys.keys[i].key;
            /* Segments begin with a digit; what sorts behind them is not the log's. */
            if (after[prefix_len] > '9') {
                keys.more = false;
                break;
            }
            if (key_log_parse(after, &ref.first, &ref.end) != OK ||
                !log_span_ok(ref.first, ref.end))
                continue;
            struct landlog_segment_ref *item =
                arena_push(arena, &items, &count, &cap, sizeof(*item));
            *item = ref;
        }
        if (keys.n == 0)
            break;
    }
    *out = items;
    *n = count;
    return OK;
}

int landlog_keys(struct repo *repo, const struct id16 *project, struct arena *arena,
                 struct landlog_segment_ref **out, size_t *n)
{
    return keys_from(repo, project, 1, STORE_LIST_MAX, arena, out, n);
}

/* Contiguous from `at` on. */
static int select_from(uint64_t at, const struct landlog_segment_ref *keys, size_t n_keys,
                       struct arena *arena, struct landlog_segment_ref **out, size_t *n)
{
    struct landlog_segment_ref *chosen = arena_array(arena, n_keys, struct landlog_segment_ref);
    size_t count = 0;
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].first > at)
            return ERR_CORRUPT;
        bool last_alike = i + 1 == n_keys || keys[i + 1].first != keys[i].first;
        if (keys[i].first == at && last_alike) {
            chosen[count++] = keys[i];
            at = keys[i].end;
        }
    }
    *out = chosen;
    *n = count;
    return OK;
}

int landlog_select(const struct landlog_segment_ref *keys, size_t n_keys, struct arena *arena,
                   struct landlog_segment_ref **out, size_t *n)
{
    return select_from(1, keys, n_keys, arena, out, n);
}

/* Names what lies behind the hole: it is not the log's, or what should be before it is gone. */
static int hole_damage(struct repo *repo, const struct id16 *project, uint64_t at,
                       const struct landlog_segment_ref *keys, size_t n)
{
    size_t i = 0;
    for (; i < n && keys[i].first <= at; i++)
        at = keys[i].end > at ? keys[i].end : at;
    struct key key = key_log_prefix(project);
    if (i < n)
        key = key_log(project, keys[i].first, keys[i].end);
    return damage_of(repo, key.s, ERR_CORRUPT);
}

int landlog_list(struct repo *repo, const struct id16 *project, struct arena *arena,
                 struct landlog_segment_ref **keys, size_t *n_keys,
                 struct landlog_segment_ref **chosen, size_t *n)
{
    int err = ERR_CORRUPT;
    *keys = NULL;
    *n_keys = 0;
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_CORRUPT; i++) {
        err = landlog_keys(repo, project, arena, keys, n_keys);
        if (err == OK)
            err = landlog_select(*keys, *n_keys, arena, chosen, n);
    }
    return err == ERR_CORRUPT ? hole_damage(repo, project, 1, *keys, *n_keys) : err;
}

/* Those of at most the last `back` positions before `position`, and all that come after. */
static int newest_within(struct repo *repo, const struct id16 *project, uint64_t position,
                         uint64_t back, struct arena *arena, struct landlog_segment_ref **out,
                         size_t *n)
{
    uint64_t first = position > back ? first_of(position - back, LOG_SPAN_LARGE) : 1;
    size_t max = back > LOG_SPAN_LARGE ? STORE_LIST_MAX : LIST_SHORT;
    struct landlog_segment_ref *keys = NULL;
    size_t n_keys = 0;
    int err = ERR_CORRUPT;
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_CORRUPT; i++) {
        err = keys_from(repo, project, first, max, arena, &keys, &n_keys);
        if (err == OK)
            err = select_from(first, keys, n_keys, arena, out, n);
    }
    return err == ERR_CORRUPT ? hole_damage(repo, project, first, keys, n_keys) : err;
}

int landlog_newest(struct repo *repo, const struct id16 *project, uint64_t position,
                   struct arena *arena, struct landlog_segment_ref **out, size_t *n)
{
    /* Where the log is behind, it is looked for ten times as far back each time. */
    uint64_t back = LOG_SPAN_LARGE;
    for (;;) {
        int err = newest_within(repo, project, position, back, arena, out, n);
        if (err != OK || *n > 0 || back >= position)
            return err;
        back *= 10;
    }
}

int landlog_segments(struct repo *repo, const struct id16 *project, struct arena *arena,
                     struct landlog_segment_ref **out, size_t *n)
{
    struct landlog_segment_ref *keys;
    size_t n_keys;
    return landlog_list(repo, project, arena, &keys, &n_keys, out, n);
}

const struct landlog_segment_ref *landlog_segment_at(const struct landlog_segment_ref *segments,
                                                     size_t n, uint64_t position)
{
    const struct landlog_segment_ref *found = n > 0 ? &segments[0] : NULL;
    for (size_t i = 1; i < n && segments[i].first <= position; i++)
        found = &segments[i];
    return found;
}

/* ---- what is in them ---- */

int landlog_segment_get(struct repo *repo, const struct id16 *project,
                        const struct landlog_segment_ref *ref, struct arena *arena,
                        struct log_segment *out)
{
    AUTO_BUF bytes = {0};
    struct key key = key_log(project, ref->first, ref->end);
    struct log_segment segment;
    int err = store_get(repo->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = log_segment_decode(arena_copy(arena, buf_bytes(&bytes)), arena, &segment);
    if (err == OK && (!id16_equal(&segment.project, project) || segment.first != ref->first ||
                      segment.end != ref->end))
        err = ERR_CORRUPT;
    if (err == OK)
        *out = segment;
    return damage_unless_absent(repo, key.s, err);
}

int landlog_bytes_get(struct repo *repo, const struct id16 *project,
                      const struct landlog_segment_ref *ref, struct buf *out)
{
    struct key key = key_log(project, ref->first, ref->end);
    buf_clear(out);
    int err = store_get(repo->store, key.s, range_all(), out, NULL, NULL);
    return damage_unless_absent(repo, key.s, err);
}

int landlog_bytes_find(struct repo *repo, const struct id16 *project, uint64_t position,
                       struct landlog_segment_ref *ref, struct buf *out)
{
    /* Ten short ones may become a long one between two looks. */
    static const uint64_t spans[] = {LOG_SPAN_LARGE, LOG_SPAN_SMALL, LOG_SPAN_LARGE};
    int err = ERR_NOT_FOUND;
    for (size_t i = 0; i < ARRAY_LEN(spans) && err == ERR_NOT_FOUND; i++) {
        ref->first = first_of(position, spans[i]);
        ref->end = ref->first + spans[i];
        err = landlog_bytes_get(repo, project, ref, out);
    }
    return err;
}

int landlog_bytes_decode(struct repo *repo, const struct id16 *project,
                         const struct landlog_segment_ref *ref, struct bytes bytes,
                         uint64_t from, uint64_t end, struct bytes below, struct arena *arena,
                         struct log_segment *out)
{
    struct log_segment segment;
    struct key key = key_log(project, ref->first, ref->end);
    int err = log_segment_decode_below(bytes, from, end, below, arena, &segment);
    if (err == OK && (!id16_equal(&segment.project, project) || segment.first != ref->first ||
                      segment.end != ref->end))
        err = ERR_CORRUPT;
    if (err == OK)
        *out = segment;
    return damage_of(repo, key.s, err);
}

int landlog_batch_entries(struct repo *repo, const struct id16 *project,
                          const struct batch *batch, struct arena *arena,
                          struct log_entry **out)
{
    struct landing *landings;
    int err = chain_records(repo, project, batch, arena, &landings);
    if (err != OK)
        return err;
    uint32_t n = batch->footer.n_records;
    struct log_entry *entries = arena_array(arena, n, struct log_entry);
    for (uint32_t i = 0; i < n; i++) {
        err = log_entry_of(&landings[i], &batch->tree_hash, arena, &entries[i]);
        if (err != OK)
            return ERR_CORRUPT;
    }
    *out = entries;
    return OK;
}

struct log_entry log_entry_keep(struct arena *arena, const struct log_entry *from)
{
    struct log_entry entry = *from;
    entry.author = arena_copy(arena, from->author);
    entry.goal = arena_copy(arena, from->goal);
    entry.reason = arena_copy(arena, from->reason);
    entry.effects = arena_array(arena, from->n_effects, struct log_effect);
    for (uint32_t i = 0; i < from->n_effects; i++) {
        entry.effects[i] = from->effects[i];
        entry.effects[i].path = arena_copy(arena, from->effects[i].path);
    }
    return entry;
}

/* ---- from the chain ---- */

struct collection {
    struct arena *arena;
    void *entries; /* newest first */
    size_t n;
    size_t cap;
};

static int collect_batch(struct repo *repo, const struct id16 *project,
                         const struct batch *batch, uint64_t first, uint64_t end,
                         struct collection *to)
{
    AUTO(arena_release) struct arena arena = {0};
    struct log_entry *entries;
    int err = landlog_batch_entries(repo, project, batch, &arena, &entries);
    if (err != OK)
        return err;
    for (uint32_t i = batch->footer.n_records; i > 0; i--) {
        const struct log_entry *entry = &entries[i - 1];
        if (entry->position < first || entry->position >= end)
            continue;
        struct log_entry *item =
            arena_push(to->arena, &to->entries, &to->n, &to->cap, sizeof(*item));
        *item = log_entry_keep(to->arena, entry);
    }
    return to->n > UINT32_MAX ? ERR_LIMIT : OK;
}

int landlog_collect(struct repo *repo, const struct id16 *project, const struct head *head,
                    uint64_t first, uint64_t end, struct arena *arena, struct log_entry **out,
                    uint32_t *n)
{
    struct collection to = {.arena = arena};
    /* The oldest batch that reaches `end` begins before it; all that come after begin at it or
     * later, and so does what they file. */
    const struct batch *batch;
    int err = end <= head->position ? chain_find(repo, project, head, end, &batch)
                                    : chain_tip(repo, project, head, &batch);
    while (err == OK) {
        if (batch->footer.n_records > 0)
            err = collect_batch(repo, project, batch, first, end, &to);
        bool more = err == OK && batch->footer.batch > 0 && batch->footer.first >= first;
        const struct batch *done = batch;
        if (more)
            err = chain_batch(repo, project, &done->footer.prev, &batch);
        chain_drop(repo, done);
        if (!more)
            break;
    }
    if (err != OK)
        return err;
    struct log_entry *entries = to.entries;
    for (size_t i = 0, j = to.n; i + 1 < j; i++, j--) {
        struct log_entry swap = entries[i];
        entries[i] = entries[j - 1];
        entries[j - 1] = swap;
    }
    *out = entries;
    *n = (uint32_t)to.n;
    return OK;
}
