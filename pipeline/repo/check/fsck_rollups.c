#include "pipeline/repo/check/fsck_rollups.h"

#include <inttypes.h>
#include <stdlib.h>

#include "formats/rollup.h"
#include "pipeline/repo/check/fsck_chain.h"

struct ref {
    unsigned level;
    uint64_t first;
    uint64_t end;
    bool seen;    /* it has been read, or told of */
    bool useless; /* it has gone, or is damaged, or has been told of */
};

/* The object of a level that was asked last. */
struct slot {
    struct ref *ref; /* NULL: none */
    struct buf bytes;
    struct rollup rollup;
};

struct fsck_rollups {
    struct fsck_project *p;
    struct ref *refs;
    size_t n;
    size_t cap;
    struct slot slots[ROLLUP_LEVELS];
    /* The keys of a segment, entry by entry. */
    uint64_t *keys;
    size_t n_keys;
    size_t cap_keys;
};

static void *must_have(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

struct fsck_rollups *fsck_rollups_open(struct fsck_project *p)
{
    struct fsck_rollups *rollups = must_have(calloc(1, sizeof(*rollups)));
    rollups->p = p;
    return rollups;
}

void fsck_rollups_close(struct fsck_rollups *rollups)
{
    if (rollups == NULL)
        return;
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++)
        buf_release(&rollups->slots[i].bytes);
    free(rollups->refs);
    free(rollups->keys);
    free(rollups);
}

/* --- what keys a landing has --- */

/* One thing that can be asked for. */
struct subject {
    const char *kind;
    uint64_t key;
    struct bytes path; /* no data: it is none */
    struct bytes id;
};

/* Told one by one; each directory of paths that follow each other once. */
typedef void subject_use(void *arg, const struct subject *);

static void path_tell(struct bytes path, subject_use *use, void *arg)
{
    const struct subject subject = {.kind = "path", .key = rollup_key_path(path), .path = path};
    use(arg, &subject);
}

static size_t shared_dirs(struct bytes a, struct bytes b)
{
    size_t shared = 0;
    for (size_t i = 0; i < a.len && i < b.len && a.data[i] == b.data[i]; i++) {
        if (a.data[i] == '/')
            shared = i + 1;
    }
    return shared;
}

static void subjects_tell(const struct log_entry *entry, subject_use *use, void *arg)
{
    const struct subject session = {
        .kind = "session",
        .key = rollup_key_session(&entry->session),
        .id = bytes_of(entry->session.b, sizeof(entry->session.b)),
    };
    struct bytes before = bytes_str("");
    use(arg, &session);
    if (entry->n_effects > 0)
        path_tell(bytes_str(""), use, arg);
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        const struct log_effect *effect = &entry->effects[i];
        path_tell(effect->path, use, arg);
        for (size_t at = shared_dirs(effect->path, before); at < effect->path.len; at++) {
            if (effect->path.data[at] == '/')
                path_tell(bytes_of(effect->path.data, at), use, arg);
        }
        before = effect->path;
        if (effect->kind != EFFECT_WRITE)
            continue;
        const struct subject content = {
            .kind = "content",
            .key = rollup_key_content(&effect->hash),
            .id = bytes_of(effect->hash.b, sizeof(effect->hash.b)),
        };
        use(arg, &content);
    }
}

static void key_add(void *arg, const struct subject *subject)
{
    struct fsck_rollups *rollups = arg;
    if (rollups->n_keys == rollups->cap_keys) {
        rollups->cap_keys = rollups->cap_keys == 0 ? 4096 : 2 * rollups->cap_keys;
        rollups->keys =
            must_have(reallocarray(rollups->keys, rollups->cap_keys, sizeof(*rollups->keys)));
    }
    rollups->keys[rollups->n_keys++] = subject->key;
}

/* --- what is wrong --- */

static struct key ref_key(const struct fsck_rollups *rollups, const struct ref *ref)
{
    return key_rollup(&rollups->p->id, ref->level, ref->first, ref->end);
}

static void ref_damage(struct fsck_rollups *rollups, struct ref *ref, const char *problem,
                       const char *what)
{
    ref->seen = ref->useless = true;
    fsck_damage(rollups->p->fsck, "nofalse", problem, ref_key(rollups, ref).s, "%s", what);
}

/* The subject number `wanted` of an entry. */
struct search {
    size_t at;
    size_t wanted;
    struct subject found;
};

static void search_use(void *arg, const struct subject *subject)
{
    struct search *search = arg;
    if (search->at++ == search->wanted)
        search->found = *subject;
}

static void lack_tell(struct fsck_rollups *rollups, struct ref *ref,
                      const struct log_entry *entry, size_t which)
{
    AUTO_BUF what = {0};
    struct search search = {.wanted = which};
    subjects_tell(entry, search_use, &search);
    const struct subject *subject = &search.found;
    buf_printf(&what, "it says no to %s ", subject->kind);
    if (subject->path.data != NULL) {
        buf_append(&what, "'", 1);
        buf_append_bytes(&what, subject->path);
        buf_append(&what, "'", 1);
    }
    for (size_t i = 0; i < subject->id.len; i++)
        buf_printf(&what, "%02x", subject->id.data[i]);
    buf_printf(&what, " of position %" PRIu64, entry->position);
    ref->useless = true;
    fsck_damage(rollups->p->fsck, "nofalse", "rollup_lacks_key", ref_key(rollups, ref).s,
                "%.*s", (int)what.len, (const char *)what.data);
}

/* --- which there are --- */

bool fsck_rollups_add(struct fsck_rollups *rollups, const char *key)
{
    struct ref ref = {0};
    if (key_rollup_parse(key, &ref.level, &ref.first, &ref.end) != OK ||
        !rollup_name_ok(ref.level, ref.first, ref.end))
        return false;
    if (rollups->n == rollups->cap) {
        rollups->cap = rollups->cap == 0 ? 64 : 2 * rollups->cap;
        rollups->refs =
            must_have(reallocarray(rollups->refs, rollups->cap, sizeof(*rollups->refs)));
    }
    rollups->refs[rollups->n++] = ref;
    rollups->p->fsck->counts.rollups++;
    return true;
}

/* The positions would come, and be said no of. Without a chain there is nothing to hold them
 * against. */
int fsck_rollups_listed(struct fsck_rollups *rollups)
{
    uint64_t tip = rollups->p->tip_position;
    uint64_t now = tip;
    if (hash_is_zero(&rollups->p->tip))
        return OK;
    for (size_t i = 0; i < rollups->n; i++) {
        struct ref *ref = &rollups->refs[i];
        int err = ref->end > now ? fsck_position_now(rollups->p, &now) : OK;
        if (err != OK)
            return err;
        if (ref->end > now && ref->end > tip)
            ref_damage(rollups, ref, "rollup_over_head",
                       "it covers positions that the head does not reach");
    }
    return OK;
}

/* The answers under position 0 are covered where position 1 is. */
static uint64_t place_of(const struct log_entry *entry)
{
    return entry->position == 0 ? 1 : entry->position;
}

static bool covers(const struct ref *ref, uint64_t position)
{
    return ref->first <= position && ref->end > position;
}

static struct ref *ref_at(struct fsck_rollups *rollups, unsigned level, uint64_t position)
{
    struct ref *found = rollups->slots[level - 1].ref;
    if (found != NULL && covers(found, position))
        return found;
    found = NULL;
    for (size_t i = 0; i < rollups->n; i++) {
        struct ref *ref = &rollups->refs[i];
        if (ref->level == level && covers(ref, position) &&
            (found == NULL || ref->end - ref->first > found->end - found->first))
            found = ref;
    }
    return found;
}

/* --- reading one --- */

/* Each sector, and that it is what its name says. One that has gone lies in a longer one by
 * now. */
static int ref_read(struct fsck_rollups *rollups, struct ref *ref, struct slot *slot)
{
    struct key key = ref_key(rollups, ref);
    slot->ref = ref;
    buf_clear(&slot->bytes);
    int err = store_get(rollups->p->fsck->store, key.s, range_all(), &slot->bytes, NULL, NULL);
    bool gone = err == ERR_NOT_FOUND;
    if (err != OK && !fsck_is_damage(err))
        return err;
    const struct rollup_shape *shape = &slot->rollup.shape;
    if (err == OK)
        err = rollup_check(buf_bytes(&slot->bytes), &slot->rollup);
    bool good = err == OK && id16_equal(&shape->project, &rollups->p->id) &&
                shape->level == ref->level && shape->first == ref->first &&
                rollup_end(shape) == ref->end;
    if (!good && !gone)
        ref_damage(rollups, ref, "rollup_damaged",
                   "it is no filter over the positions of its name");
    ref->seen = true;
    ref->useless = ref->useless || !good || shape->sectors == 0;
    return OK;
}

static int ref_use(struct fsck_rollups *rollups, struct ref *ref, struct slot **out)
{
    struct slot *slot = &rollups->slots[ref->level - 1];
    *out = slot;
    return slot->ref == ref ? OK : ref_read(rollups, ref, slot);
}

/* --- asking --- */

/* A segment's entries, and where the keys of each begin. */
struct asked {
    const struct log_segment *segment;
    size_t *starts; /* of segment->n entries, and the end */
};

/* Entries `from` to `end` - 1 are of one column of the object. */
static void column_ask(struct fsck_rollups *rollups, const struct slot *slot,
                       const struct asked *asked, uint32_t from, uint32_t end)
{
    const struct rollup_shape *shape = &slot->rollup.shape;
    uint64_t place = place_of(&asked->segment->entries[from]);
    unsigned column = (unsigned)((place - shape->first) / rollup_span(shape->level));
    const uint64_t *keys = rollups->keys + asked->starts[from];
    size_t n = asked->starts[end] - asked->starts[from];
    size_t lacks = rollup_lacks(shape, column, keys, n, slot->bytes.data);
    if (lacks == n)
        return;
    size_t at = asked->starts[from] + lacks;
    while (asked->starts[from + 1] <= at)
        from++;
    lack_tell(rollups, slot->ref, &asked->segment->entries[from], at - asked->starts[from]);
}

static int level_ask(struct fsck_rollups *rollups, unsigned level, const struct asked *asked)
{
    const struct log_segment *segment = asked->segment;
    uint64_t span = rollup_span(level);
    for (uint32_t from = 0, end; from < segment->n; from = end) {
        uint64_t place = place_of(&segment->entries[from]);
        uint64_t next = place - (place - 1) % span + span;
        struct slot *slot;
        struct ref *ref = ref_at(rollups, level, place);
        for (end = from; end < segment->n && segment->entries[end].position < next;)
            end++;
        if (ref == NULL || ref->useless)
            continue;
        int err = ref_use(rollups, ref, &slot);
        if (err != OK)
            return err;
        if (!ref->useless)
            column_ask(rollups, slot, asked, from, end);
    }
    return OK;
}

int fsck_rollups_ask(struct fsck_rollups *rollups, const struct log_segment *segment)
{
    AUTO(arena_release) struct arena arena = {0};
    if (rollups->n == 0)
        return OK;
    struct asked asked = {.segment = segment,
                          .starts = arena_array(&arena, segment->n + 1, size_t)};
    rollups->n_keys = 0;
    for (uint32_t i = 0; i < segment->n; i++) {
        asked.starts[i] = rollups->n_keys;
        subjects_tell(&segment->entries[i], key_add, rollups);
    }
    asked.starts[segment->n] = rollups->n_keys;
    int err = OK;
    for (unsigned level = 1; level <= ROLLUP_LEVELS && err == OK; level++)
        err = level_ask(rollups, level, &asked);
    return err;
}

int fsck_rollups_rest(struct fsck_rollups *rollups)
{
    for (size_t i = 0; i < rollups->n; i++) {
        struct ref *ref = &rollups->refs[i];
        int err = ref->seen ? OK : ref_read(rollups, ref, &rollups->slots[ref->level - 1]);
        if (err != OK)
            return err;
    }
    return OK;
}
