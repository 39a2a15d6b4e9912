#include "tests/support/sample_session.h"

#include "formats/base/hash.h"
#include "formats/hlc.h"

#define SAMPLE_MS 1763695478123u

struct id16 sample_id(uint8_t n)
{
    struct id16 id;
    for (size_t i = 0; i < sizeof(id.b); i++)
        id.b[i] = (uint8_t)(n + i);
    return id;
}

struct hash sample_hash(const char *text)
{
    return sha256(bytes_str(text));
}

struct seen sample_absent(void)
{
    return (struct seen){.said = true, .kind = KIND_NONE};
}

struct seen sample_seen(const char *text)
{
    return (struct seen){
        .said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = sample_hash(text)};
}

static struct seen seen_dir(const char *text)
{
    return (struct seen){.said = true, .kind = KIND_DIR, .hash = sample_hash(text)};
}

struct content sample_inline(const char *text)
{
    return (struct content){
        .kind = KIND_FILE,
        .mode = MODE_PLAIN,
        .size = strlen(text),
        .hash = sample_hash(text),
        .carrier = CARRIER_INLINE_RAW,
        .data = bytes_str(text),
    };
}

struct content sample_source(const char *text)
{
    struct content content = sample_inline(text);
    content.carrier = CARRIER_SOURCE;
    content.data = bytes_of(NULL, 0);
    return content;
}

static struct record operation(uint64_t hlc, enum op op, const char *path)
{
    return (struct record){
        .hlc = hlc,
        .kind = RECORD_OPERATION,
        .operation = {.op = op, .base = 41, .path = bytes_str(path), .seen = sample_absent()},
    };
}

struct record sample_write(uint64_t hlc, const char *path, const char *text)
{
    struct record record = operation(hlc, OP_WRITE, path);
    record.operation.content = sample_inline(text);
    return record;
}

struct record sample_delete(uint64_t hlc, const char *path, struct seen seen)
{
    struct record record = operation(hlc, OP_DELETE, path);
    record.operation.seen = seen;
    return record;
}

struct record sample_rename(uint64_t hlc, const char *path, const char *target,
                            const char *text)
{
    struct record record = operation(hlc, OP_RENAME, path);
    record.operation.target = bytes_str(target);
    record.operation.target_seen = sample_absent();
    record.operation.content = sample_source(text);
    return record;
}

struct record sample_guard(uint64_t hlc, const char *path, struct seen seen)
{
    return (struct record){
        .hlc = hlc,
        .kind = RECORD_GUARD,
        .guard = {.base = 41, .path = bytes_str(path), .seen = seen},
    };
}

struct record sample_start(uint64_t hlc, const char *key, uint64_t base)
{
    return (struct record){
        .hlc = hlc,
        .kind = RECORD_START,
        .start =
            {
                .key = bytes_str(key),
                .base = base,
                .author = bytes_str("ada"),
                .goal = bytes_str("Teach the parser about tabs"),
            },
    };
}

struct session sample_session_empty(const char *key, uint64_t base)
{
    struct session session = {
        .state = SESSION_OPEN,
        .project = sample_id(0x10),
        .owner = owner_of(bytes_str("ada")),
    };
    session.id = session_id(&session.project, &session.owner, bytes_str(key), base);
    return session;
}

static struct record text_record(enum record_kind kind, const char *role, const char *text)
{
    struct record record = {.kind = kind};
    if (kind == RECORD_DECISION) {
        record.decision = bytes_str(text);
    } else {
        record.conversation.role = bytes_str(role);
        record.conversation.text = bytes_str(text);
    }
    return record;
}

static struct record write_of(const char *path, struct seen seen, struct content content)
{
    struct record record = operation(0, OP_WRITE, path);
    record.operation.seen = seen;
    record.operation.content = content;
    return record;
}

static struct record rebase_to(uint64_t base)
{
    return (struct record){.kind = RECORD_REBASE, .rebase = base};
}

static struct content content_on(enum carrier carrier, const char *text)
{
    struct content content = sample_source(text);
    content.carrier = carrier;
    content.manifest = sample_hash("the manifest");
    return content;
}

static struct record start_with_attributes(struct arena *arena)
{
    struct record start = sample_start(0, "sample", 41);
    start.start.attributes = arena_array(arena, 2, struct attribute);
    start.start.n_attributes = 2;
    start.start.attributes[0] =
        (struct attribute){bytes_str("git-author"), bytes_str("Ada <ada@example.org> 1 +0100")};
    start.start.attributes[1] =
        (struct attribute){bytes_str("git-header"), bytes_of("\xff\x00\xfe", 3)};
    return start;
}

struct session sample_session(struct arena *arena)
{
    struct content link = sample_inline("docs/new.md");
    link.kind = KIND_LINK;
    link.mode = 0;
    struct content run = content_on(CARRIER_BLOB, "#!/bin/sh\n");
    run.mode = MODE_EXEC;
    struct content frame = sample_inline("a text that would not compress");
    frame.carrier = CARRIER_INLINE_ZSTD;
    frame.data = bytes_str("not really a frame");
    struct record rename = sample_rename(0, "docs/old.md", "docs/new.md", "# Tabs\n");
    rename.operation.seen = sample_seen("# Tabs\n");
    const struct record records[] = {
        start_with_attributes(arena),
        write_of("src/parser.c", sample_seen("int parse;\n"),
                 sample_inline("int parse(void);\n")),
        write_of("src/frame.c", sample_absent(), frame),
        write_of("bin/run", sample_absent(), run),
        write_of("big.bin", sample_seen("small"), content_on(CARRIER_MANIFEST, "very big")),
        write_of("latest", sample_absent(), link),
        rename,
        sample_delete(0, "junk/a", sample_seen("junk")),
        sample_guard(0, "", seen_dir("root")),
        sample_guard(0, "src", seen_dir("src")),
        sample_guard(0, "README.md", sample_absent()),
        text_record(RECORD_DECISION, NULL, "Tabs count as eight columns."),
        text_record(RECORD_DECISION, NULL, "No option for it."),
        text_record(RECORD_CONVERSATION, "user", "Please make tabs work."),
        text_record(RECORD_CONVERSATION, "assistant", "Looking at the parser – one moment."),
        text_record(RECORD_CONVERSATION, "tool", "3 files found"),
        rebase_to(44),
    };
    struct session session = sample_session_empty("sample", 41);
    session.records = arena_array(arena, ARRAY_LEN(records), struct record);
    session.n_records = ARRAY_LEN(records);
    memcpy(session.records, records, sizeof(records));
    for (size_t i = 0; i < session.n_records; i++)
        session.records[i].hlc = hlc_make(SAMPLE_MS, (uint16_t)i);
    session_assign_ids(&session);
    session.base = 44;
    session.hlc_created = session.records[0].hlc;
    session.hlc_updated = session.records[session.n_records - 1].hlc;
    session.version = 3;
    return session;
}

struct session sample_session_landed(struct arena *arena)
{
    struct session session = sample_session(arena);
    session.state = SESSION_LANDED;
    session.position = 45;
    uint32_t offset = 8;
    for (size_t i = 0; i < session.n_records; i++) {
        struct record *record = &session.records[i];
        if (record->kind != RECORD_OPERATION || record->operation.op == OP_DELETE)
            continue;
        struct content *content = &record->operation.content;
        if (content->carrier == CARRIER_INLINE_RAW)
            content->carrier = CARRIER_TREE_RAW;
        else if (content->carrier == CARRIER_INLINE_ZSTD)
            content->carrier = CARRIER_TREE_ZSTD;
        else
            continue;
        content->offset = offset;
        content->len = (uint32_t)content->data.len;
        content->data = bytes_of(NULL, 0);
        offset += content->len;
    }
    return session;
}

struct landing sample_landing(struct arena *arena, uint64_t position)
{
    struct landing landing = {
        .verdict = VERDICT_LANDED,
        .closes = true,
        .request = sample_id(0x40),
        .owner = owner_of(bytes_str("ada")),
        .hlc = hlc_make(SAMPLE_MS + 5, 0),
        .position = position,
        .has_session = true,
        .landed = sample_session_landed(arena),
    };
    landing.landed.position = position;
    landing.session = landing.landed.id;
    return landing;
}

struct landing sample_conflicted(struct arena *arena, uint64_t position)
{
    struct landing landing = {
        .verdict = VERDICT_CONFLICTED,
        .request = sample_id(0x50),
        .session = sample_id(0x60),
        .owner = owner_of(bytes_str("bob")),
        .hlc = hlc_make(SAMPLE_MS + 6, 0),
        .position = position,
        .reason = bytes_str("conflict"),
        .detail = bytes_str("2 paths are not as they were seen."),
        .n_conflicts = 7,
        .n_listed = 2,
        .conflicts = arena_array(arena, 2, struct conflict),
    };
    landing.conflicts[0] = (struct conflict){
        .what = CONFLICT_OPERATION,
        .path = bytes_str("src/parser.c"),
        .seen = sample_seen("int parse;\n"),
        .there = sample_seen("int parse(void);\n"),
        .by = 45,
    };
    landing.conflicts[1] = (struct conflict){
        .what = CONFLICT_GUARD,
        .seen = seen_dir("root"),
        .there = seen_dir("another root"),
        .by = 45,
    };
    return landing;
}
