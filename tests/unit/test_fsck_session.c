/* The check of landed sessions: what a session was landed with is to be there; what it had
 * replaced itself nobody looked for, and nobody misses. */
#include "formats/base/hash.h"
#include "tests/support/collect_rig.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"

static struct collect_rig rig;

/* A session that writes one path twice, and first what nobody has uploaded. */
START_TEST(what_a_session_has_replaced_itself_may_lack)
{
    collect_rig_open(&rig);
    struct forge *f = &rig.f;
    struct bytes text = bytes_str("never uploaded");
    const struct content absent = {.kind = KIND_FILE,
                                   .mode = MODE_PLAIN,
                                   .size = text.len,
                                   .hash = sha256(text),
                                   .carrier = CARRIER_BLOB};
    struct draft draft = draft_open(f, "ann", "twice", forge_position(f));
    draft_put(&draft, "file", absent, seen_text(NULL));
    draft_write(&draft, "file", "text", NULL);
    struct id16 request = forge_submit(f, &draft, 1);
    (void)forge_drain(f);
    ck_assert_int_eq(forge_answer(f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    ck_assert_str_eq(forge_text(f, "file"), "text");
    collect_rig_clean(&rig);
    collect_rig_close(&rig);
}
END_TEST

START_TEST(what_a_session_was_landed_with_is_missed)
{
    collect_rig_open(&rig);
    struct draft draft;
    struct fsck_result found;
    struct content content = collect_rig_upload(&rig, 1, 100);
    (void)collect_rig_submit(&rig.f, "file", &content, &draft);
    (void)forge_drain(&rig.f);
    collect_rig_clean(&rig);
    struct key key = key_blob(&rig.f.project, &content.hash);
    ck_assert_int_eq(store_delete(rig.f.mem, key.s), OK);
    fsck_rig_run(rig.f.store, &rig.f.clock.clock, false, 0, &found);
    ck_assert_uint_eq(found.n, 1);
    ck_assert_str_eq(found.kept[0].problem, "blob_missing");
    ck_assert_str_eq(found.kept[0].key, key.s);
    collect_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {what_a_session_has_replaced_itself_may_lack,
                            what_a_session_was_landed_with_is_missed};
    return suite_run("fsck_session", tests, ARRAY_LEN(tests));
}
