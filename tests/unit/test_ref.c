#include "formats/ref.h"

#include "formats/base/hash.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static const struct hash address = {{0xaa, 1, 2, 3, [31] = 0xbb}};

static int decode(struct bytes in)
{
    struct hash bound;
    return ref_decode(in, &bound);
}

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    ref_encode(&address, &out);
    golden_check("ref", buf_bytes(&out));
    ck_assert_uint_eq(out.len, REF_LEN);
    AUTO_BUF golden = {0};
    golden_read("ref", &golden);
    struct hash bound;
    ck_assert_int_eq(ref_decode(buf_bytes(&golden), &bound), OK);
    ck_assert(hash_equal(&bound, &address));
    buf_clear(&out);
    ref_encode(&bound, &out);
    golden_check("ref", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(a_ref_to_nothing_is_refused)
{
    static const struct hash none;
    AUTO_BUF out = {0};
    ref_encode(&none, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    ck_assert_int_eq(decode(bytes_of(NULL, 0)), ERR_CORRUPT);
}
END_TEST

START_TEST(what_is_seen_is_the_file)
{
    AUTO_BUF out = {0};
    ref_encode(&address, &out);
    struct hash hash = sha256(buf_bytes(&out));
    struct seen seen = ref_seen(&address);
    ck_assert(seen.said && seen.kind == KIND_FILE && seen.mode == MODE_PLAIN);
    ck_assert(hash_equal(&seen.hash, &hash));
    seen = ref_seen(NULL);
    ck_assert(seen.said && seen.kind == KIND_NONE);
}
END_TEST

START_TEST(names_are_paths)
{
    static const char *const good[] = {"a",     "a/b",      "release/2026", "log",
                                       "log/x", "headless", "a/head"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_int_eq(ref_name_check(bytes_str(good[i]), NULL), OK);
    static const char *const bad[] = {"",     "head", "head/a", "a/log", "a/b/log",
                                      "/log", "a//b", "../a",   "a\nb",  ".git/x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *why = NULL;
        ck_assert_int_eq(ref_name_check(bytes_str(bad[i]), &why), ERR_INVALID);
        ck_assert_ptr_nonnull(why);
    }
    ck_assert(ref_is_head(bytes_str("head")));
    ck_assert(!ref_is_head(bytes_str("head/a")));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        a_ref_to_nothing_is_refused,
        what_is_seen_is_the_file,
        names_are_paths,
    };
    return suite_run("ref", tests, ARRAY_LEN(tests));
}
