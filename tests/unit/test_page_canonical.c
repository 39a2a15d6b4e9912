#include "formats/page_canonical.h"

#include <stdio.h>

#include "tests/support/chance.h"
#include "tests/support/suite.h"

enum { entries_max = 300 };

struct set {
    struct entry entries[entries_max];
    const struct entry *pointers[entries_max];
    char names[entries_max][40];
    size_t n;
};

static void entry_draw(struct chance *c, struct entry *e)
{
    struct bytes name = e->name;
    *e = (struct entry){.name = name, .kind = KIND_FILE, .size = chance_u64(c) >> 20};
    e->mode = chance_below(c, 2) == 0 ? MODE_EXEC : MODE_PLAIN;
    if (chance_below(c, 3) == 0) {
        e->kind = KIND_DIR;
        e->mode = 0;
    }
    uint64_t word = chance_u64(c);
    memcpy(e->hash.b, &word, sizeof(word));
}

static void set_draw(struct chance *c, struct set *s)
{
    s->n = 1 + (size_t)chance_below(c, entries_max);
    for (size_t i = 0; i < s->n; i++) {
        (void)snprintf(s->names[i], sizeof(s->names[i]), "%04zu%.*s", i,
                       (int)chance_below(c, 20), "abcdefghijklmnopqrstu");
        s->entries[i].name = bytes_str(s->names[i]);
        entry_draw(c, &s->entries[i]);
        s->pointers[i] = &s->entries[i];
    }
}

static void same(const struct page_canonical *canonical, const struct set *s)
{
    struct hash want = page_content_hash(0, s->entries, s->n);
    struct hash got = page_canonical_hash(canonical);
    ck_assert(hash_equal(&got, &want));
}

START_TEST(it_is_what_the_content_hash_is_made_of)
{
    struct chance c;
    chance_init(&c, "page_canonical");
    AUTO(arena_release) struct arena arena = {0};
    struct page_canonical canonical = {0};
    static struct set s;
    for (unsigned round = 0; round < 30; round++) {
        set_draw(&c, &s);
        page_canonical_make(&canonical, &arena, 0, s.pointers, s.n);
        same(&canonical, &s);
        for (unsigned i = 0; i < 20; i++) {
            struct entry *e = &s.entries[chance_below(&c, s.n)];
            entry_draw(&c, e);
            page_canonical_set(&canonical, e);
            same(&canonical, &s);
        }
    }
}
END_TEST

START_TEST(an_empty_page_has_a_form)
{
    AUTO(arena_release) struct arena arena = {0};
    struct page_canonical canonical = {0};
    page_canonical_make(&canonical, &arena, 0, NULL, 0);
    struct hash want = page_content_hash(0, NULL, 0);
    struct hash got = page_canonical_hash(&canonical);
    ck_assert(hash_equal(&got, &want));
}
END_TEST

START_TEST(memory_is_used_again)
{
    struct chance c;
    chance_init(&c, "page_canonical_memory");
    AUTO(arena_release) struct arena arena = {0};
    struct page_canonical canonical = {0};
    static struct set s;
    set_draw(&c, &s);
    page_canonical_make(&canonical, &arena, 0, s.pointers, s.n);
    size_t used = arena.used;
    for (size_t n = s.n; n > 0; n--)
        page_canonical_make(&canonical, &arena, 0, s.pointers, n);
    ck_assert_uint_eq(arena.used, used);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_is_what_the_content_hash_is_made_of,
        an_empty_page_has_a_form,
        memory_is_used_again,
    };
    return suite_run("page_canonical", tests, ARRAY_LEN(tests));
}
