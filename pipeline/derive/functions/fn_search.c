/* Lines of a tree's files that match a regular expression. */
#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_line.h"
#include "pipeline/derive/functions/fn_pattern.h"
#include "pipeline/derive/functions/fn_walk.h"

static int search_check(const struct fn_run *run)
{
    AUTO(fn_pattern_release) struct fn_pattern pattern = {0};
    return fn_pattern_open(run, &pattern);
}

static int path_refuse(const struct fn_run *run, const char *parameter, struct bytes path,
                       uint64_t line, const char *why)
{
    int len = (int)(path.len < 200 ? path.len : 200);
    return fn_refuse(run, parameter, "line %llu of %.*s is %s", (unsigned long long)line, len,
                     (const char *)path.data, why);
}

static int match_put(struct fn_run *run, struct bytes path, uint64_t number, struct bytes line)
{
    AUTO_BUF head = {0};
    buf_append_bytes(&head, path);
    buf_printf(&head, ":%llu:", (unsigned long long)number);
    int err = fn_put(run->out, buf_bytes(&head));
    return err != OK ? err : fn_line_put(run->out, line);
}

static int lines_search(struct fn_run *run, const struct fn_pattern *pattern, struct bytes path,
                        struct fn_bytes *in)
{
    bool text;
    int err = fn_is_text(in, &text);
    if (err != OK || !text)
        return err;
    AUTO(fn_line_release) struct fn_line_reader reader;
    fn_line_init(&reader, in);
    for (uint64_t number = 1; err == OK; number++) {
        struct bytes line;
        bool end;
        bool found;
        err = fn_line_next(&reader, &line, &end);
        if (err != OK && reader.too_long)
            return path_refuse(run, NULL, path, number, "too long to search");
        if (err != OK || end)
            break;
        if (fn_pattern_find(pattern, line, &found) != OK)
            return path_refuse(run, "pattern", path, number, "too hard to match");
        if (found)
            err = match_put(run, path, number, line);
    }
    return err;
}

static int file_search(struct fn_run *run, const struct fn_pattern *pattern, struct bytes path,
                       const struct fn_entry *entry)
{
    struct fn_tree *tree = run->trees[0];
    struct fn_bytes *in;
    int err = tree->open_file(tree, entry, &in);
    if (err != OK)
        return err;
    err = lines_search(run, pattern, path, in);
    tree->close_file(tree, in);
    return err;
}

static int search_run(struct fn_run *run)
{
    AUTO(fn_pattern_release) struct fn_pattern pattern = {0};
    int err = fn_pattern_open(run, &pattern);
    if (err != OK)
        return err;
    AUTO(fn_walk_release) struct fn_walk walk = {0};
    err = fn_walk_open(&walk, run->trees[0]);
    while (err == OK) {
        struct bytes path;
        const struct fn_entry *entry;
        err = fn_walk_next(&walk, &path, &entry);
        if (err != OK || entry == NULL)
            break;
        if (entry->kind == KIND_FILE && entry->size > 0)
            err = file_search(run, &pattern, path, entry);
    }
    return err;
}

static const struct fn_parameter search_parameters[] = {{"ignore-case", false},
                                                        {"pattern", true}};

const struct function fn_tree_search = {
    .name = "tree.search",
    .version = "1.0.0",
    .revision = "1",
    .about =
        "`path:number:line` for each line that matches `pattern`, a Perl-compatible regular "
        "expression, in order of the paths; with `ignore-case` true in upper or lower case. "
        "Text is UTF-8, and bytes that are none match nothing; files with a zero among "
        "their first 8,000 bytes are passed over, and so are links.",
    .library = fn_pattern_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .trees = 1,
    .parameters = search_parameters,
    .n_parameters = ARRAY_LEN(search_parameters),
    .check = search_check,
    .run = search_run,
};
