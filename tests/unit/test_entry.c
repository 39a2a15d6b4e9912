#include "formats/entry.h"

#include "tests/support/golden.h"
#include "tests/support/suite.h"

static const struct hash hash = {{1, 2, 3, [31] = 9}};

static const struct seen samples[] = {
    {.said = false},
    {.said = true, .kind = KIND_NONE},
    {.said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = {{1, 2, 3}}},
    {.said = true, .kind = KIND_FILE, .mode = MODE_EXEC, .hash = {{4}}},
    {.said = true, .kind = KIND_LINK, .hash = {{5}}},
    {.said = true, .kind = KIND_DIR, .hash = {{6, [31] = 7}}},
};

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        seen_write(&out, &samples[i]);
    }
    golden_check("seen", buf_bytes(&out));
    AUTO_BUF golden = {0};
    AUTO_BUF again = {0};
    golden_read("seen", &golden);
    struct reader r;
    rd_init(&r, buf_bytes(&golden));
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct seen seen = seen_read(&r);
        ck_assert(seen.said == samples[i].said);
        ck_assert(!seen.said || seen_equal(&seen, &samples[i]));
        seen_write(&again, &seen);
    }
    ck_assert_int_eq(rd_end(&r), 0);
    golden_check("seen", buf_bytes(&again));
}
END_TEST

static int read_as(uint8_t kind, uint16_t mode, size_t len)
{
    AUTO_BUF in = {0};
    wr_u8(&in, kind);
    wr_u16(&in, mode);
    wr_hash(&in, &hash);
    struct reader r;
    rd_init(&r, bytes_of(in.data, len));
    (void)seen_read(&r);
    return rd_end(&r);
}

START_TEST(what_is_refused)
{
    ck_assert_int_eq(read_as(KIND_FILE, MODE_PLAIN, 35), 0);
    ck_assert_int_eq(read_as(KIND_FILE, 0, 35), ERR_CORRUPT);
    ck_assert_int_eq(read_as(KIND_FILE, 0600, 35), ERR_CORRUPT);
    ck_assert_int_eq(read_as(KIND_LINK, MODE_PLAIN, 35), ERR_CORRUPT);
    ck_assert_int_eq(read_as(KIND_DIR, MODE_EXEC, 35), ERR_CORRUPT);
    ck_assert_int_eq(read_as(4, 0, 35), ERR_CORRUPT);
    ck_assert_int_eq(read_as(254, 0, 35), ERR_CORRUPT);
    for (size_t len = 0; len < 35; len++) {
        ck_assert_int_eq(read_as(KIND_FILE, MODE_PLAIN, len), ERR_CORRUPT);
    }
}
END_TEST

START_TEST(equality)
{
    for (size_t i = 1; i < ARRAY_LEN(samples); i++) {
        for (size_t j = 1; j < ARRAY_LEN(samples); j++) {
            ck_assert(seen_equal(&samples[i], &samples[j]) == (i == j));
        }
    }
    struct seen a = samples[2];
    struct seen b = a;
    b.mode = MODE_EXEC;
    ck_assert(!seen_equal(&a, &b));
    b = a;
    b.hash.b[31] ^= 1;
    ck_assert(!seen_equal(&a, &b));
    /* Of what is absent nothing else counts. */
    a = (struct seen){.said = true, .kind = KIND_NONE, .mode = 1, .hash = hash};
    ck_assert(seen_equal(&a, &samples[1]));
}
END_TEST

START_TEST(seen_in_the_tree)
{
    struct seen absent = seen_of(NULL);
    ck_assert(absent.said && absent.kind == KIND_NONE);
    struct entry e = {.name = bytes_str("x"),
                      .kind = KIND_FILE,
                      .mode = MODE_EXEC,
                      .hash = hash,
                      .size = 5,
                      .stamp = 9};
    struct seen seen = seen_of(&e);
    ck_assert(seen.said && seen.kind == KIND_FILE && seen.mode == MODE_EXEC);
    ck_assert(hash_equal(&seen.hash, &hash));
}
END_TEST

START_TEST(modes)
{
    ck_assert(mode_ok(KIND_FILE, 0644) && mode_ok(KIND_FILE, 0755));
    ck_assert(!mode_ok(KIND_FILE, 0) && !mode_ok(KIND_FILE, 0777) && !mode_ok(KIND_FILE, 0664));
    ck_assert(mode_ok(KIND_LINK, 0) && !mode_ok(KIND_LINK, 0777));
    ck_assert(mode_ok(KIND_DIR, 0) && !mode_ok(KIND_DIR, 0755));
    ck_assert(!mode_ok(KIND_NONE, 0) && !mode_ok((enum kind)9, 0));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes, what_is_refused, equality, seen_in_the_tree, modes,
    };
    return suite_run("entry", tests, ARRAY_LEN(tests));
}
