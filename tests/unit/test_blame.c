#include "api/cli/blame.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

static void is_by(const struct blame *blame, size_t n, const size_t *want)
{
    ck_assert_uint_eq(blame->n, n);
    ck_assert_uint_eq(blame->n_open, 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(blame->by[i] == want[i], "line %zu is by %zu", i, blame->by[i]);
}

START_TEST(one_version)
{
    AUTO_BLAME blame;
    blame_begin(&blame, bytes_str("1\n2"), 7);
    ck_assert_uint_eq(blame.n_open, 2);
    blame_end(&blame);
    is_by(&blame, 2, (size_t[]){7, 7});
    AUTO_BLAME empty;
    blame_begin(&empty, bytes_str(""), 7);
    ck_assert_uint_eq(empty.n_open, 0);
    ck_assert_int_eq(blame_older(&empty, bytes_str("1\n"), 6), OK);
    blame_end(&empty);
    is_by(&empty, 0, NULL);
}
END_TEST

START_TEST(several_versions)
{
    AUTO_BLAME blame;
    blame_begin(&blame, bytes_str("a\nb2\nc\nd\n"), 9);
    ck_assert_int_eq(blame_older(&blame, bytes_str("a\nb\nc\n"), 8), OK);
    ck_assert_uint_eq(blame.n_open, 2);
    ck_assert_uint_eq(blame.by[0], BLAME_OPEN);
    ck_assert_uint_eq(blame.by[1], 9);
    blame_same(&blame, 5); /* written again without a change, so it is older than that */
    ck_assert_int_eq(blame_older(&blame, bytes_str("c\n"), 4), OK);
    ck_assert_int_eq(blame_older(&blame, bytes_str(""), 3), OK);
    ck_assert_uint_eq(blame.n_open, 0);
    blame_end(&blame);
    is_by(&blame, 4, (size_t[]){5, 9, 4, 9});
}
END_TEST

START_TEST(ends_of_lines)
{
    AUTO_BLAME blame;
    blame_begin(&blame, bytes_str("a\r\nb\nc\n"), 2);
    ck_assert_int_eq(blame_older(&blame, bytes_str("a\nb\nc"), 1), OK);
    blame_end(&blame);
    is_by(&blame, 3, (size_t[]){2, 1, 2});
    AUTO_BLAME binary; /* bytes are bytes */
    blame_begin(&binary, bytes_of("a\nb\n", 4), 2);
    ck_assert_int_eq(blame_older(&binary, bytes_of("\0\nb\n", 4), 1), OK);
    blame_end(&binary);
    is_by(&binary, 2, (size_t[]){2, 1});
}
END_TEST

/* ---- against a model --------------------------------------------------------------------- */

/* No two lines are ever alike and none ever moves, so it is certain with which version each
 * came: the line says it itself. */
#define VERSIONS  40u
#define LINES_MAX 200u

struct model {
    unsigned lines[LINES_MAX]; /* version * LINES_MAX + number */
    size_t n;
};

static void edit(struct chance *chance, struct model *model, unsigned version)
{
    unsigned made = 0;
    for (uint64_t edits = chance_below(chance, 6); edits > 0; edits--) {
        size_t at = (size_t)chance_below(chance, model->n + 1);
        size_t gone = (size_t)chance_below(chance, 4);
        size_t come = (size_t)chance_below(chance, 5);
        if (gone > model->n - at)
            gone = model->n - at;
        if (model->n - gone + come > LINES_MAX || made + come > LINES_MAX)
            continue;
        memmove(&model->lines[at + come], &model->lines[at + gone],
                (model->n - at - gone) * sizeof(model->lines[0]));
        for (size_t i = 0; i < come; i++)
            model->lines[at + i] = version * LINES_MAX + made++;
        model->n = model->n - gone + come;
    }
}

static void text_of(const struct model *model, bool ends, struct buf *out)
{
    for (size_t i = 0; i < model->n; i++)
        buf_printf(out, i + 1 < model->n || ends ? "line %u\n" : "line %u", model->lines[i]);
}

/* Whether the version has this very line; one without its newline is another. */
static bool has(const struct model *model, unsigned line, bool bare, bool ends)
{
    for (size_t i = 0; i < model->n; i++) {
        if (model->lines[i] == line)
            return bare == (!ends && i + 1 == model->n);
    }
    return false;
}

static void holds(const struct model *models, const struct blame *blame, bool ends)
{
    const struct model *newest = &models[VERSIONS - 1];
    ck_assert_uint_eq(blame->n, newest->n);
    ck_assert_uint_eq(blame->n_open, 0);
    for (size_t i = 0; i < newest->n; i++) {
        bool bare = !ends && i + 1 == newest->n;
        size_t by = VERSIONS - 1;
        while (by > 0 && has(&models[by - 1], newest->lines[i], bare, ends))
            by--;
        ck_assert_msg(blame->by[i] == by, "line %zu is by %zu, not %zu", i, blame->by[i], by);
        ck_assert(!ends || by == newest->lines[i] / LINES_MAX);
    }
}

static void play(struct chance *chance)
{
    static struct model models[VERSIONS];
    bool ends = chance_below(chance, 2) == 0;
    models[0] = (struct model){0};
    for (unsigned v = 1; v < VERSIONS; v++) {
        models[v] = models[v - 1];
        edit(chance, &models[v], v);
    }
    AUTO_BUF text = {0};
    AUTO_BLAME blame;
    text_of(&models[VERSIONS - 1], ends, &text);
    blame_begin(&blame, buf_bytes(&text), VERSIONS - 1);
    for (unsigned v = VERSIONS - 1; v-- > 0 && blame.n_open > 0;) {
        AUTO_BUF older = {0};
        text_of(&models[v], ends, &older);
        if (bytes_equal(buf_bytes(&older), buf_bytes(&blame.text)))
            blame_same(&blame, v);
        else
            ck_assert_int_eq(blame_older(&blame, buf_bytes(&older), v), OK);
    }
    blame_end(&blame);
    holds(models, &blame, ends);
}

START_TEST(every_line_says_when_it_came)
{
    struct chance chance;
    chance_init(&chance, "blame");
    for (int i = 0; i < 300; i++)
        play(&chance);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        one_version,
        several_versions,
        ends_of_lines,
        every_line_says_when_it_came,
    };
    return suite_run("blame", tests, ARRAY_LEN(tests));
}
