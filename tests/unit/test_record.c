#include "formats/record.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/golden.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

static struct arena arena;

/* A string of `len` times the letter a. */
static struct bytes letters(size_t len)
{
    uint8_t *text = arena_alloc(&arena, len);
    memset(text, 'a', len);
    return bytes_of(text, len);
}

static int decode(struct bytes in, struct record *out)
{
    struct reader r;
    rd_init(&r, in);
    *out = record_read(&r, &arena);
    return rd_end(&r);
}

static int decode_exact(struct bytes in, struct record *out)
{
    /* A copy of exactly this size, so that a sanitizer sees a read past its end. */
    uint8_t *copy = malloc(in.len == 0 ? 1 : in.len);
    ck_assert_ptr_nonnull(copy);
    if (in.len > 0)
        memcpy(copy, in.data, in.len);
    int err = decode(bytes_of(copy, in.len), out);
    free(copy);
    return err;
}

static void samples(struct session *session, struct record *abandon, struct record *land)
{
    *session = sample_session(&arena);
    *abandon = (struct record){.id = sample_id(1), .hlc = 7, .kind = RECORD_ABANDON};
    abandon->abandon = bytes_str("not worth it");
    *land = (struct record){.id = sample_id(2), .hlc = 8, .kind = RECORD_LAND};
    land->land.whole = true;
    land->land.n = 2;
    land->land.items = arena_array(&arena, 2, struct record_land_item);
    land->land.items[0].session = sample_id(3);
    land->land.items[0].records = arena_array(&arena, 2, struct id16);
    land->land.items[0].n = 2;
    land->land.items[0].records[0] = sample_id(4);
    land->land.items[0].records[1] = sample_id(5);
    land->land.items[1].session = sample_id(6);
}

START_TEST(golden_bytes)
{
    struct session session;
    struct record last[2];
    samples(&session, &last[0], &last[1]);
    AUTO_BUF out = {0};
    for (size_t i = 0; i < session.n_records; i++)
        record_write(&out, &session.records[i]);
    record_write(&out, &last[0]);
    record_write(&out, &last[1]);
    golden_check("record", buf_bytes(&out));

    AUTO_BUF golden = {0};
    golden_read("record", &golden);
    struct reader r;
    rd_init(&r, buf_bytes(&golden));
    AUTO_BUF again = {0};
    for (size_t i = 0; i < session.n_records + 2; i++) {
        struct record record = record_read(&r, &arena);
        ck_assert_int_eq(rd_error(&r), OK);
        record_write(&again, &record);
    }
    ck_assert_int_eq(rd_end(&r), OK);
    golden_check("record", buf_bytes(&again));
}
END_TEST

START_TEST(what_is_cut_short_is_refused)
{
    struct session session;
    struct record records[32];
    samples(&session, &records[0], &records[1]);
    memcpy(&records[2], session.records, session.n_records * sizeof(records[0]));
    for (size_t i = 0; i < session.n_records + 2; i++) {
        AUTO_BUF out = {0};
        record_write(&out, &records[i]);
        struct record record;
        for (size_t len = 0; len < out.len; len++)
            ck_assert_int_ne(decode_exact(bytes_of(out.data, len), &record), OK);
        /* The same with a payload that says its shorter length. */
        for (size_t len = 29; len < out.len; len++) {
            wr_u32_at(&out, 25, (uint32_t)(len - 29));
            ck_assert_int_ne(decode_exact(bytes_of(out.data, len), &record), OK);
        }
        wr_u8(&out, 0);
        wr_u32_at(&out, 25, (uint32_t)(out.len - 29));
        ck_assert_int_ne(decode_exact(buf_bytes(&out), &record), OK);
    }
}
END_TEST

/* Checks that `record` is refused, as a struct and as bytes, and for which field. */
static void refused(const struct record *record, int err, const char *field)
{
    const char *found = NULL;
    ck_assert_int_eq(record_check(record, &found), err);
    ck_assert_str_eq(found, field);
    ck_assert_int_eq(record_check(record, NULL), err);
    AUTO_BUF out = {0};
    record_write(&out, record);
    struct record again;
    ck_assert_int_ne(decode_exact(buf_bytes(&out), &again), OK);
}

static void accepted(const struct record *record)
{
    ck_assert_int_eq(record_check(record, NULL), OK);
    AUTO_BUF out = {0};
    record_write(&out, record);
    struct record again;
    ck_assert_int_eq(decode(buf_bytes(&out), &again), OK);
    AUTO_BUF bytes = {0};
    record_write(&bytes, &again);
    ck_assert(bytes_equal(buf_bytes(&out), buf_bytes(&bytes)));
}

START_TEST(paths_are_checked)
{
    static const char *const bad[] = {"",       "/a",     "a//b", "..",
                                      "a/../b", ".git/x", "a\nb", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct record write = sample_write(1, bad[i], "x");
        refused(&write, ERR_INVALID, "path");
        struct record delete = sample_delete(1, bad[i], sample_absent());
        refused(&delete, ERR_INVALID, "path");
        struct record rename = sample_rename(1, "a", bad[i], "x");
        refused(&rename, ERR_INVALID, "target");
        rename = sample_rename(1, bad[i], "a", "x");
        refused(&rename, ERR_INVALID, "path");
        struct record guard = sample_guard(1, bad[i], sample_absent());
        if (bad[i][0] == '\0')
            accepted(&guard);
        else
            refused(&guard, ERR_INVALID, "path");
    }
    struct record rename = sample_rename(1, "a", "a", "x");
    refused(&rename, ERR_INVALID, "target");
    rename = sample_rename(1, "a", "b", "x");
    accepted(&rename);
    struct record delete = sample_delete(1, "a", sample_absent());
    delete.operation.path = letters(PATH_LEN_MAX + 1);
    refused(&delete, ERR_LIMIT, "path");
}
END_TEST

START_TEST(bases_have_48_bits)
{
    struct record records[] = {
        sample_start(1, "k", BASE_END),
        sample_delete(1, "a", sample_absent()),
        sample_guard(1, "a", sample_absent()),
        {.kind = RECORD_REBASE, .rebase = BASE_END},
    };
    records[1].operation.base = BASE_END;
    records[2].guard.base = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        refused(&records[i], ERR_LIMIT, "base");
    records[0].start.base--;
    records[1].operation.base--;
    records[2].guard.base = BASE_END - 1;
    records[3].rebase--;
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        accepted(&records[i]);
}
END_TEST

START_TEST(contents_are_checked)
{
    struct record write = sample_write(1, "a", "x");
    write.operation.content.mode = 0666;
    refused(&write, ERR_INVALID, "mode");
    write.operation.content.mode = MODE_EXEC;
    accepted(&write);
    write.operation.content.kind = KIND_LINK;
    refused(&write, ERR_INVALID, "mode");
    write.operation.content.kind = KIND_DIR;
    refused(&write, ERR_INVALID, "kind");

    write = sample_write(1, "a", "x");
    write.operation.content.size = 2;
    refused(&write, ERR_INVALID, "size");
    write.operation.content.data = letters(INLINE_CONTENT_MAX);
    write.operation.content.size = INLINE_CONTENT_MAX;
    accepted(&write);
    write.operation.content.data = letters(INLINE_CONTENT_MAX + 1);
    write.operation.content.size = INLINE_CONTENT_MAX + 1;
    refused(&write, ERR_LIMIT, "content");
    write = sample_write(1, "a", "x");
    write.operation.content.carrier = CARRIER_INLINE_ZSTD;
    write.operation.content.size = INLINE_CONTENT_MAX + 1;
    refused(&write, ERR_LIMIT, "content");
    write.operation.content.carrier = (enum carrier)8;
    refused(&write, ERR_INVALID, "content");

    struct record rename = sample_rename(1, "a", "b", "x");
    rename.operation.content.size = CONTENT_SIZE_MAX;
    accepted(&rename);
    rename.operation.content.size++;
    refused(&rename, ERR_LIMIT, "size");
    for (unsigned carrier = CARRIER_BLOB; carrier <= CARRIER_TREE_ZSTD; carrier++) {
        rename = sample_rename(1, "a", "b", "x");
        rename.operation.content.carrier = (enum carrier)carrier;
        rename.operation.content.len = 1;
        accepted(&rename);
    }
}
END_TEST

START_TEST(what_was_seen_is_checked)
{
    struct record delete = sample_delete(1, "a", sample_seen("x"));
    accepted(&delete);
    delete.operation.seen.mode = 1;
    refused(&delete, ERR_INVALID, "seen");
    delete.operation.seen = (struct seen){.said = false};
    accepted(&delete);
    delete.operation.seen = (struct seen){.said = true, .kind = (enum kind)4};
    refused(&delete, ERR_INVALID, "seen");
    struct record rename = sample_rename(1, "a", "b", "x");
    rename.operation.target_seen = (struct seen){.said = true, .kind = KIND_DIR, .mode = 1};
    refused(&rename, ERR_INVALID, "target_seen");
    struct record guard = sample_guard(1, "a", rename.operation.target_seen);
    refused(&guard, ERR_INVALID, "seen");
}
END_TEST

START_TEST(texts_are_checked)
{
    struct record start = sample_start(1, "\xc0\x80", 1);
    refused(&start, ERR_INVALID, "key");
    start = sample_start(1, "k", 1);
    start.start.goal = bytes_str("\xed\xa0\x80");
    refused(&start, ERR_INVALID, "goal");
    start.start.goal = letters(GOAL_LEN_MAX);
    accepted(&start);
    start.start.goal = letters(GOAL_LEN_MAX + 1);
    refused(&start, ERR_LIMIT, "goal");
    start = sample_start(1, "k", 1);
    start.start.author = bytes_str("\xff");
    refused(&start, ERR_INVALID, "author");

    struct record decision = {.kind = RECORD_DECISION, .decision = bytes_str("\x80")};
    refused(&decision, ERR_INVALID, "text");
    decision.decision = letters(TEXT_LEN_MAX + 1);
    refused(&decision, ERR_LIMIT, "text");
    decision.decision = letters(TEXT_LEN_MAX);
    accepted(&decision);
    struct record turn = {.kind = RECORD_CONVERSATION};
    turn.conversation.role = letters(ROLE_LEN_MAX + 1);
    refused(&turn, ERR_LIMIT, "role");
    turn.conversation.role = letters(ROLE_LEN_MAX);
    accepted(&turn);
    struct record abandon = {.kind = RECORD_ABANDON, .abandon = bytes_str("\xfe")};
    refused(&abandon, ERR_INVALID, "reason");
}
END_TEST

START_TEST(attributes_are_checked)
{
    struct record start = sample_start(1, "k", 1);
    struct attribute attribute = {letters(ATTR_NAME_MAX), letters(TEXT_LEN_MAX)};
    start.start.attributes = &attribute;
    start.start.n_attributes = 1;
    accepted(&start);
    attribute.value = letters(TEXT_LEN_MAX + 1);
    refused(&start, ERR_LIMIT, "attributes");
    attribute = (struct attribute){bytes_str("\xff"), bytes_str("\xff")};
    refused(&start, ERR_INVALID, "attributes");
    attribute.name = letters(ATTR_NAME_MAX + 1);
    refused(&start, ERR_LIMIT, "attributes");
    start.start.n_attributes = UINT16_MAX + 1;
    ck_assert_int_eq(record_check(&start, NULL), ERR_LIMIT);
}
END_TEST

START_TEST(lands_are_checked)
{
    struct session session;
    struct record abandon;
    struct record land;
    samples(&session, &abandon, &land);
    accepted(&land);
    struct id16 *ids = land.land.items[0].records;
    struct id16 first = ids[0];
    ids[0] = ids[1];
    refused(&land, ERR_INVALID, "records");
    ids[1] = first;
    refused(&land, ERR_INVALID, "records");
    land.land.items[0].n = 0;
    accepted(&land);
    land.land.n = 0;
    refused(&land, ERR_INVALID, "sessions");
    land.land.n = SERIES_MAX + 1;
    ck_assert_int_eq(record_check(&land, NULL), ERR_LIMIT);
    land.land.n = 1;
    land.land.items[0].n = SESSION_RECORDS_MAX + 1;
    ck_assert_int_eq(record_check(&land, NULL), ERR_LIMIT);
}
END_TEST

START_TEST(unknown_kinds_and_operations_are_refused)
{
    struct record record = sample_delete(1, "a", sample_absent());
    AUTO_BUF out = {0};
    record_write(&out, &record);
    struct record again;
    for (unsigned kind = 0; kind < 256; kind++) {
        out.data[24] = (uint8_t)kind;
        if (kind != RECORD_OPERATION)
            ck_assert_int_ne(decode(buf_bytes(&out), &again), OK);
    }
    out.data[24] = RECORD_OPERATION;
    for (unsigned op = 0; op < 256; op++) {
        out.data[29] = (uint8_t)op;
        ck_assert_int_eq(decode(buf_bytes(&out), &again), op == OP_DELETE ? OK : ERR_CORRUPT);
    }
    record.kind = (enum record_kind)9;
    const char *field;
    ck_assert_int_eq(record_check(&record, &field), ERR_INVALID);
    ck_assert_str_eq(field, "kind");
}
END_TEST

START_TEST(a_count_alone_allocates_nothing)
{
    AUTO_BUF out = {0};
    wr_id16(&out, &(struct id16){{0}});
    wr_u64(&out, 0);
    wr_u8(&out, RECORD_LAND);
    wr_u32(&out, 5);
    wr_u8(&out, 0);
    wr_u32(&out, SERIES_MAX);
    struct record record;
    size_t before = arena.used;
    ck_assert_int_eq(decode(buf_bytes(&out), &record), ERR_CORRUPT);
    ck_assert_uint_le(arena.used - before, 64);
    wr_u32_at(&out, 30, UINT32_MAX);
    ck_assert_int_eq(decode(buf_bytes(&out), &record), ERR_LIMIT);
}
END_TEST

static struct id16 id_of(const struct record *record, const char *key)
{
    AUTO_BUF payload = {0};
    record_payload(record, &payload);
    struct id16 owner = owner_of(bytes_str("ada"));
    struct id16 session = sample_id(9);
    return record_id(&owner, &session, bytes_str(key), buf_bytes(&payload));
}

START_TEST(an_id_is_of_author_session_key_and_content)
{
    struct id16 ada = owner_of(bytes_str("ada"));
    struct id16 bob = owner_of(bytes_str("bob"));
    ck_assert(!id16_equal(&ada, &bob));
    struct id16 s = sample_id(1);
    struct id16 t = sample_id(2);
    struct bytes k = bytes_str("k");
    struct bytes p = bytes_str("payload");
    struct id16 ids[] = {
        record_id(&ada, &s, k, p),
        record_id(&bob, &s, k, p),
        record_id(&ada, &t, k, p),
        record_id(&ada, &s, bytes_str("kp"), bytes_str("ayload")),
        record_id(&ada, &s, bytes_str("l"), p),
        record_id(&ada, &s, k, bytes_str("payloaf")),
    };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert(!id16_equal(&ids[i], &ids[j]));
    }
    struct id16 again = record_id(&ada, &s, k, p);
    ck_assert(id16_equal(&ids[0], &again));
}
END_TEST

/* One id with two contents, or for two kinds, would make a retry drop what is new. */
START_TEST(one_key_with_two_contents_gives_two_ids)
{
    struct record a = sample_write(5, "a", "one");
    struct record b = sample_write(5, "a", "two");
    struct id16 id_a = id_of(&a, "k");
    struct id16 id_b = id_of(&b, "k");
    ck_assert(!id16_equal(&id_a, &id_b));
    b = sample_write(6, "a", "one");
    id_b = id_of(&b, "k");
    ck_assert(id16_equal(&id_a, &id_b));

    struct record decision = {.kind = RECORD_DECISION, .decision = bytes_str("stop")};
    struct record abandon = {.kind = RECORD_ABANDON, .abandon = bytes_str("stop")};
    id_a = id_of(&decision, "k");
    id_b = id_of(&abandon, "k");
    ck_assert(!id16_equal(&id_a, &id_b));
}
END_TEST

START_TEST(a_session_id_says_its_base)
{
    struct id16 project = sample_id(1);
    struct id16 owner = sample_id(2);
    static const uint64_t bases[] = {0, 1, 41, 0x010203040506, BASE_END - 1};
    struct id16 ids[ARRAY_LEN(bases)];
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        ids[i] = session_id(&project, &owner, bytes_str("key"), bases[i]);
        ck_assert_uint_eq(session_id_base(&ids[i]), bases[i]);
        /* The base goes into the hash, too: a retry with a newer base is another session. */
        ck_assert(i == 0 || memcmp(ids[i].b + 6, ids[i - 1].b + 6, 10) != 0);
    }
    struct id16 others[] = {
        session_id(&owner, &owner, bytes_str("key"), 41),
        session_id(&project, &project, bytes_str("key"), 41),
        session_id(&project, &owner, bytes_str("yek"), 41),
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        ck_assert(!id16_equal(&others[i], &ids[2]));
}
END_TEST

START_TEST(a_land_names_a_set_of_records)
{
    struct session session;
    struct record abandon;
    struct record land;
    samples(&session, &abandon, &land);
    size_t n = session.n_records;
    struct hash hash = records_hash(session.records, n, &arena);
    struct id16 ids[32];
    ck_assert_uint_eq(records_ids(session.records, n, ids), n);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_lt(id16_compare(&ids[i - 1], &ids[i]), 0);
    struct hash expected = sha256(bytes_of(ids, n * sizeof(ids[0])));
    ck_assert(hash_equal(&hash, &expected));

    /* Another order, one of them twice, and requests among them. */
    struct record more[32];
    for (size_t i = 0; i < n; i++)
        more[i] = session.records[n - 1 - i];
    more[n] = session.records[3];
    more[n + 1] = abandon;
    more[n + 2] = land;
    struct hash again = records_hash(more, n + 3, &arena);
    ck_assert(hash_equal(&hash, &again));
    again = records_hash(more, n - 1, &arena);
    ck_assert(!hash_equal(&hash, &again));
    again = records_hash(NULL, 0, &arena);
    expected = sha256(bytes_of(NULL, 0));
    ck_assert(hash_equal(&again, &expected));
}
END_TEST

START_TEST(time_is_hlc_then_id)
{
    struct record a = {.id = sample_id(1), .hlc = 5};
    struct record b = {.id = sample_id(2), .hlc = 5};
    ck_assert_int_lt(record_time_compare(&a, &b), 0);
    ck_assert_int_gt(record_time_compare(&b, &a), 0);
    ck_assert_int_eq(record_time_compare(&a, &a), 0);
    a.hlc = UINT64_MAX;
    ck_assert_int_gt(record_time_compare(&a, &b), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        what_is_cut_short_is_refused,
        paths_are_checked,
        bases_have_48_bits,
        contents_are_checked,
        what_was_seen_is_checked,
        texts_are_checked,
        attributes_are_checked,
        lands_are_checked,
        unknown_kinds_and_operations_are_refused,
        a_count_alone_allocates_nothing,
        an_id_is_of_author_session_key_and_content,
        one_key_with_two_contents_gives_two_ids,
        a_session_id_says_its_base,
        a_land_names_a_set_of_records,
        time_is_hlc_then_id,
    };
    int failed = suite_run("record", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
