#include "pipeline/repo/tree/tree_rechunk.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/chance.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"

#define AUTO_RIG   AUTO(tree_rig_release) struct tree_rig
#define AUTO_MODEL AUTO(tree_model_release) struct tree_model

/* Ways to name files, some of them chosen against the splitter. */
enum naming {
    NAMING_ANY,      /* any length, evenly */
    NAMING_LONG,     /* so that few names make a page */
    NAMING_BOUNDARY, /* every name may begin a page */
    NAMING_NONE,     /* no name may */
    NAMING_RARE,     /* long stretches without one, then many */
    NAMINGS,
};

static bool wanted(enum naming naming, struct bytes name, bool clustered)
{
    switch (naming) {
    case NAMING_ANY:
    case NAMING_LONG:
        return true;
    case NAMING_BOUNDARY:
        return page_boundary(name, 0);
    case NAMING_NONE:
        return !page_boundary(name, 0);
    case NAMING_RARE:
        return page_boundary(name, 0) == clustered;
    case NAMINGS:
        break;
    }
    return true;
}

/* A name of that kind behind "d/". */
static struct bytes draw(struct chance *c, enum naming naming, struct buf *room)
{
    bool clustered = naming == NAMING_RARE && chance_below(c, 4) == 0;
    do {
        size_t least = naming == NAMING_ANY ? 1 : 100;
        size_t len = least + chance_below(c, 256 - least);
        room->len = 0;
        buf_append(room, "d/", 2);
        /* Those that cluster lie together, before the others. */
        buf_append(room, clustered ? "a" : "z", 1);
        while (room->len < len + 2) {
            char letter = (char)('a' + chance_below(c, 26));
            buf_append(room, &letter, 1);
        }
    } while (!wanted(naming, bytes_of(room->data + 2, room->len - 2), clustered));
    return buf_bytes(room);
}

static void put(struct tree_edit *edit, struct tree_model *model, struct bytes path,
                uint64_t number, uint64_t stamp)
{
    struct entry e = model_file_entry(number);
    bool a;
    bool b;
    ck_assert_int_eq(tree_edit_put(edit, path, &e, stamp, &a), 0);
    ck_assert_int_eq(tree_model_put(model, path, &e, stamp, &b), 0);
    ck_assert_int_eq(a, b);
}

static void take_away(struct tree_edit *edit, struct tree_model *model, size_t i,
                      uint64_t stamp)
{
    bool a;
    bool b;
    ck_assert_int_eq(tree_edit_remove(edit, model->files[i].path, stamp, &a), 0);
    ck_assert_int_eq(tree_model_remove(model, model->files[i].path, stamp, &b), 0);
    ck_assert(a && b);
}

static struct bytes name_at(const struct tree_model *model, size_t i)
{
    struct bytes path = model->files[i].path;
    return bytes_of(path.data + 2, path.len - 2);
}

/* One edit of a kind that has its own way to go wrong. */
static void change(struct chance *c, enum naming naming, struct tree_edit *edit,
                   struct tree_model *model, uint64_t stamp)
{
    AUTO_BUF room = {0};
    size_t n = 1 + chance_below(c, 6);
    switch (chance_below(c, 8)) {
    case 0: /* a stretch goes */
        for (size_t k = chance_below(c, 300), i = chance_below(c, model->n + 1);
             k > 0 && i < model->n; k--) {
            take_away(edit, model, i, stamp);
        }
        return;
    case 1: /* names that begin pages go */
        for (size_t i = chance_below(c, model->n + 1); n > 0 && i < model->n; i++) {
            if (page_boundary(name_at(model, i), 0)) {
                take_away(edit, model, i, stamp);
                n--;
                i--;
            }
        }
        return;
    case 2: /* the end goes */
        for (; n * 10 > 0 && model->n > 0 && n < 60; n++) {
            take_away(edit, model, model->n - 1, stamp);
        }
        return;
    case 3: /* the beginning goes */
        for (; n > 0 && model->n > 0; n--) {
            take_away(edit, model, 0, stamp);
        }
        return;
    case 4: /* other content */
        for (; n > 0 && model->n > 0; n--) {
            struct bytes path = model->files[chance_below(c, model->n)].path;
            put(edit, model, path, chance_u64(c), stamp);
        }
        return;
    case 5: /* many come */
        n += chance_below(c, 200);
        break;
    case 6: /* all goes but a few */
        if (chance_below(c, 6) == 0) {
            while (model->n > n) {
                take_away(edit, model, chance_below(c, model->n), stamp);
            }
        }
        return;
    default:
        break;
    }
    for (; n > 0; n--) {
        put(edit, model, draw(c, naming, &room), chance_u64(c), stamp);
    }
}

START_TEST(cutting_again_is_cutting_anew)
{
    struct chance c;
    chance_init(&c, "tree_rechunk");
    unsigned rounds = getenv("MIC_LONG") != NULL ? 5 : 2;
    for (unsigned round = 0; round < rounds * NAMINGS; round++) {
        enum naming naming = (enum naming)(round % NAMINGS);
        AUTO_RIG rig;
        tree_rig_init(&rig, 256 << 20);
        rig.publish = chance_below(&c, 2) == 0;
        AUTO_MODEL model = {0};
        AUTO_BUF room = {0};
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        put(edit, &model, bytes_str("d/a"), 1, 1);
        put(edit, &model, bytes_str("d/z"), 1, 1);
        for (size_t n = chance_below(&c, 2500); n > 0; n--) {
            put(edit, &model, draw(&c, naming, &room), n, 1);
        }
        tree_rig_seal(&rig, edit);
        for (uint64_t stamp = 2; stamp < 30; stamp++) {
            edit = tree_edit_open(&rig.tree);
            change(&c, naming, edit, &model, stamp);
            struct hash want = tree_model_hash(&model);
            struct hash hash;
            if (chance_below(&c, 2) == 0) {
                ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
                ck_assert(hash_equal(&hash, &want));
                change(&c, naming, edit, &model, stamp);
                want = tree_model_hash(&model);
            }
            struct tree t = tree_rig_seal(&rig, edit);
            ck_assert(hash_equal(&t.content, &want));
        }
        tree_rig_cold(&rig);
        tree_rig_same(&rig.tree, &model);
    }
}
END_TEST

/* Level of the top page, and pages of the directory "d" by walking its levels. */
static uint8_t top_level(const struct tree *t)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry dir;
    ck_assert_int_eq(tree_find(t, bytes_str("d"), &arena, &dir), 0);
    const struct page_held *top;
    ck_assert_int_eq(tree_page(t->repo, &t->project, &dir.where, &top), 0);
    uint8_t level = top->page.level;
    page_cache_drop(t->repo->pages, top);
    return level;
}

START_TEST(an_edit_reads_and_writes_only_pages_near_it)
{
    struct chance c;
    chance_init(&c, "tree_rechunk_reads");
    AUTO_RIG rig;
    tree_rig_init(&rig, 256 << 20);
    AUTO_MODEL model = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 30000; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "d/a-name-of-middle-length-%06u", i);
        put(edit, &model, bytes_str(path), i, 1);
    }
    struct tree base = tree_rig_seal(&rig, edit);
    ck_assert_uint_eq(top_level(&base), 1);
    uint64_t reads = 0;
    uint64_t bytes = 0;
    enum { EDITS = 40 };
    for (unsigned i = 0; i < EDITS; i++) {
        tree_rig_cold(&rig);
        rig.tree = base;
        edit = tree_edit_open(&base);
        char path[64];
        (void)snprintf(path, sizeof(path), "d/a-name-of-middle-length-%06u%s",
                       (unsigned)chance_below(&c, 30000), i % 2 == 0 ? "" : "+");
        (void)trace_store_counts(rig.trace, true);
        tree_rig_put(edit, path, 1000000 + i, 2);
        tree_rig_seal(&rig, edit);
        struct trace_counts counts = trace_store_counts(rig.trace, true);
        reads += counts.gets[TRACE_TREE];
        bytes += counts.bytes_in;
    }
    /* About 33 leaves: the root, the top page, and a run, which is rarely more than a few
     * pages. */
    ck_assert_uint_ge(reads, 3 * EDITS);
    ck_assert_uint_le(reads, 8 * EDITS);
    ck_assert_uint_le(bytes, EDITS * 512u * 1024u);
}
END_TEST

START_TEST(a_page_that_comes_out_the_same_stays_where_it_is)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 256 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 10000; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "d/a-name-of-middle-length-%06u", i);
        tree_rig_put(edit, path, i, 1);
    }
    struct tree base = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&base);
    tree_rig_put(edit, "d/a-name-of-middle-length-005000", 7, 2);
    struct tree next = tree_rig_seal(&rig, edit);
    AUTO(arena_release) struct arena arena = {0};
    struct entry dir;
    ck_assert_int_eq(tree_find(&next, bytes_str("d"), &arena, &dir), 0);
    const struct page_held *top;
    ck_assert_int_eq(tree_page(next.repo, &next.project, &dir.where, &top), 0);
    ck_assert_uint_gt(top->page.n, 4);
    uint32_t made = 0;
    for (uint32_t i = 0; i < top->page.n; i++) {
        const struct entry *e = &top->page.entries[i];
        bool is_new = hash_equal(&e->where.tree, &next.root.tree);
        made += is_new;
        ck_assert_uint_eq(e->stamp, is_new ? 2 : 1);
        ck_assert(is_new || hash_equal(&e->where.tree, &base.root.tree));
        ck_assert_int_eq(e->kind, KIND_DIR);
        ck_assert_uint_eq(e->mode, 0);
    }
    ck_assert_uint_eq(made, 1);
    page_cache_drop(next.repo->pages, top);
}
END_TEST

/* Only names that are boundaries, or none that is: pages stay between the floor and the
 * ceiling. */
START_TEST(schedule_26_names_against_the_splitter)
{
    struct chance c;
    chance_init(&c, "tree_rechunk_hostile");
    for (unsigned turn = 0; turn < 2; turn++) {
        enum naming naming = turn == 0 ? NAMING_BOUNDARY : NAMING_NONE;
        AUTO_RIG rig;
        tree_rig_init(&rig, 256 << 20);
        AUTO_MODEL model = {0};
        AUTO_BUF room = {0};
        struct tree_edit *edit = NULL;
        for (unsigned i = 0; i < 6000; i++) {
            if (i % 1500 == 0) {
                edit = (edit == NULL ? (void)0 : (void)tree_rig_seal(&rig, edit),
                        tree_edit_open(&rig.tree));
            }
            put(edit, &model, draw(&c, naming, &room), i, 1);
        }
        struct tree t = tree_rig_seal(&rig, edit);
        struct hash want = tree_model_hash(&model);
        ck_assert(hash_equal(&t.content, &want));
        ck_assert_uint_le(top_level(&t), 2);
        AUTO(arena_release) struct arena arena = {0};
        struct entry dir;
        ck_assert_int_eq(tree_find(&t, bytes_str("d"), &arena, &dir), 0);
        struct dir_pages pages;
        ck_assert_int_eq(dir_pages_open(&pages, t.repo, &t.project, &dir), 0);
        ck_assert_int_eq(dir_pages_flatten(&pages, &arena), 0);
        ck_assert_uint_gt(pages.n[0], 4);
        for (size_t i = 0; i < pages.n[0]; i++) {
            const struct page *page;
            ck_assert_int_eq(dir_pages_load(&pages, 0, i, &page), 0);
            uint32_t weight = 0;
            for (uint32_t k = 0; k < page->n; k++) {
                weight += page_weight(page->entries[k].name);
            }
            ck_assert_uint_ge(weight, PAGE_LEAST);
            ck_assert_uint_le(weight, PAGE_CUT_OVER);
        }
        dir_pages_release(&pages);
    }
}
END_TEST

/* Every first name of a run goes at once: one piece, cut once, and not again and again. */
START_TEST(all_boundary_names_go_at_once)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 256 << 20);
    AUTO_MODEL model = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 40000; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "d/a-name-of-middle-length-%06u", i);
        put(edit, &model, bytes_str(path), i, 1);
    }
    tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&rig.tree);
    for (size_t i = model.n; i-- > 0;) {
        if (page_boundary(name_at(&model, i), 0)) {
            take_away(edit, &model, i, 2);
        }
    }
    struct tree t = tree_rig_seal(&rig, edit);
    struct hash want = tree_model_hash(&model);
    ck_assert(hash_equal(&t.content, &want));
    tree_rig_same(&t, &model);
}
END_TEST

START_TEST(a_directory_of_very_many_entries)
{
    unsigned n = getenv("MIC_LONG") != NULL ? 1000000 : 200000;
    AUTO_RIG rig;
    tree_rig_init(&rig, 1024u << 20);
    AUTO_MODEL model = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    char path[300];
    for (unsigned i = 0; i < n; i++) {
        /* Long enough that the level above the leaves is split, too. */
        (void)snprintf(path, sizeof(path), "d/%07u-%0180u", i, i);
        put(edit, &model, bytes_str(path), i, 1);
    }
    struct tree t = tree_rig_seal(&rig, edit);
    struct hash want = tree_model_hash(&model);
    ck_assert(hash_equal(&t.content, &want));
    ck_assert_uint_ge(top_level(&t), 2);
    tree_rig_cold(&rig);
    for (uint64_t stamp = 2; stamp < 5; stamp++) {
        edit = tree_edit_open(&rig.tree);
        (void)tree_rig_reads(&rig);
        for (unsigned i = 0; i < 3; i++) {
            size_t at = (n / 7 * (size_t)stamp + i * (n / 3)) % model.n;
            if (i == 2) {
                take_away(edit, &model, at, stamp);
            } else {
                put(edit, &model, model.files[at].path, stamp, stamp);
            }
        }
        t = tree_rig_seal(&rig, edit);
        /* A directory of hundreds of leaves: all inner pages, once, and the leaves near the
         * changes. */
        ck_assert_uint_le(tree_rig_reads(&rig), 100);
        want = tree_model_hash(&model);
        ck_assert(hash_equal(&t.content, &want));
    }
    AUTO(arena_release) struct arena arena = {0};
    struct tree_listing listing;
    ck_assert_int_eq(tree_list(&t, bytes_str("d"), bytes_str("0123456"), 10, &arena, &listing),
                     0);
    ck_assert_uint_eq(listing.n, 10);
    ck_assert(listing.more);
    ck_assert_int_eq(memcmp(listing.entries[0].name.data, "0123456-", 8), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        cutting_again_is_cutting_anew,
        an_edit_reads_and_writes_only_pages_near_it,
        a_page_that_comes_out_the_same_stays_where_it_is,
        schedule_26_names_against_the_splitter,
        all_boundary_names_go_at_once,
        a_directory_of_very_many_entries,
    };
    return suite_run("tree_rechunk", tests, ARRAY_LEN(tests));
}
