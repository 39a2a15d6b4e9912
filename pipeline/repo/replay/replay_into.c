/* Replay into a new project. */
#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/repo/replay/replay_inside.h"

/* Landings and bytes that make a batch of the new project full. */
#define LANDINGS_MAX 1000u
#define BYTES_MAX    (32u * MIB)

struct into {
    struct repo *repo;
    const struct id16 *project;
    const struct replay_options *options;
    struct project_info info; /* of the new project */
    struct head head;         /* of the new project, as it was put last */
    struct etag etag;
    struct footer tip; /* of that head */
    struct tree_edit *edit;
    struct tree_build build; /* what is new since */
    uint64_t landed;         /* answers in it */
    uint64_t answers;
    uint64_t position;
    uint64_t hlc;
    bool ended; /* `to` has been reached, or the end of the log */
    struct replay_place place;
    struct replay_report *report;
};

/* ---- what is put ---- */

static void edit_open(struct into *in, const struct tree *tree)
{
    tree_edit_close(in->edit);
    tree_build_release(&in->build);
    tree_build_init(&in->build);
    in->edit = tree_edit_open(tree);
    in->landed = 0;
    in->answers = 0;
}

static void tip_open(struct into *in)
{
    struct tree tree = chain_tree_of(in->repo, &in->info.id, &in->tip, &in->head.tree_hash);
    edit_open(in, &tree);
}

/* The head as it lies there, and its batch. */
static int tip_read(struct into *in)
{
    int err = chain_head(in->repo, &in->info.id, &in->head, &in->etag);
    const struct batch *tip;
    if (err == OK)
        err = chain_tip(in->repo, &in->info.id, &in->head, &tip);
    if (err != OK)
        return err;
    in->tip = tip->footer;
    in->tip.companions = NULL;
    in->tip.n_companions = 0;
    chain_drop(in->repo, tip);
    return OK;
}

/* Puts a tree object of all that was applied, and goes on upon it. The head comes after it. */
static int tree_put(struct into *in)
{
    AUTO_BUF root = {0};
    struct footer footer = {0};
    footer_follow(&footer, &in->tip, &in->head.tree_hash);
    footer.position = in->position;
    footer.hlc = in->hlc;
    footer.agent = in->repo->agent;
    struct hash tree;
    int err = tree_edit_seal(in->edit, &in->build, &root, &footer);
    if (err == OK)
        err = tree_build_finish(&in->build, buf_bytes(&root), &footer, &tree);
    struct key key = key_tree(&in->info.id, &tree);
    if (err == OK)
        err = put_once(in->repo, key.s, buf_bytes(&in->build.bytes));
    if (err != OK)
        return err;
    tree_edit_publish(in->edit, &tree);
    in->tip = footer;
    in->head = (struct head){.position = in->position, .tree_hash = tree, .hlc = in->hlc};
    tip_open(in);
    return OK;
}

static int head_put(struct into *in)
{
    uint8_t bytes[HEAD_LEN];
    head_encode(&in->head, bytes);
    struct key key = key_head(&in->info.id);
    int err =
        store_put(in->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &in->etag);
    if (err != ERR_CONFLICT && err != ERR_UNKNOWN)
        return err;
    struct head there;
    int got = chain_head(in->repo, &in->info.id, &there, &in->etag);
    if (got == OK && hash_equal(&there.tree_hash, &in->head.tree_hash))
        return OK;
    /* Another process makes the same. */
    return got != OK ? got : ERR_AGAIN;
}

static int flush(struct into *in)
{
    if (in->answers == 0)
        return OK;
    int err = tree_put(in);
    return err == OK ? head_put(in) : err;
}

/* ---- one batch of the log ---- */

/* What of the old tree object is needed: its records, and where their contents lie. */
struct old {
    struct landing *landings;
    uint64_t from;
    uint64_t end;
    struct buf contents;
};

static int old_say(struct into *in, const struct replay_batch *batch, const char *what)
{
    return replay_say(&in->report->fault, batch->footer.first + 1,
                      "the %s in tree object %s are missing or damaged", what,
                      hash_hex(&batch->tree).s);
}

static bool in_tree(const struct record *record)
{
    return record->kind == RECORD_OPERATION && record->operation.op != OP_DELETE &&
           (record->operation.content.carrier == CARRIER_TREE_RAW ||
            record->operation.content.carrier == CARRIER_TREE_ZSTD);
}

static void extent_add(struct old *old, const struct landing *landing)
{
    for (size_t i = 0; landing->has_session && i < landing->landed.n_records; i++) {
        const struct record *record = &landing->landed.records[i];
        if (!in_tree(record))
            continue;
        const struct content *content = &record->operation.content;
        uint64_t end = (uint64_t)content->offset + content->len;
        old->from = old->end == 0 || content->offset < old->from ? content->offset : old->from;
        old->end = end > old->end ? end : old->end;
    }
}

/* Decodes the records of a batch, which must lie behind their contents. */
static int records_take(struct into *in, const struct replay_batch *batch, struct bytes section,
                        struct arena *arena, struct old *old)
{
    const struct footer *f = &batch->footer;
    struct hash hash = sha256(section);
    if (section.len != f->records.len || !hash_equal(&hash, &f->records.hash))
        return old_say(in, batch, "records");
    struct reader r;
    rd_init(&r, arena_copy(arena, section));
    old->landings = arena_array(arena, f->n_records, struct landing);
    for (uint32_t i = 0; i < f->n_records; i++) {
        struct bytes bytes = rd_run32(&r, RECORDS_MAX);
        if (rd_error(&r) != OK || landing_decode(bytes, arena, &old->landings[i]) != OK)
            return old_say(in, batch, "records");
        extent_add(old, &old->landings[i]);
    }
    if (old->end > f->records.offset)
        return old_say(in, batch, "places of contents");
    return OK;
}

static int records_get(struct into *in, const struct replay_batch *batches, size_t n,
                       struct arena *arena, struct old *olds)
{
    struct key keys[REPLAY_AT_ONCE];
    struct buf bodies[REPLAY_AT_ONCE] = {0};
    struct store_op ops[REPLAY_AT_ONCE] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct section *records = &batches[i].footer.records;
        keys[i] = key_tree(in->project, &batches[i].tree);
        ops[i] = (struct store_op){.verb = STORE_GET,
                                   .key = keys[i].s,
                                   .range = range_of(records->offset, records->len),
                                   .body = &bodies[i]};
    }
    (void)!store_many(in->repo->store, ops, n); /* each has its own answer */
    int err = OK;
    for (size_t i = 0; i < n; i++) {
        if (err == OK)
            err = ops[i].err;
        if (err == ERR_NOT_FOUND || err == ERR_INVALID)
            err = old_say(in, &batches[i], "records");
        if (err == OK)
            err = records_take(in, &batches[i], buf_bytes(&bodies[i]), arena, &olds[i]);
        buf_release(&bodies[i]);
    }
    return err;
}

static int contents_get(struct into *in, const struct replay_batch *batches, size_t n,
                        struct old *olds)
{
    struct key keys[REPLAY_AT_ONCE];
    struct store_op ops[REPLAY_AT_ONCE] = {0};
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        if (olds[i].end == olds[i].from)
            continue;
        keys[n_ops] = key_tree(in->project, &batches[i].tree);
        ops[n_ops] =
            (struct store_op){.verb = STORE_GET,
                              .key = keys[n_ops].s,
                              .range = range_of(olds[i].from, olds[i].end - olds[i].from),
                              .body = &olds[i].contents};
        n_ops++;
    }
    int err = n_ops > 0 ? store_many(in->repo->store, ops, n_ops) : OK;
    /* They were there when the records were read. */
    return err == ERR_NOT_FOUND || err == ERR_INVALID ? old_say(in, &batches[0], "contents")
                                                      : err;
}

/* Copies the contents of a landing into the new tree object: its records say then where. */
static int contents_place(struct into *in, const struct old *old, struct landing *landing)
{
    AUTO(arena_release) struct arena scratch = {0};
    for (size_t i = 0; i < landing->landed.n_records; i++) {
        struct record *record = &landing->landed.records[i];
        if (!in_tree(record))
            continue;
        struct content *content = &record->operation.content;
        if (content->offset - old->from + content->len > old->contents.len)
            return ERR_CORRUPT;
        struct bytes stored =
            bytes_of(old->contents.data + (content->offset - old->from), content->len);
        struct bytes plain;
        int err = content_unpack(&scratch, content->carrier == CARRIER_TREE_ZSTD, stored,
                                 content->size, &content->hash, &plain);
        if (err != OK) {
            struct bytes path = record->operation.path;
            return replay_say(
                &in->report->fault, landing->position,
                "the content of %.*s is not what the log says: %s is not its hash",
                (int)(path.len < 200 ? path.len : 200), (const char *)path.data,
                hash_hex(&content->hash).s);
        }
        err = tree_build_add(&in->build, stored, &content->offset);
        if (err != OK)
            return err;
        in->report->contents++;
    }
    return OK;
}

/* Whether the log says what the record says, but for where contents lie. */
static bool entry_same(const struct log_entry *a, const struct log_entry *b)
{
    if (a->verdict != b->verdict || a->closes != b->closes || a->position != b->position ||
        a->hlc != b->hlc || a->n_effects != b->n_effects ||
        !id16_equal(&a->request, &b->request) || !id16_equal(&a->session, &b->session) ||
        !id16_equal(&a->owner, &b->owner) || !bytes_equal(a->author, b->author) ||
        !bytes_equal(a->goal, b->goal) || !bytes_equal(a->reason, b->reason))
        return false;
    for (uint32_t i = 0; i < a->n_effects; i++) {
        const struct log_effect *x = &a->effects[i];
        const struct log_effect *y = &b->effects[i];
        if (x->kind != y->kind || !bytes_equal(x->path, y->path))
            return false;
        if (x->kind == EFFECT_WRITE &&
            (x->file_kind != y->file_kind || x->mode != y->mode || x->size != y->size ||
             !hash_equal(&x->hash, &y->hash) || x->where.place != y->where.place))
            return false;
    }
    return true;
}

static int answer_take(struct into *in, const struct old *old, const struct log_entry *entry,
                       struct landing *landing)
{
    AUTO(arena_release) struct arena scratch = {0};
    static const struct hash self;
    struct log_entry made;
    int err = landing->has_session ? contents_place(in, old, landing) : OK;
    if (err == OK)
        err = log_entry_of(landing, &self, &scratch, &made);
    if (err == OK && !entry_same(entry, &made))
        err = replay_say(&in->report->fault, entry->position,
                         "the log is not what the record of request %s says",
                         id16_hex(&entry->request).s);
    if (err != OK)
        return err;
    struct location *wheres = arena_array(&scratch, made.n_effects, struct location);
    for (uint32_t i = 0; i < made.n_effects; i++)
        wheres[i] = made.effects[i].where;
    if (entry->verdict == VERDICT_LANDED)
        err = replay_apply(in->edit, entry, wheres, &in->report->fault);
    if (err == OK)
        err = tree_build_record(&in->build, landing);
    in->answers += err == OK;
    in->landed += err == OK && entry->verdict == VERDICT_LANDED;
    return err;
}

/* The batch goes on behind `to`: what is left of it is only compared. */
static int rest_compare(struct into *in, const struct replay_batch *batch, uint32_t from)
{
    int err = tree_put(in);
    for (uint32_t i = from; i < batch->n && err == OK; i++) {
        if (batch->entries[i].verdict == VERDICT_LANDED)
            err = replay_apply(in->edit, &batch->entries[i], NULL, &in->report->fault);
    }
    if (err == OK)
        err = replay_compare(in->edit, batch, &in->report->fault);
    if (err == OK)
        err = head_put(in);
    in->ended = true;
    tip_open(in);
    return err;
}

static int batch_take(struct into *in, const struct replay_batch *batch, const struct old *old)
{
    int err = replay_follows(in->repo, in->project, &in->place, batch, &in->report->fault);
    in->hlc = batch->footer.hlc;
    for (uint32_t i = 0; i < batch->n && err == OK; i++) {
        err = answer_take(in, old, &batch->entries[i], &old->landings[i]);
        in->position = batch->entries[i].position;
        if (err == OK && in->position == in->options->to && i + 1 < batch->n &&
            batch->entries[i].verdict == VERDICT_LANDED) {
            in->report->position = in->position;
            return rest_compare(in, batch, i + 1);
        }
    }
    if (err == OK)
        err = replay_compare(in->edit, batch, &in->report->fault);
    if (err != OK)
        return err;
    replay_place_move(&in->place, batch);
    in->report->position = in->position;
    in->report->batches++;
    uint32_t max = in->options->landings_max > 0 ? in->options->landings_max : LANDINGS_MAX;
    bool full = in->landed >= max || in->build.bytes.len >= BYTES_MAX ||
                in->build.records.len >= BYTES_MAX;
    return full ? flush(in) : OK;
}

/* Batches whose records are in memory; their contents come as many as memory allows. */
static int batches_take(struct into *in, const struct replay_batch *batches, size_t n)
{
    AUTO(arena_release) struct arena arena = {0};
    struct old *olds = arena_array(&arena, n, struct old);
    int err = replay_blobs_copy(in->repo, in->project, &in->info.id, batches, n,
                                in->options->to, in->report);
    if (err == OK)
        err = records_get(in, batches, n, &arena, olds);
    for (size_t i = 0; i < n && err == OK;) {
        size_t from = i;
        uint64_t bytes = 0;
        while (i < n && (i == from || bytes + olds[i].end - olds[i].from <= BYTES_MAX)) {
            bytes += olds[i].end - olds[i].from;
            i++;
        }
        err = contents_get(in, batches + from, i - from, olds + from);
        for (size_t k = from; k < i; k++) {
            if (err == OK && !in->ended)
                err = batch_take(in, &batches[k], &olds[k]);
            buf_release(&olds[k].contents);
        }
    }
    return err;
}

static int block_take(struct into *in, const struct replay_block *block)
{
    if (block->passed.begun)
        in->place = block->passed;
    int err = OK;
    for (size_t i = 0; i < block->n && err == OK && !in->ended;) {
        size_t from = i;
        uint64_t bytes = 0;
        while (i < block->n && i - from < REPLAY_AT_ONCE &&
               (i == from || bytes + block->batches[i].footer.records.len <= BYTES_MAX))
            bytes += block->batches[i++].footer.records.len;
        err = batches_take(in, block->batches + from, i - from);
    }
    if (err != OK)
        return err;
    if (block->fault.found)
        in->report->fault = block->fault;
    in->ended = in->ended || block->err == ERR_NOT_FOUND;
    return in->ended ? OK : block->err;
}

/* ---- all of it ---- */

static int log_take(struct into *in, struct replay_source *source)
{
    struct replay_reader *reader = replay_reader_open(source, in->options->read_ahead);
    int err = OK;
    while (err == OK && !in->ended) {
        struct replay_block *block = replay_reader_next(reader);
        err = block_take(in, block);
        replay_block_free(block);
        if (err == OK && in->options->progress != NULL)
            in->options->progress(in->options->progress_arg, in->report);
    }
    replay_reader_close(reader);
    return err;
}

/* What lies under the new project's id, made first if nothing does. */
static int target_open(struct into *in)
{
    struct key key = key_head(&in->info.id);
    int err = store_get(in->repo->store, key.s, range_none(), NULL, NULL, NULL);
    if (err == ERR_NOT_FOUND)
        err = project_begin(in->repo, &in->info);
    if (err == OK)
        err = tip_read(in);
    if (err != OK)
        return err;
    in->position = in->head.position;
    in->hlc = in->head.hlc;
    in->report->from = in->head.position;
    in->report->position = in->head.position;
    tip_open(in);
    return OK;
}

static int target_fill(struct into *in)
{
    struct replay_source source;
    bool whole = in->options->to == UINT64_MAX;
    int err = replay_source_open(&source, in->repo, in->project, in->head.position,
                                 &in->report->fault);
    if (err != OK)
        return err;
    source.to = in->options->to;
    source.after_hlc = in->head.hlc;
    in->report->end = whole ? source.head.position : in->options->to;
    if (!whole && in->options->to > source.head.position)
        err = ERR_INVALID;
    else if (whole || in->head.position < in->options->to)
        err = log_take(in, &source);
    /* What agrees is kept, whatever comes behind it. */
    if (err == OK || err == ERR_CORRUPT) {
        int flushed = err == OK ? flush(in) : OK;
        err = flushed != OK ? flushed : err;
    }
    if (err == OK && whole)
        err = replay_head_reached(in->repo, in->project, &in->place, &source.head,
                                  &in->report->fault);
    replay_source_release(&source);
    return err;
}

/* The same project, handle and end make the same id, and references go where the project that
 * the same makes looks for its own. */
static struct id16 target_id(const struct id16 *project, struct bytes handle, uint64_t to)
{
    AUTO_BUF end = {0};
    wr_u64(&end, to);
    struct id16 plain = project_id_plain(project);
    struct bytes parts[] = {bytes_of(plain.b, sizeof(plain.b)), handle, buf_bytes(&end)};
    struct id16 id = id16_derive("micelio replay into", parts, ARRAY_LEN(parts));
    return project_id_is_refs(project) ? project_id_refs(&id) : project_id_plain(&id);
}

/* What is put last tells: the handle, and of references the `project` object. */
static int made_before(struct into *in, bool *done)
{
    struct id16 there;
    struct id16 plain = project_id_plain(&in->info.id);
    int err = project_find(in->repo, in->info.handle, &there);
    if (err == OK && !id16_equal(&there, &plain))
        return ERR_CONFLICT;
    if (project_id_is_refs(&in->info.id) && (err == OK || err == ERR_NOT_FOUND)) {
        struct key key = key_project(&in->info.id);
        err = store_get(in->repo->store, key.s, range_none(), NULL, NULL, NULL);
    }
    *done = err == OK;
    return err == ERR_NOT_FOUND ? OK : err;
}

static int into_run(struct into *in)
{
    bool done;
    int err = made_before(in, &done);
    if (err == OK)
        err = target_open(in);
    if (err != OK)
        return err;
    in->report->done_before = done && err == OK;
    if (done || err != OK)
        return err;
    err = target_fill(in);
    return err == OK ? project_publish(in->repo, &in->info) : err;
}

int replay_into(struct repo *repo, const struct id16 *project, struct bytes handle,
                const struct replay_options *options, struct replay_report *report,
                struct id16 *out)
{
    *report = (struct replay_report){0};
    struct id16 id;
    if (handle_check(handle) != OK || id16_parse(handle, &id) == OK)
        return ERR_INVALID;
    AUTO(arena_release) struct arena arena = {0};
    struct project_info old;
    int err = project_info_get(repo, project, &arena, &old);
    if (err != OK)
        return err;
    struct into in = {.repo = repo, .project = project, .options = options, .report = report};
    in.info = (struct project_info){.id = target_id(project, handle, options->to),
                                    .hlc_created = old.hlc_created,
                                    .handle = handle};
    tree_build_init(&in.build);
    err = into_run(&in);
    tree_edit_close(in.edit);
    tree_build_release(&in.build);
    if (err == OK)
        *out = in.info.id;
    return err;
}
