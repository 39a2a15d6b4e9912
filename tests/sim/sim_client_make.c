/* What clients write: few paths, so that they meet; with and without seen, deletes, renames,
 * guards, links, and now and then something that a front or a drain must refuse. */
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/path.h"
#include "tests/sim/sim.h"

static const char *const paths[] = {
    "a", "d/a", "b", "d/b", "d/e/a", "f", "i/a", "i/b", "f/g", "d/e", "c", "i/k/l/m", "i", "j",
};

static struct bytes path_draw(const struct client *c)
{
    unsigned n = c->sim->profile.paths;
    return bytes_str(paths[world_below(n < ARRAY_LEN(paths) ? n : ARRAY_LEN(paths))]);
}

static const struct oracle_project *project_of(const struct client *c,
                                               const struct asked_session *s)
{
    return &c->sim->oracle.projects[s->project];
}

/* Where the session stands: its base, or what the head is now. */
static uint64_t position_of(const struct client *c, const struct asked_session *s,
                            uint64_t base)
{
    return base == UINT64_MAX ? project_of(c, s)->position : base;
}

static struct seen seen_at(const struct client *c, const struct asked_session *s, uint64_t base,
                           struct bytes path)
{
    return oracle_seen(project_of(c, s), s, position_of(c, s, base), path);
}

static bool touched(const struct asked_session *s, struct bytes path)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct record *r = &s->records[i].sent;
        if (r->kind == RECORD_OPERATION &&
            (bytes_equal(r->operation.path, path) ||
             (r->operation.op == OP_RENAME && bytes_equal(r->operation.target, path))))
            return true;
    }
    return false;
}

/* What the client says that it has seen: mostly the truth, or nothing. A front may choose the
 * base, and then only it knows. */
static struct seen say_seen(const struct client *c, const struct asked_session *s,
                            uint64_t base, struct bytes path)
{
    if (base == UINT64_MAX || world_chance(5000))
        return (struct seen){0};
    struct seen seen = seen_at(c, s, base, path);
    if (world_chance(500)) {
        seen = (struct seen){.said = true, .kind = KIND_FILE, .mode = MODE_PLAIN};
        seen.hash.b[0] = 1;
    }
    return seen;
}

/* --- contents --- */

struct bytes client_common(void)
{
    return bytes_str(arena_printf(client_arena(), "common %u", (unsigned)world_below(3)));
}

static struct bytes text_draw(const struct client *c)
{
    if (world_chance(2500))
        return client_common();
    AUTO_BUF text = {0};
    unsigned lines = world_chance(1000) ? 200 : 1;
    for (unsigned i = 0; i < lines; i++)
        buf_printf(&text, "%u-%llu;", c->number, (unsigned long long)world_below(1000000));
    return arena_copy(client_arena(), buf_bytes(&text));
}

static struct content content_draw(struct client *c, unsigned project, bool plain)
{
    enum kind kind = world_chance(300) ? KIND_LINK : KIND_FILE;
    uint16_t mode = kind == KIND_LINK ? 0 : world_chance(1000) ? MODE_EXEC : MODE_PLAIN;
    struct bytes text = text_draw(c);
    struct content content = content_inline(client_arena(), kind, mode, text);
    struct content uploaded;
    bool collected = c->sim->profile.collectors > 0;
    if (!plain && collected && world_chance(1500)) { /* somebody has uploaded it, most likely */
        content.carrier = CARRIER_BLOB;
        content.data = (struct bytes){0};
        return content;
    }
    if (!plain && world_chance(collected ? 4000 : 500) &&
        client_upload(c, project, text, &uploaded)) {
        uploaded.kind = kind;
        uploaded.mode = mode;
        return uploaded;
    }
    if (!plain && kind == KIND_FILE && world_chance(collected ? 2500 : 200))
        return client_upload_large(c, project);
    if (!plain && world_chance(60)) /* it is not what it says */
        content.hash = sha256(bytes_str("something else"));
    return content;
}

/* --- operations --- */

static void operation_add(struct asked_session *s, const struct record_operation *operation)
{
    (void)asked_record_add(s,
                           &(struct record){.kind = RECORD_OPERATION, .operation = *operation});
}

static void write_add(struct client *c, struct asked_session *s, uint64_t base)
{
    struct bytes path = path_draw(c);
    operation_add(s, &(struct record_operation){.op = OP_WRITE,
                                                .base = base,
                                                .path = path,
                                                .seen = say_seen(c, s, base, path),
                                                .content = content_draw(c, s->project, false)});
}

static void plain_add(struct client *c, struct asked_session *s, uint64_t base)
{
    static const char *const files[] = {"a", "b", "d/a", "d/b", "d/e/a", "f", "i/a", "i/b"};
    struct bytes path = bytes_str(files[world_below(ARRAY_LEN(files))]);
    operation_add(s, &(struct record_operation){.op = OP_WRITE,
                                                .base = base,
                                                .path = path,
                                                .content = content_draw(c, s->project, true)});
}

/* A path that is a file where the session stands, and that it has not touched. */
static bool file_draw(struct client *c, const struct asked_session *s, uint64_t base,
                      struct bytes *out)
{
    for (unsigned i = 0; i < 5; i++) {
        *out = path_draw(c);
        if (!touched(s, *out) && seen_at(c, s, base, *out).kind != KIND_NONE)
            return true;
    }
    return false;
}

static void delete_add(struct client *c, struct asked_session *s, uint64_t base)
{
    struct bytes path;
    if (!file_draw(c, s, base, &path) && world_chance(9500)) {
        write_add(c, s, base);
        return;
    }
    operation_add(s, &(struct record_operation){.op = OP_DELETE,
                                                .base = base,
                                                .path = path,
                                                .seen = say_seen(c, s, base, path)});
}

/* Content that the path has where the session stands; `told` spells out which. */
static struct content kept(const struct seen *seen, bool told)
{
    struct content content = {
        .kind = seen->kind, .mode = seen->mode, .carrier = CARRIER_SOURCE};
    if (told)
        content.hash = seen->hash;
    return content;
}

static uint64_t size_of(const struct client *c, const struct asked_session *s, uint64_t base,
                        struct bytes path)
{
    const struct tree_model *tree =
        serial_at(&project_of(c, s)->serial, position_of(c, s, base));
    return tree_model_find(tree, path).size;
}

static void rename_add(struct client *c, struct asked_session *s, uint64_t base, bool alone)
{
    struct bytes from;
    struct bytes to = path_draw(c);
    if (base == UINT64_MAX || s->n_over > 0 || !file_draw(c, s, base, &from) ||
        bytes_equal(from, to) || touched(s, to)) {
        write_add(c, s, base);
        return;
    }
    struct seen seen = seen_at(c, s, base, from);
    struct record_operation operation = {.op = OP_RENAME,
                                         .base = base,
                                         .path = from,
                                         .seen = say_seen(c, s, base, from),
                                         .target = to,
                                         .target_seen = say_seen(c, s, base, to),
                                         .content = kept(&seen, !alone || world_chance(5000))};
    operation.content.size = size_of(c, s, base, from);
    if (world_chance(300)) /* content that is nowhere */
        operation.content.hash = sha256(bytes_str("nowhere"));
    operation_add(s, &operation);
}

/* The same bytes with another mode. */
static void mode_add(struct client *c, struct asked_session *s, uint64_t base)
{
    struct bytes path;
    if (base == UINT64_MAX || s->n_over > 0 || !file_draw(c, s, base, &path) ||
        seen_at(c, s, base, path).kind != KIND_FILE) {
        write_add(c, s, base);
        return;
    }
    struct seen seen = seen_at(c, s, base, path);
    struct content content = kept(&seen, true);
    content.mode = seen.mode == MODE_EXEC ? MODE_PLAIN : MODE_EXEC;
    content.size = size_of(c, s, base, path);
    operation_add(s, &(struct record_operation){.op = OP_WRITE,
                                                .base = base,
                                                .path = path,
                                                .seen = say_seen(c, s, base, path),
                                                .content = content});
}

static void guard_add(struct client *c, struct asked_session *s, uint64_t base)
{
    struct bytes path = path_draw(c);
    if (world_chance(c->sim->profile.gather ? 9000 : 4000))
        path = path_parent(path);
    struct record_guard guard = {.base = base, .path = path};
    if (base != UINT64_MAX && s->n_over == 0 && world_chance(4000))
        guard.seen = serial_guard(serial_at(&project_of(c, s)->serial, base), path);
    (void)asked_record_add(s, &(struct record){.kind = RECORD_GUARD, .guard = guard});
}

static void talk_add(struct asked_session *s)
{
    struct record record = {.kind = RECORD_DECISION};
    record.decision = bytes_str(arena_printf(client_arena(), "so be it %zu", s->n));
    if (world_chance(5000)) {
        struct bytes text = record.decision;
        record = (struct record){.kind = RECORD_CONVERSATION};
        record.conversation.role = bytes_str("user");
        record.conversation.text = text;
    }
    (void)asked_record_add(s, &record);
}

void make_records(struct client *c, struct asked_session *s, uint64_t base, unsigned n,
                  enum make_manner manner)
{
    bool alone = manner == MAKE_ALONE;
    for (unsigned i = 0; i < n; i++) {
        uint64_t roll = world_below(100);
        if (manner == MAKE_PLAIN)
            plain_add(c, s, base);
        else if (roll < 60)
            write_add(c, s, base);
        else if (roll < 70)
            delete_add(c, s, base);
        else if (roll < 78)
            rename_add(c, s, base, alone);
        else if (roll < 82)
            mode_add(c, s, base);
        else if (roll < 94)
            guard_add(c, s, base);
        else
            talk_add(s);
    }
}

/* --- sessions --- */

void make_session(struct client *c, struct asked_session *s, unsigned project, uint64_t base,
                  bool whole)
{
    struct bytes key = bytes_str(arena_printf(client_arena(), "c%u-%u", c->number, c->keys++));
    *s = (struct asked_session){.project = project,
                                .author = c->caller.author,
                                .owner = c->caller.owner,
                                .key = key,
                                .base = base,
                                .whole = whole};
    struct record start = {.kind = RECORD_START};
    start.start = (struct record_start){
        .key = key, .base = base, .author = c->caller.author, .goal = key};
    (void)asked_record_add(s, &start);
}

struct bytes make_key(unsigned number)
{
    return bytes_str(arena_printf(client_arena(), "k%u", number));
}

void make_id(struct asked_session *s, struct asked_record *record, unsigned number)
{
    AUTO_BUF payload = {0};
    record_payload(&record->sent, &payload);
    struct bytes key = number == 0 ? bytes_str("start") : make_key(number);
    record->sent.id = record_id(&s->owner, &s->id, key, buf_bytes(&payload));
}

static void over_set(struct asked_session *s, struct bytes path, const struct seen *seen)
{
    size_t i = 0;
    while (i < s->n_over && !bytes_equal(s->over[i].path, path))
        i++;
    s->over[i] = (struct over){.path = path, .seen = *seen};
    s->n_over += i == s->n_over;
}

void make_over(const struct asked_session *s, struct asked_session *next)
{
    struct arena *arena = client_arena();
    struct record *records = arena_array(arena, s->n, struct record);
    struct net net;
    for (size_t i = 0; i < s->n; i++)
        records[i] = s->records[i].sent;
    net_of(records, s->n, true, arena, &net);
    next->over = arena_array(arena, s->n_over + net.n, struct over);
    for (size_t i = 0; i < s->n_over; i++)
        next->over[i] = s->over[i];
    next->n_over = s->n_over;
    for (size_t i = 0; i < net.n; i++) {
        const struct net_effect *effect = &net.effects[i];
        struct seen seen = seen_of(effect->kind == EFFECT_WRITE ? &effect->there : NULL);
        over_set(next, effect->path, &seen);
    }
}
