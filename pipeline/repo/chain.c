#include "pipeline/repo/chain.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/known.h"

/* Footer, root page and ids of most batches are shorter. */
#define SUFFIX_LEN (64u * KIB)
/* How long a head that was read counts as read lately. */
#define LATELY_US 10000u

/* The greatest stamp that this process has given or seen. */
static uint64_t stamp_known(struct repo *repo)
{
    (void)pthread_mutex_lock(&repo->hlc_lock);
    uint64_t hlc = repo->hlc;
    (void)pthread_mutex_unlock(&repo->hlc_lock);
    return hlc;
}

static struct hash lately_name(const struct id16 *project)
{
    return known_name("head lately", project, (struct bytes){0});
}

/* Until when it is good, and the stamp that was known when its read began, lie in `id`. */
static void head_remember(struct repo *repo, const struct id16 *project,
                          const struct head *head, uint64_t began_us, uint64_t stamp)
{
    uint64_t now = repo->clock->mono_us(repo->clock);
    uint64_t took = now - began_us;
    uint64_t until = began_us + took + (took > LATELY_US ? took : LATELY_US);
    struct fact fact = {.hash = head->tree_hash, .number = head->hlc};
    struct hash name = lately_name(project);
    memcpy(fact.id.b, &until, sizeof(until));
    memcpy(fact.id.b + sizeof(until), &stamp, sizeof(stamp));
    known_raise(repo->known, &name, &fact);
}

void chain_head_told(struct repo *repo, const struct id16 *project, const struct head *head)
{
    head_remember(repo, project, head, repo->clock->mono_us(repo->clock), head->hlc);
}

int chain_head_lately(struct repo *repo, const struct id16 *project, uint64_t hlc,
                      struct hash *tree_hash)
{
    struct fact fact;
    struct hash name = lately_name(project);
    if (known_find(repo->known, &name, &fact)) {
        uint64_t until;
        uint64_t stamp;
        memcpy(&until, fact.id.b, sizeof(until));
        memcpy(&stamp, fact.id.b + sizeof(until), sizeof(stamp));
        if (repo->clock->mono_us(repo->clock) < until && hlc <= stamp) {
            *tree_hash = fact.hash;
            return OK;
        }
    }
    struct head head;
    int err = chain_head(repo, project, &head, NULL);
    if (err == OK)
        *tree_hash = head.tree_hash;
    return err;
}

int chain_head_decode(struct repo *repo, const struct id16 *project, struct bytes bytes,
                      struct head *out)
{
    struct key key = key_head(project);
    struct head head;
    int err = head_decode(bytes, &head);
    if (err != OK)
        return damage_of(repo, key.s, err);
    /* A damaged head must not carry our clock away: one that is far ahead is adopted only when
     * its footer says the same, in chain_tip. */
    if (!hlc_too_far(head.hlc, repo->clock->wall_ms(repo->clock), CLOCK_SKEW_MAX_MS))
        repo_hlc_seen(repo, head.hlc);
    *out = head;
    return OK;
}

int chain_head(struct repo *repo, const struct id16 *project, struct head *out,
               struct etag *etag)
{
    AUTO_BUF bytes = {0};
    uint64_t began_us = repo->clock->mono_us(repo->clock);
    uint64_t stamp = stamp_known(repo);
    struct key key = key_head(project);
    struct etag version;
    int err = store_get(repo->store, key.s, range_all(), &bytes, &version, NULL);
    if (err == ERR_NOT_FOUND) {
        struct key info = key_project(project);
        err = store_get(repo->store, info.s, range_none(), NULL, NULL, NULL);
        if (err != OK)
            return err;
        /* A tree of references may have been made since: its head comes first. */
        err = project_id_is_refs(project)
                  ? store_get(repo->store, key.s, range_all(), &bytes, &version, NULL)
                  : ERR_NOT_FOUND;
    }
    if (err != OK)
        return damage_of(repo, key.s, err);
    err = chain_head_decode(repo, project, buf_bytes(&bytes), out);
    if (err == OK)
        head_remember(repo, project, out, began_us, stamp);
    if (err == OK && etag != NULL)
        *etag = version;
    return err;
}

/* ---- reading one batch ---- */

/* The last bytes of a tree object, from offset `at` to its end. */
struct tail {
    struct buf bytes;
    uint64_t at;
    uint64_t size;
};

static void tail_release(struct tail *tail)
{
    buf_release(&tail->bytes);
}

static int tail_open(struct repo *repo, const struct key *key, struct tail *tail)
{
    int err = store_get(repo->store, key->s, range_suffix(SUFFIX_LEN), &tail->bytes, NULL,
                        &tail->size);
    if (err != OK)
        return err;
    if (tail->size > TREE_OBJECT_MAX || tail->bytes.len > tail->size ||
        (tail->bytes.len < SUFFIX_LEN && tail->bytes.len < tail->size))
        return ERR_CORRUPT;
    tail->at = tail->size - tail->bytes.len;
    return OK;
}

/* Makes the tail begin at `from` or before. */
static int tail_reach(struct repo *repo, const struct key *key, struct tail *tail,
                      uint64_t from)
{
    if (from >= tail->at)
        return OK;
    AUTO_BUF longer = {0};
    uint64_t missing = tail->at - from;
    int err = store_get(repo->store, key->s, range_of(from, missing), &longer, NULL, NULL);
    if (err != OK)
        return err;
    if (longer.len != missing)
        return ERR_CORRUPT;
    buf_append_bytes(&longer, buf_bytes(&tail->bytes));
    struct buf old = tail->bytes;
    tail->bytes = longer;
    longer = old;
    tail->at = from;
    return OK;
}

static struct bytes tail_part(const struct tail *tail, uint64_t offset, uint64_t len)
{
    assert(offset >= tail->at && offset + len <= tail->size);
    return bytes_of(tail->bytes.data + (offset - tail->at), len);
}

/* Records, ids, root and footer lie back to back, so the tail from the ids on is one range. */
static bool sections_ok(const struct footer *f, uint64_t footer_at)
{
    return f->records.offset >= TREE_HEADER_LEN &&
           (uint64_t)f->records.offset + f->records.len == f->ids.offset &&
           (uint64_t)f->ids.offset + f->ids.len == f->root.offset &&
           (uint64_t)f->root.offset + f->root.len == footer_at;
}

static int footer_read(struct repo *repo, const struct key *key, struct tail *tail,
                       struct batch *batch)
{
    uint32_t len;
    int err = tree_trailer_find(buf_bytes(&tail->bytes), &len);
    if (err != OK || tail->size < TREE_HEADER_LEN + TREE_TRAILER_LEN + (uint64_t)len)
        return ERR_CORRUPT;
    uint64_t at = tail->size - TREE_TRAILER_LEN - len;
    err = tail_reach(repo, key, tail, at);
    if (err != OK)
        return err;
    struct bytes bytes = tail_part(tail, at, len);
    struct hash hash = sha256(bytes);
    if (!hash_equal(&hash, &batch->tree_hash))
        return ERR_CORRUPT;
    err = footer_decode(bytes, &batch->arena, &batch->footer);
    if (err != OK || !sections_ok(&batch->footer, at))
        return ERR_CORRUPT;
    return OK;
}

/* They are small mostly, and then lie in the tail. If they are damaged, who wants them finds
 * that out. */
static void records_take(const struct batch *batch, const struct tail *tail, struct buf *out)
{
    const struct section *section = &batch->footer.records;
    if (section->offset < tail->at)
        return;
    struct bytes bytes = tail_part(tail, section->offset, section->len);
    struct hash hash = sha256(bytes);
    if (hash_equal(&hash, &section->hash))
        buf_append_bytes(out, bytes);
}

/* `records` gets them where they have been read, too. */
static int batch_fill(struct repo *repo, const struct id16 *project, const struct key *key,
                      struct batch *batch, struct buf *records)
{
    AUTO(tail_release) struct tail tail = {0};
    int err = tail_open(repo, key, &tail);
    if (err == OK)
        err = footer_read(repo, key, &tail, batch);
    if (err == OK)
        err = tail_reach(repo, key, &tail, batch->footer.ids.offset);
    if (err != OK)
        return err;

    const struct footer *f = &batch->footer;
    struct bytes ids = tail_part(&tail, f->ids.offset, f->ids.len);
    struct hash hash = sha256(ids);
    if (!hash_equal(&hash, &f->ids.hash))
        return ERR_CORRUPT;
    err = tree_ids_decode(ids, f->n_records, &batch->arena, &batch->ids);
    if (err != OK)
        return ERR_CORRUPT;
    records_take(batch, &tail, records);

    struct location root = footer_root(f, &batch->tree_hash);
    const struct page_held *page;
    err = page_cache_add(repo->pages, project, &root,
                         tail_part(&tail, f->root.offset, f->root.len), &page);
    if (err == OK)
        page_cache_drop(repo->pages, page);
    return err;
}

static int batch_read(struct repo *repo, const struct id16 *project, struct batch *batch,
                      struct buf *records)
{
    struct key key = key_tree(project, &batch->tree_hash);
    return damage_unless_absent(repo, key.s, batch_fill(repo, project, &key, batch, records));
}

/* ERR_NOT_FOUND when there is no such tree object. */
static int batch_get(struct repo *repo, const struct id16 *project,
                     const struct hash *tree_hash, const struct batch **out)
{
    const struct batch *cached = chain_cache_find(repo->chain, project, tree_hash);
    if (cached != NULL) {
        *out = cached;
        return OK;
    }
    AUTO_BUF records = {0};
    struct batch *batch = chain_cache_new(tree_hash);
    int err = batch_read(repo, project, batch, &records);
    if (err != OK) {
        chain_cache_forget(batch);
        return err;
    }
    *out = chain_cache_add(repo->chain, project, batch);
    if (records.len > 0)
        chain_cache_keep(repo->chain, *out, buf_bytes(&records));
    return OK;
}

int chain_batch(struct repo *repo, const struct id16 *project, const struct hash *tree_hash,
                const struct batch **out)
{
    int err = batch_get(repo, project, tree_hash, out);
    struct key key = key_tree(project, tree_hash);
    return err == ERR_NOT_FOUND ? damage_of(repo, key.s, err) : err;
}

void chain_drop(struct repo *repo, const struct batch *batch)
{
    chain_cache_drop(repo->chain, batch);
}

void chain_remember(struct repo *repo, const struct id16 *project, const struct hash *tree_hash,
                    const struct footer *footer, const struct tree_id *ids,
                    struct bytes records)
{
    struct batch *batch = chain_cache_new(tree_hash);
    batch->footer = *footer;
    batch->footer.companions = arena_array(&batch->arena, footer->n_companions, struct hash);
    for (unsigned i = 0; i < footer->n_companions; i++)
        batch->footer.companions[i] = footer->companions[i];
    batch->ids = arena_array(&batch->arena, footer->n_records, struct tree_id);
    for (uint32_t i = 0; i < footer->n_records; i++)
        batch->ids[i] = ids[i];
    assert(records.len == 0 || records.len == footer->records.len);
    const struct batch *held = chain_cache_add(repo->chain, project, batch);
    chain_cache_keep(repo->chain, held, records);
    chain_drop(repo, held);
}

/* ---- finding a batch ---- */

/* Whether the head is right, by what reading its batch gave. A footer is known by its hash, so
 * where the two disagree it is the head that is damaged; where there is no such tree object
 * either of them may be. */
static int head_check(struct repo *repo, const struct id16 *project, const struct head *head,
                      int err, const struct batch *tip)
{
    struct key key = key_head(project);
    if (err == ERR_NOT_FOUND) {
        struct key tree = key_tree(project, &head->tree_hash);
        damage_log(repo, tree.s, err);
        return damage_of(repo, key.s, ERR_CORRUPT);
    }
    if (err == OK && (tip->footer.position != head->position || tip->footer.hlc != head->hlc))
        return damage_of(repo, key.s, ERR_CORRUPT);
    return err;
}

int chain_verify(struct repo *repo, const struct id16 *project, const struct head *head)
{
    AUTO_BUF records = {0};
    struct batch *batch = chain_cache_new(&head->tree_hash);
    int err = batch_read(repo, project, batch, &records);
    err = head_check(repo, project, head, err, batch);
    chain_cache_forget(batch);
    return err;
}

int chain_tip(struct repo *repo, const struct id16 *project, const struct head *head,
              const struct batch **out)
{
    const struct batch *tip = NULL;
    int err = batch_get(repo, project, &head->tree_hash, &tip);
    err = head_check(repo, project, head, err, tip);
    if (err != OK) {
        chain_drop(repo, tip);
        return err;
    }
    repo_hlc_seen(repo, head->hlc);
    *out = tip;
    return OK;
}

/* Every step goes to a batch with a lower number, so walks end; footers name ancestors at
 * growing distances, so they end soon. */
int chain_step(struct repo *repo, const struct id16 *project, const struct batch *batch,
               uint64_t position, const struct batch **out)
{
    const struct ancestor *next = footer_toward(&batch->footer, position);
    const struct batch *older;
    if (next == NULL)
        return ERR_NOT_FOUND;
    int err = chain_batch(repo, project, &next->tree, &older);
    if (err != OK)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    if (next->batch >= batch->footer.batch || older->footer.batch != next->batch ||
        older->footer.position != next->position) {
        chain_drop(repo, older);
        return ERR_CORRUPT;
    }
    *out = older;
    return OK;
}

int chain_find_from(struct repo *repo, const struct id16 *project, const struct batch *from,
                    uint64_t position, const struct batch **out)
{
    const struct batch *batch = from;
    const struct batch *older;
    int err;
    while ((err = chain_step(repo, project, batch, position, &older)) == OK) {
        chain_drop(repo, batch);
        batch = older;
    }
    if (err != ERR_NOT_FOUND) {
        chain_drop(repo, batch);
        return err;
    }
    *out = batch;
    return OK;
}

int chain_find(struct repo *repo, const struct id16 *project, const struct head *head,
               uint64_t position, const struct batch **out)
{
    const struct batch *tip;
    int err = chain_tip(repo, project, head, &tip);
    if (err != OK)
        return err;
    if (position > head->position) {
        chain_drop(repo, tip);
        return ERR_INVALID;
    }
    return chain_find_from(repo, project, tip, position, out);
}

struct tree chain_tree(struct repo *repo, const struct id16 *project, const struct batch *batch)
{
    return chain_tree_of(repo, project, &batch->footer, &batch->tree_hash);
}

struct tree chain_tree_of(struct repo *repo, const struct id16 *project, const struct footer *f,
                          const struct hash *tree)
{
    return (struct tree){
        .repo = repo,
        .project = *project,
        .root = footer_root(f, tree),
        .content = f->root_content,
        .position = f->position,
        .files = f->files,
        .bytes = f->bytes,
    };
}

/* ---- records ---- */

/* The records section, checked. The footer holds one hash over all of it, so all of it is read
 * even for one record. */
static int section_get(struct repo *repo, const struct id16 *project, const struct batch *batch,
                       struct arena *arena, struct bytes *out)
{
    const struct section *section = &batch->footer.records;
    if (batch->records.len > 0) {
        *out = arena_copy(arena, buf_bytes(&batch->records));
        return OK;
    }
    AUTO_BUF bytes = {0};
    struct key key = key_tree(project, &batch->tree_hash);
    int err = OK;
    if (section->len > 0)
        err = store_get(repo->store, key.s, range_of(section->offset, section->len), &bytes,
                        NULL, NULL);
    struct hash hash = sha256(buf_bytes(&bytes));
    if (err == OK && (bytes.len != section->len || !hash_equal(&hash, &section->hash)))
        err = ERR_CORRUPT;
    if (err == OK)
        *out = arena_copy(arena, buf_bytes(&bytes));
    return damage_of(repo, key.s, err);
}

/* One record, which must be the one that its id announces. */
static int record_decode(struct bytes section, const struct tree_id *id, struct arena *arena,
                         size_t *end, struct landing *out)
{
    if (id->offset > section.len)
        return ERR_CORRUPT;
    struct reader r;
    rd_init(&r, bytes_of(section.data + id->offset, section.len - id->offset));
    struct bytes bytes = rd_run32(&r, RECORDS_MAX);
    if (rd_error(&r) != OK)
        return ERR_CORRUPT;
    struct landing landing;
    int err = landing_decode(bytes, arena, &landing);
    if (err != OK)
        return ERR_CORRUPT;
    if (!id16_equal(&landing.session, &id->session) ||
        !id16_equal(&landing.request, &id->request) || landing.verdict != id->verdict ||
        landing.closes != id->closes)
        return ERR_CORRUPT;
    *end = section.len - rd_left(&r);
    *out = landing;
    return OK;
}

int chain_records(struct repo *repo, const struct id16 *project, const struct batch *batch,
                  struct arena *arena, struct landing **out)
{
    const struct footer *f = &batch->footer;
    struct bytes section;
    int err = section_get(repo, project, batch, arena, &section);
    if (err != OK)
        return err;
    struct landing *landings = arena_array(arena, f->n_records, struct landing);
    size_t at = 0;
    uint64_t position = f->first;
    for (uint32_t i = 0; i < f->n_records; i++) {
        if (batch->ids[i].offset != at)
            return ERR_CORRUPT;
        err = record_decode(section, &batch->ids[i], arena, &at, &landings[i]);
        if (err != OK)
            return err;
        /* A landing is the next position; any other answer is filed under the last one. */
        position += landings[i].verdict == VERDICT_LANDED;
        if (landings[i].position != position)
            return ERR_CORRUPT;
    }
    if (at != section.len || position != f->position)
        return ERR_CORRUPT;
    *out = landings;
    return OK;
}

int chain_record(struct repo *repo, const struct id16 *project, const struct batch *batch,
                 uint32_t index, struct arena *arena, struct landing *out)
{
    assert(index < batch->footer.n_records);
    struct bytes section;
    int err = section_get(repo, project, batch, arena, &section);
    if (err != OK)
        return err;
    size_t end;
    return record_decode(section, &batch->ids[index], arena, &end, out);
}
