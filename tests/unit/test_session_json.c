#include "api/http/session_json.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "tests/support/suite.h"

#define HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

struct read {
    struct arena arena;
    struct json_t *value;
    struct json_problem problem;
    struct session session;
};

static void session_read_for(struct read *r, enum json_purpose purpose, const char *text)
{
    const struct caller caller = {.author = bytes_str("ann")};
    *r = (struct read){0};
    ck_assert_int_eq(json_parse(bytes_str(text), &r->problem, &r->value), OK);
    struct json_at top = jrd_top(r->value, &r->problem);
    r->session = session_from_json(&top, &caller, purpose, &r->arena);
}

static void session_read_text(struct read *r, const char *text)
{
    session_read_for(r, JSON_TO_LAND, text);
}

static void read_release(struct read *r)
{
    json_drop(&r->value);
    arena_release(&r->arena);
}

static void text_is(struct bytes have, const char *want)
{
    ck_assert_msg(bytes_equal(have, bytes_str(want)), "%.*s, not %s", (int)have.len,
                  (const char *)have.data, want);
}

/* --- in --- */

/* Whoever only asks need not say what it is for, and may name a content without having it. */
START_TEST(a_session_to_ask_about)
{
    struct read r;
    session_read_for(&r, JSON_TO_ASK,
                     "{\"operations\":[{\"op\":\"write\",\"path\":\"p\",\"mode\":\"0755\","
                     "\"content\":{\"hash\":\"" HASH "\",\"size\":5}},"
                     "{\"op\":\"write\",\"path\":\"q\",\"content\":{\"keep\":true}}]}");
    ck_assert_ptr_null(r.problem.code);
    ck_assert_uint_eq(r.session.n_records, 3);
    text_is(r.session.records[0].start.goal, "");
    const struct content *named = &r.session.records[1].operation.content;
    ck_assert_int_eq(named->carrier, CARRIER_TREE_RAW);
    ck_assert_str_eq(hash_hex(&named->hash).s, HASH);
    ck_assert_uint_eq(named->size, 5);
    ck_assert_uint_eq(named->mode, MODE_EXEC);
    ck_assert_int_eq(r.session.records[2].operation.content.carrier, CARRIER_SOURCE);
    read_release(&r);
    session_read_for(&r, JSON_TO_ASK,
                     "{\"operations\":[{\"op\":\"write\",\"path\":\"p\",\"content\":{}}]}");
    ck_assert_str_eq(r.problem.code, "missing_field");
    ck_assert_str_eq(r.problem.field, "operations[0].content.hash");
    read_release(&r);
}
END_TEST

START_TEST(a_whole_session)
{
    struct read r;
    session_read_text(
        &r,
        "{\"goal\":\"g\",\"key\":\"k\",\"base\":7,\"attributes\":{\"a\":{\"text\":\"t\"},\"b\":"
        "{\"base64\":\"AAE=\"}},"
        "\"conversation\":[{\"role\":\"user\",\"text\":\"do\"}],"
        "\"decisions\":[{\"text\":\"why\",\"key\":\"d\"}],\"guards\":[{\"path\":\"p\"},"
        "{\"path\":\"q\",\"seen\":null,\"base\":3}],"
        "\"operations\":[{\"op\":\"delete\",\"path\":\"x\",\"seen\":{\"hash\":\"" HASH
        "\",\"mode\":\"0755\"}}]}");
    ck_assert_ptr_null(r.problem.code);
    const struct session *s = &r.session;
    ck_assert_uint_eq(s->base, 7);
    ck_assert_uint_eq(s->n_records, 6);
    const struct record *start = &s->records[0];
    ck_assert_int_eq(start->kind, RECORD_START);
    ck_assert_uint_eq(start->start.base, 7);
    text_is(start->start.author, "ann");
    text_is(start->start.goal, "g");
    text_is(start->start.key, "k");
    ck_assert_uint_eq(start->start.n_attributes, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct attribute *a = &start->start.attributes[i];
        bool first = bytes_equal(a->name, bytes_str("a"));
        ck_assert(bytes_equal(a->value, first ? bytes_str("t") : bytes_of("\0\1", 2)));
    }
    /* By kinds, each in its order. */
    const struct record_operation *op = &s->records[1].operation;
    ck_assert_int_eq(op->op, OP_DELETE);
    ck_assert(op->seen.said);
    ck_assert_int_eq(op->seen.kind, KIND_FILE);
    ck_assert_int_eq(op->seen.mode, MODE_EXEC);
    ck_assert_uint_eq(op->base, UINT64_MAX);
    ck_assert_int_eq(s->records[2].kind, RECORD_GUARD);
    ck_assert(!s->records[2].guard.seen.said);
    ck_assert(s->records[3].guard.seen.said);
    ck_assert_int_eq(s->records[3].guard.seen.kind, KIND_NONE);
    ck_assert_uint_eq(s->records[3].guard.base, 3);
    text_is(s->records[4].decision, "why");
    text_is(s->records[5].conversation.role, "user");
    text_is(s->records[5].conversation.text, "do");
    read_release(&r);
}
END_TEST

static struct record_operation operation_of(struct read *r, const char *item)
{
    AUTO_BUF text = {0};
    buf_printf(&text, "{\"goal\":\"g\",\"operations\":[%s]}", item);
    buf_append(&text, "", 1);
    session_read_text(r, (const char *)text.data);
    ck_assert_msg(r->problem.code == NULL, "%s: %s", item, r->problem.message);
    ck_assert_uint_eq(r->session.n_records, 2);
    return r->session.records[1].operation;
}

START_TEST(operations)
{
    struct read r;
    struct bytes plain;
    struct record_operation op = operation_of(
        &r,
        "{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"hello\"},\"mode\":\"0755\"}");
    ck_assert_int_eq(op.op, OP_WRITE);
    ck_assert_int_eq(op.content.mode, MODE_EXEC);
    ck_assert_str_eq(hash_hex(&op.content.hash).s, HASH);
    ck_assert_int_eq(content_plain(&r.arena, &op.content, &plain), OK);
    text_is(plain, "hello");
    read_release(&r);
    op = operation_of(&r, "{\"op\":\"write\",\"path\":\"l\",\"kind\":\"link\",\"content\":{"
                          "\"base64\":\"YQ==\"}}");
    ck_assert_int_eq(op.content.kind, KIND_LINK);
    ck_assert_uint_eq(op.content.mode, 0);
    ck_assert_uint_eq(op.content.size, 1);
    read_release(&r);
    op = operation_of(&r,
                      "{\"op\":\"write\",\"path\":\"a\",\"content\":{\"blob\":\"" HASH "\"}}");
    ck_assert_int_eq(op.content.carrier, CARRIER_BLOB);
    ck_assert_str_eq(hash_hex(&op.content.hash).s, HASH);
    read_release(&r);
    op = operation_of(&r, "{\"op\":\"write\",\"path\":\"a\",\"content\":{\"keep\":true,"
                          "\"hash\":\"" HASH "\",\"size\":5}}");
    ck_assert_int_eq(op.content.carrier, CARRIER_SOURCE);
    ck_assert_uint_eq(op.content.size, 5);
    read_release(&r);
    op = operation_of(&r, "{\"op\":\"rename\",\"path\":\"a\",\"target\":\"b\",\"target_seen\":"
                          "null}");
    ck_assert_int_eq(op.op, OP_RENAME);
    text_is(op.target, "b");
    ck_assert(op.target_seen.said);
    ck_assert(!op.seen.said);
    ck_assert_int_eq(op.content.carrier, CARRIER_SOURCE);
    ck_assert(hash_is_zero(&op.content.hash));
    read_release(&r);
}
END_TEST

/* --- refusals: the code, and the place --- */

static const struct refusal {
    const char *text;
    const char *code;
    const char *field;
} refusals[] = {
    {"{}", "missing_field", "goal"},
    {"{\"goal\":null}", "wrong_type", "goal"},
    {"{\"goal\":\"g\",\"base\":\"1\"}", "wrong_type", "base"},
    {"{\"goal\":\"g\",\"base\":1.0}", "wrong_type", "base"},
    {"{\"goal\":\"g\",\"base\":-1}", "out_of_range", "base"},
    {"{\"goal\":\"g\",\"key\":\"k\"}", "missing_field", "base"},
    {"{\"goal\":\"g\",\"Goal\":\"g\"}", "unknown_field", "Goal"},
    {"{\"goal\":\"g\",\"attributes\":[]}", "wrong_type", "attributes"},
    {"{\"goal\":\"g\",\"attributes\":{\"a\":\"t\"}}", "wrong_type", "attributes.a"},
    {"{\"goal\":\"g\",\"attributes\":{\"a\":{}}}", "missing_field", "attributes.a.text"},
    {"{\"goal\":\"g\",\"attributes\":{\"a\":{\"hex\":\"00\"}}}", "unknown_field",
     "attributes.a.hex"},
    {"{\"goal\":\"g\",\"attributes\":{\"a\":{\"base64\":\"A\"}}}", "bad_value",
     "attributes.a.base64"},
    {"{\"goal\":\"g\",\"attributes\":{\"a\":{\"base64\":\"AA==\",\"text\":\"\"}}}", "bad_value",
     "attributes.a.text"},
    {"{\"goal\":\"g\",\"operations\":{}}", "wrong_type", "operations"},
    {"{\"goal\":\"g\",\"operations\":[1]}", "wrong_type", "operations[0]"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\"},{\"path\":\"b\",\"mode\":\"0644\"}]}",
     "unknown_field", "guards[1].mode"},
    {"{\"goal\":\"g\",\"guards\":[{}]}", "missing_field", "guards[0].path"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\",\"seen\":{}}]}", "missing_field",
     "guards[0].seen.hash"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\",\"seen\":{\"hash\":\"00\"}}]}", "bad_value",
     "guards[0].seen.hash"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\",\"seen\":false}]}", "wrong_type",
     "guards[0].seen"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\",\"seen\":{\"hash\":\"" HASH
     "\",\"size\":1}}]}",
     "unknown_field", "guards[0].seen.size"},
    {"{\"goal\":\"g\",\"guards\":[{\"path\":\"a\",\"seen\":{\"hash\":\"" HASH
     "\",\"kind\":\"dir\",\"mode\":\"0644\"}}]}",
     "bad_value", "guards[0].seen.mode"},
    {"{\"goal\":\"g\",\"decisions\":[{\"text\":\"t\",\"why\":\"\"}]}", "unknown_field",
     "decisions[0].why"},
    {"{\"goal\":\"g\",\"decisions\":[{}]}", "missing_field", "decisions[0].text"},
    {"{\"goal\":\"g\",\"conversation\":[{\"text\":\"t\"}]}", "missing_field",
     "conversation[0].role"},
    {"{\"goal\":\"g\",\"conversation\":[{\"text\":\"t\",\"role\":\"r\",\"at\":1}]}",
     "unknown_field", "conversation[0].at"},
};

/* Of the one operation in a session. */
static const struct refusal operation_refusals[] = {
    {"{\"path\":\"a\"}", "missing_field", "op"},
    {"{\"op\":\"fly\",\"path\":\"a\"}", "bad_value", "op"},
    {"{\"op\":\"delete\"}", "missing_field", "path"},
    {"{\"op\":\"delete\",\"path\":\"a\",\"content\":{\"text\":\"\"}}", "unknown_field",
     "content"},
    {"{\"op\":\"delete\",\"path\":\"a\",\"target\":\"b\"}", "unknown_field", "target"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"target\":\"b\"}",
     "unknown_field", "target"},
    {"{\"op\":\"write\",\"path\":\"a\"}", "missing_field", "content"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":\"x\"}", "wrong_type", "content"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{}}", "missing_field", "content"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":1}}", "wrong_type",
     "content.text"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\",\"blob\":\"" HASH "\"}}",
     "unknown_field", "content.blob"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\",\"hash\":\"" HASH "\"}}",
     "unknown_field", "content.hash"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"blob\":\"" HASH "\",\"keep\":true}}",
     "unknown_field", "content.keep"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"base64\":\"a\"}}", "bad_value",
     "content.base64"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"base64\":\"AB==\"}}", "bad_value",
     "content.base64"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"blob\":\"xyz\"}}", "bad_value",
     "content.blob"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"keep\":false}}", "bad_value",
     "content.keep"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"keep\":1}}", "wrong_type",
     "content.keep"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"keep\":true,\"size\":1}}",
     "missing_field", "content.hash"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"keep\":true,\"hash\":\"" HASH
     "\",\"size\":-1}}",
     "out_of_range", "content.size"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"kind\":\"dir\"}",
     "bad_value", "kind"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"kind\":\"\"}", "bad_value",
     "kind"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"mode\":\"\"}", "bad_value",
     "mode"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"mode\":\"0600\"}",
     "bad_value", "mode"},
    {"{\"op\":\"write\",\"path\":\"a\",\"content\":{\"text\":\"\"},\"kind\":\"link\",\"mode\":"
     "\"0644\"}",
     "bad_value", "mode"},
    {"{\"op\":\"rename\",\"path\":\"a\"}", "missing_field", "target"},
    {"{\"op\":\"rename\",\"path\":\"a\",\"target\":\"b\",\"mode\":\"0755\"}", "missing_field",
     "content"},
    {"{\"op\":\"rename\",\"path\":\"a\",\"target\":\"b\",\"content\":{}}", "missing_field",
     "content"},
    {"{\"op\":\"rename\",\"path\":\"a\",\"target\":\"b\",\"target_seen\":{\"hash\":1}}",
     "wrong_type", "target_seen.hash"},
    {"{\"op\":\"delete\",\"path\":\"a\",\"key\":1}", "wrong_type", "key"},
    {"{\"op\":\"delete\",\"path\":\"a\",\"base\":18446744073709551615}", "malformed_json", ""},
};

static void refused(const char *text, const char *code, const char *field)
{
    struct read r = {0};
    const struct caller caller = {.author = bytes_str("ann")};
    if (json_parse(bytes_str(text), &r.problem, &r.value) == OK) {
        struct json_at top = jrd_top(r.value, &r.problem);
        (void)session_from_json(&top, &caller, JSON_TO_LAND, &r.arena);
    }
    ck_assert_msg(r.problem.code != NULL, "taken: %s", text);
    ck_assert_msg(strcmp(r.problem.code, code) == 0, "%s: %s (%s)", text, r.problem.code,
                  r.problem.message);
    ck_assert_msg(strcmp(r.problem.field, field) == 0, "%s: at %s", text, r.problem.field);
    read_release(&r);
}

START_TEST(refused_sessions)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        refused(refusals[i].text, refusals[i].code, refusals[i].field);
}
END_TEST

START_TEST(refused_operations)
{
    for (size_t i = 0; i < ARRAY_LEN(operation_refusals); i++) {
        const struct refusal *one = &operation_refusals[i];
        AUTO_BUF text = {0};
        AUTO_BUF field = {0};
        buf_printf(&text,
                   "{\"goal\":\"g\",\"operations\":[{\"op\":\"delete\",\"path\":\"z\"},%s]}",
                   one->text);
        buf_append(&text, "", 1);
        if (strcmp(one->code, "malformed_json") != 0)
            buf_printf(&field, "operations[1]%s%s", one->field[0] == '\0' ? "" : ".",
                       one->field);
        buf_append(&field, "", 1);
        refused((const char *)text.data, one->code, (const char *)field.data);
    }
}
END_TEST

START_TEST(content_over_the_limit)
{
    AUTO_BUF text = {0};
    buf_printf(&text, "{\"goal\":\"g\",\"operations\":[{\"op\":\"write\",\"path\":\"a\","
                      "\"content\":{\"text\":\"");
    for (uint32_t i = 0; i < INLINE_CONTENT_MAX; i++)
        buf_append(&text, "x", 1);
    size_t at = text.len;
    buf_printf(&text, "\"}}]}");
    buf_append(&text, "", 1);
    struct read r;
    session_read_text(&r, (const char *)text.data);
    ck_assert_ptr_null(r.problem.code);
    read_release(&r);
    text.len = at;
    buf_printf(&text, "x\"}}]}");
    buf_append(&text, "", 1);
    refused((const char *)text.data, "content_too_large", "operations[0].content");
}
END_TEST

/* --- out --- */

static struct json_t *written(struct buf *out, struct json_problem *problem)
{
    struct json_t *value = NULL;
    ck_assert_msg(json_parse(buf_bytes(out), problem, &value) == OK, "%.*s", (int)out->len,
                  (const char *)out->data);
    return value;
}

START_TEST(a_session_as_it_stands)
{
    struct read r;
    AUTO_BUF out = {0};
    session_read_text(&r, "{\"goal\":\"g\\u0001\\\"\",\"base\":2,\"key\":\"k\","
                          "\"attributes\":{\"a\":{\"base64\":\"AAE=\"}},"
                          "\"operations\":[{\"op\":\"write\",\"path\":\"a\",\"content\":{"
                          "\"text\":\"hello\"},\"seen\":null}],"
                          "\"decisions\":[{\"text\":\"why\"}],"
                          "\"conversation\":[{\"role\":\"user\",\"text\":\"do\"}]}");
    ck_assert_ptr_null(r.problem.code);
    session_assign_ids(&r.session);
    struct session_current now = {.session = r.session};
    session_view(&now.session, &r.arena, &now.view);
    struct json_writer w;
    jwr_init(&w, &out);
    jwr_object(&w, NULL);
    session_to_json(&w, &now, &r.arena);
    jwr_object_end(&w);
    struct json_problem problem = {0};
    AUTO_JSON *value = written(&out, &problem);
    struct json_at top = jrd_top(value, &problem);
    text_is(jrd_text(&top, "state", JSON_REQUIRED), "open");
    text_is(jrd_text(&top, "goal", JSON_REQUIRED), "g\1\"");
    text_is(jrd_text(&top, "author", JSON_REQUIRED), "ann");
    ck_assert_uint_eq(jrd_u64(&top, "base", JSON_REQUIRED, UINT32_MAX, 0), 2);
    ck_assert(!jrd_has(&top, "position"));
    ck_assert(!jrd_has(&top, "answer"));
    struct json_at attributes = jrd_object(&top, "attributes", JSON_REQUIRED);
    struct json_at a = jrd_object(&attributes, "a", JSON_REQUIRED);
    text_is(jrd_text(&a, "base64", JSON_REQUIRED), "AAE=");
    struct json_at list = jrd_array(&top, "operations", JSON_REQUIRED);
    ck_assert_uint_eq(jrd_count(&list), 1);
    struct json_at one = jrd_item(&list, 0);
    text_is(jrd_text(&one, "op", JSON_REQUIRED), "write");
    text_is(jrd_text(&one, "mode", JSON_REQUIRED), "0644");
    text_is(jrd_text(&one, "hash", JSON_REQUIRED), HASH);
    ck_assert(jrd_null(&one, "seen"));
    list = jrd_array(&top, "conversation", JSON_REQUIRED);
    one = jrd_item(&list, 0);
    text_is(jrd_text(&one, "role", JSON_REQUIRED), "user");
    list = jrd_array(&top, "guards", JSON_REQUIRED);
    ck_assert_uint_eq(jrd_count(&list), 0);
    struct hash records = records_hash(now.session.records, now.session.n_records, &r.arena);
    text_is(jrd_text(&top, "records", JSON_REQUIRED), hash_hex(&records).s);
    ck_assert_msg(jrd_ok(&top), "%s", problem.message);
    read_release(&r);
}
END_TEST

START_TEST(states_by_their_answers)
{
    static const struct {
        enum verdict verdict;
        bool closes;
        const char *state;
        bool position;
    } cases[] = {
        {VERDICT_LANDED, true, "landed", true},
        {VERDICT_CONFLICTED, false, "open", false},
        {VERDICT_CONFLICTED, true, "conflicted", false},
        {VERDICT_REFUSED, false, "open", false},
        {VERDICT_REFUSED, true, "refused", false},
        {VERDICT_NOT_TRIED, true, "refused", false},
        {VERDICT_ABANDONED, true, "abandoned", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena arena = {0};
        AUTO_BUF out = {0};
        struct session_current now = {.answered = true};
        now.answer.verdict = cases[i].verdict;
        now.answer.closes = cases[i].closes;
        now.answer.position = 9;
        struct json_writer w;
        jwr_init(&w, &out);
        jwr_object(&w, NULL);
        session_to_json(&w, &now, &arena);
        jwr_object_end(&w);
        struct json_problem problem = {0};
        AUTO_JSON *value = written(&out, &problem);
        struct json_at top = jrd_top(value, &problem);
        text_is(jrd_text(&top, "state", JSON_REQUIRED), cases[i].state);
        ck_assert_int_eq(jrd_has(&top, "position"), cases[i].position);
        struct json_at answer = jrd_object(&top, "answer", JSON_REQUIRED);
        text_is(jrd_text(&answer, "verdict", JSON_REQUIRED), verdict_name(cases[i].verdict));
    }
}
END_TEST

START_TEST(conflicts_as_data)
{
    struct conflict conflict = {.what = CONFLICT_GUARD, .path = bytes_str("a\xff/b"), .by = 4};
    conflict.seen.said = true;
    conflict.there =
        (struct seen){.said = true, .kind = KIND_DIR, .hash = sha256(bytes_str("hello"))};
    struct landing landing = {.verdict = VERDICT_CONFLICTED,
                              .position = 4,
                              .reason = bytes_str("conflict"),
                              .conflicts = &conflict,
                              .n_conflicts = 1200,
                              .n_listed = 1};
    AUTO_BUF out = {0};
    struct json_writer w;
    jwr_init(&w, &out);
    landing_to_json(&w, NULL, &landing);
    struct json_problem problem = {0};
    AUTO_JSON *value = written(&out, &problem);
    struct json_at top = jrd_top(value, &problem);
    ck_assert_uint_eq(jrd_u64(&top, "conflicts_total", JSON_REQUIRED, UINT32_MAX, 0), 1200);
    struct json_at list = jrd_array(&top, "conflicts", JSON_REQUIRED);
    ck_assert_uint_eq(jrd_count(&list), 1);
    struct json_at one = jrd_item(&list, 0);
    text_is(jrd_text(&one, "what", JSON_REQUIRED), "guard");
    text_is(jrd_text(&one, "path", JSON_REQUIRED), "a\xef\xbf\xbd/b");
    ck_assert(jrd_null(&one, "seen"));
    struct json_at there = jrd_object(&one, "there", JSON_REQUIRED);
    text_is(jrd_text(&there, "kind", JSON_REQUIRED), "dir");
    text_is(jrd_text(&there, "hash", JSON_REQUIRED), HASH);
    ck_assert(!jrd_has(&there, "mode"));
    text_is(jrd_text(&top, "reason", JSON_REQUIRED), "conflict");
    ck_assert(!jrd_has(&top, "detail"));
    ck_assert(jrd_ok(&top));
}
END_TEST

START_TEST(entries_and_nothing)
{
    struct entry e = {.name = bytes_str("n"),
                      .kind = KIND_FILE,
                      .mode = MODE_EXEC,
                      .size = 1ull << 45,
                      .stamp = 3};
    AUTO_BUF out = {0};
    struct json_writer w;
    jwr_init(&w, &out);
    jwr_array(&w, NULL);
    entry_to_json(&w, NULL, &e);
    entry_to_json(&w, NULL, NULL);
    jwr_array_end(&w);
    buf_append(&out, "", 1);
    ck_assert_str_eq(
        (const char *)out.data,
        "[{\"name\":\"n\",\"kind\":\"file\",\"mode\":\"0755\",\"size\":35184372088832,"
        "\"hash\":\"00000000000000000000000000000000000000000000000000000000000000"
        "00\",\"stamp\":3},null]");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_session_to_ask_about, a_whole_session,         operations,
        refused_sessions,       refused_operations,      content_over_the_limit,
        a_session_as_it_stands, states_by_their_answers, conflicts_as_data,
        entries_and_nothing,
    };
    return suite_run("session_json", tests, ARRAY_LEN(tests));
}
