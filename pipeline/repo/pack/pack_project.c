#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "pipeline/repo/pack/pack_parts.h"
#include "pipeline/repo/pack/pack_survey.h"
#include "pipeline/repo/pack/pack_walk.h"
#include "pipeline/repo/put_once.h"

/* Waits between two tries, as long as the store says "later". */
#define BACKOFF_MIN_US 2000u
#define BACKOFF_MAX_US 2000000u
/* Tries in a row that come no page further. */
#define STUCK_MAX      16u
#define PROGRESS_PAGES 256u

/* Which `gc` object a project has. */
struct gc_seen {
    bool there;
    struct etag etag;
};

struct pack {
    struct repo *repo;
    struct id16 project;
    const struct pack_options *options;
    struct pack_report *report;
    size_t pages_kept;
    struct page_memo *memo;
    struct pack_parts parts;
    struct gc_seen gc; /* when the first of the parts was begun */
    bool gc_known;
    bool surveyed;
    /* The head that this try goes on from. */
    struct head head;
    struct etag etag;
    const struct batch *tip;
    struct buf root; /* the root page, packed */
    /* Batches that were put on the chain, or perhaps were. */
    struct arena arena;
    struct hash *put;
    size_t n_put;
    size_t cap_put;
    bool unknown;
};

/* --- what others did meanwhile --- */

static int gc_read(struct pack *pack, struct gc_seen *out)
{
    struct key key = key_gc(&pack->project);
    struct store_op op = {
        .verb = STORE_GET, .key = key.s, .want_etag = ETAG_ALWAYS, .range = range_none()};
    *out = (struct gc_seen){0};
    int err = store_one(pack->repo->store, &op);
    if (err == ERR_NOT_FOUND)
        return OK;
    out->there = err == OK;
    out->etag = op.etag;
    return err;
}

/* Read after the head, as those who land do: a run that began before that is seen here, and one
 * that begins later has the head put once before it takes anything, which makes our put fail.
 */
static int gc_compare(struct pack *pack)
{
    struct gc_seen gc;
    int err = gc_read(pack, &gc);
    if (err != OK)
        return err;
    bool same = gc.there == pack->gc.there && strcmp(gc.etag.s, pack->gc.etag.s) == 0;
    if (pack->gc_known && !same) {
        pack_parts_drop(&pack->parts);
        page_memo_clear(pack->memo);
        pack->report->dropped++;
    }
    pack->gc = gc;
    pack->gc_known = true;
    return OK;
}

static bool is_ours(const struct pack *pack, const struct hash *tree)
{
    for (size_t i = 0; i < pack->n_put; i++) {
        if (hash_equal(&pack->put[i], tree))
            return true;
    }
    return false;
}

/* Whether a batch of ours, or one that somebody else has packed, lies between the head and the
 * batch `from` that the last try went on from. */
static int chain_look(struct pack *pack, const struct batch *tip, uint64_t from)
{
    struct hash next = tip->tree_hash;
    for (;;) {
        const struct batch *batch;
        int err = chain_batch(pack->repo, &pack->project, &next, &batch);
        if (err != OK)
            return err;
        bool done = batch->footer.batch <= from;
        bool packed = !done && batch->footer.n_companions > 0;
        bool ours = !done && is_ours(pack, &next);
        struct hash prev = batch->footer.prev;
        chain_drop(pack->repo, batch);
        if (ours) {
            pack->report->packed = true;
            pack->report->tree = next;
        } else if (packed) {
            pack->report->by_other = true;
        }
        if (done || ours || packed)
            return OK;
        next = prev;
    }
}

static int tip_take(struct pack *pack)
{
    const struct batch *tip;
    int err = chain_head(pack->repo, &pack->project, &pack->head, &pack->etag);
    if (err == OK)
        err = chain_tip(pack->repo, &pack->project, &pack->head, &tip);
    if (err != OK)
        return err;
    if (pack->tip != NULL)
        err = chain_look(pack, tip, pack->tip->footer.batch);
    chain_drop(pack->repo, pack->tip);
    pack->tip = tip;
    pack->parts.tip = tip;
    pack->report->position = pack->head.position;
    return err;
}

static bool is_over(const struct pack *pack)
{
    return pack->report->packed || pack->report->by_other;
}

/* --- pages --- */

static void progress_tell(const struct pack *pack, uint64_t pages, bool packing)
{
    const struct pack_options *options = pack->options;
    if (options->progress != NULL && pages % PROGRESS_PAGES == 0)
        options->progress(options->progress_arg, pages, packing);
}

static int page_take(void *arg, const struct location *was UNUSED, struct page *page,
                     const struct page_spot *spots, struct page_spot *out)
{
    struct pack *pack = arg;
    int err = pack_parts_page(&pack->parts, page, spots, out);
    if (err == OK)
        progress_tell(pack, pack->parts.pages, true);
    return err;
}

static int root_take(void *arg, const struct location *was UNUSED, struct page *page,
                     const struct page_spot *spots)
{
    struct pack *pack = arg;
    int err = pack_parts_flush(&pack->parts);
    if (err != OK)
        return err;
    pack_parts_places(&pack->parts, page, spots);
    buf_clear(&pack->root);
    return page_encode(page, &pack->root);
}

static void survey_progress(void *arg, uint64_t pages)
{
    progress_tell(arg, pages, false);
}

/* What the tree is like now. The memo is as it was before: empty. */
static int survey(struct pack *pack, bool *worth)
{
    struct pack_report *report = pack->report;
    struct tree tree = chain_tree(pack->repo, &pack->project, pack->tip);
    struct pack_survey found;
    size_t objects = pack->pages_kept / 8; /* there are fewer of them than of pages */
    int err = pack_survey(&tree, pack->memo, objects, survey_progress, pack, &found);
    page_memo_clear(pack->memo);
    if (err != OK)
        return err;
    pack->surveyed = true;
    report->pages_before = found.pages;
    report->bytes_before = found.bytes;
    report->objects_before = found.objects;
    report->ranges_before = found.ranges;
    uint64_t parts = found.bytes / pack->parts.part_bytes + (found.pages > 1);
    report->ranges_after = 1 + parts + found.bytes / PACK_RANGE;
    /* The root is put with the batch anyway. */
    bool halves = found.ranges >= 2 * report->ranges_after;
    *worth = found.pages > 1 && (pack->options->always || halves);
    return OK;
}

/* --- making it true --- */

/* An empty batch: the same position, files and contents, and the root page as packed. */
static int batch_put(struct pack *pack, struct hash *tree)
{
    struct tree_build build;
    const struct footer *old = &pack->tip->footer;
    struct footer footer = {.files = old->files,
                            .bytes = old->bytes,
                            .root_content = old->root_content,
                            .agent = pack->repo->agent,
                            .companions = pack->parts.names,
                            .n_companions = (uint16_t)pack->parts.n};
    static_assert(COMPANIONS_MAX <= UINT16_MAX, "as many as a footer counts");
    tree_build_init(&build);
    footer_follow(&footer, old, &pack->tip->tree_hash);
    footer.position = old->position;
    footer.hlc = repo_hlc(pack->repo);
    int err = tree_build_finish(&build, buf_bytes(&pack->root), &footer, tree);
    struct key key = key_tree(&pack->project, tree);
    if (err == OK)
        err = put_once(pack->repo, key.s, buf_bytes(&build.bytes));
    tree_build_release(&build);
    if (err == OK) {
        pack->report->parts = pack->parts.n;
        pack->report->objects++;
        pack->head.hlc = footer.hlc;
        pack->head.tree_hash = *tree;
    }
    return err;
}

static int head_put(struct pack *pack, const struct hash *tree)
{
    uint8_t bytes[HEAD_LEN];
    struct key key = key_head(&pack->project);
    struct hash *put = arena_push(&pack->arena, (void **)&pack->put, &pack->n_put,
                                  &pack->cap_put, sizeof(*put));
    *put = *tree;
    head_encode(&pack->head, bytes);
    pack->report->tries++;
    int err = store_put(pack->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH,
                        &pack->etag);
    if (err == OK) {
        pack->report->packed = true;
        pack->report->tree = *tree;
        chain_head_told(pack->repo, &pack->project, &pack->head);
    }
    pack->unknown = pack->unknown || err == ERR_UNKNOWN;
    return err;
}

/* One try, from the head as it is now. */
static int try_once(struct pack *pack)
{
    const struct pack_visit visit = {.page = page_take, .root = root_take, .arg = pack};
    bool worth = true;
    int err = pack->options->dry_run ? OK : repo_clock_ok(pack->repo);
    if (err == OK)
        err = tip_take(pack);
    if (err == OK && !is_over(pack))
        err = gc_compare(pack);
    if (err == OK && !pack->surveyed && !is_over(pack))
        err = survey(pack, &worth);
    if (err != OK || is_over(pack) || !worth || pack->options->dry_run)
        return err;
    struct tree tree = chain_tree(pack->repo, &pack->project, pack->tip);
    struct hash name;
    err = pack_walk(&tree, pack->memo, &visit);
    if (err == OK)
        err = batch_put(pack, &name);
    return err == OK ? head_put(pack, &name) : err;
}

/* --- together --- */

/* Waits a while, longer and longer as long as the store lets nothing be done. */
static void wait_for(struct pack *pack, int err, unsigned stuck)
{
    struct clock *clock = pack->repo->clock;
    uint64_t us = BACKOFF_MIN_US;
    for (unsigned i = 1; i < stuck && us < BACKOFF_MAX_US && err == ERR_AGAIN; i++)
        us *= 2;
    uint64_t interval_us = 1000u * (uint64_t)store_put_interval_ms(pack->repo->store);
    if (us < interval_us)
        us = interval_us;
    clock->sleep_us(clock, us + rng_below(pack->repo->rng, us));
}

/* After the last try: the chain may tell of it more than its put did. */
static int try_told(struct pack *pack, int err)
{
    int looked = tip_take(pack);
    if (looked == OK && is_over(pack))
        return OK;
    return pack->unknown ? ERR_UNKNOWN : err;
}

static int tries_run(struct pack *pack)
{
    unsigned tries_max = pack->options->tries_max > 0 ? pack->options->tries_max : PACK_TRIES;
    unsigned stuck = 0;
    for (;;) {
        uint64_t pages = pack->parts.pages;
        uint64_t tries = pack->report->tries;
        int err = try_once(pack);
        if (err != ERR_CONFLICT && err != ERR_UNKNOWN && err != ERR_AGAIN)
            return err;
        bool moved = pack->parts.pages > pages || pack->report->tries > tries;
        stuck = moved ? 0 : stuck + 1;
        if (pack->report->tries >= tries_max || stuck == STUCK_MAX)
            return try_told(pack, err);
        wait_for(pack, err, stuck);
    }
}

int pack_project(struct repo *repo, const struct id16 *project,
                 const struct pack_options *options, struct pack_report *out)
{
    struct pack pack = {.repo = repo, .project = *project, .options = options, .report = out};
    pack.pages_kept = options->pages_kept > 0 ? options->pages_kept : PACK_PAGES_KEPT;
    size_t part = options->part_bytes > 0 ? options->part_bytes : PACK_PART_BYTES;
    *out = (struct pack_report){0};
    pack.memo = page_memo_open(pack.pages_kept);
    pack_parts_init(&pack.parts, repo, project, part);
    int err = tries_run(&pack);
    out->objects += pack.parts.puts;
    out->pages = pack.parts.pages;
    out->bytes = pack.parts.bytes;
    chain_drop(repo, pack.tip);
    pack_parts_release(&pack.parts);
    page_memo_close(pack.memo);
    buf_release(&pack.root);
    arena_release(&pack.arena);
    return err;
}
