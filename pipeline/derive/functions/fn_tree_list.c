/* What a tree has, as lines. */
#include "formats/base/hex.h"
#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_json_text.h"
#include "pipeline/derive/functions/fn_walk.h"

struct list {
    struct fn_run *run;
    bool json;
    struct buf line;
};

static int options_of(const struct fn_run *run, bool *one_level, bool *json)
{
    int err = fn_parameter_either(run, "recursive", "true", "false", one_level);
    return err != OK ? err : fn_parameter_either(run, "format", "text", "json", json);
}

static int list_check(const struct fn_run *run)
{
    bool one_level;
    bool json;
    return options_of(run, &one_level, &json);
}

static int entry_put(struct list *list, struct bytes path, const struct fn_entry *entry)
{
    struct buf *line = &list->line;
    buf_clear(line);
    if (list->json) {
        int err = fn_json_entry(list->run, path, entry, line);
        if (err != OK)
            return err;
        buf_append(line, "\n", 1);
        return fn_put(list->run->out, buf_bytes(line));
    }
    char hash[2 * sizeof(entry->hash.b) + 1];
    hex_encode(hash, entry->hash.b, sizeof(entry->hash.b));
    buf_printf(line, "%s %04o %llu %s ", fn_kind_word(entry->kind), (unsigned)entry->mode,
               (unsigned long long)entry->size, hash);
    buf_append_bytes(line, path);
    buf_append(line, "\n", 1);
    return fn_put(list->run->out, buf_bytes(line));
}

static int list_run(struct fn_run *run)
{
    struct list list = {.run = run};
    bool one_level;
    int err = options_of(run, &one_level, &list.json);
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
        if (one_level)
            fn_walk_skip(&walk);
        err = entry_put(&list, path, entry);
    }
    buf_release(&list.line);
    return err;
}

static const struct fn_parameter list_parameters[] = {{"format", false}, {"recursive", false}};

const struct function fn_tree_list = {
    .name = "tree.list",
    .version = "1.0.0",
    .revision = "1",
    .about = "A line for each file, link and directory of a tree, a directory before what is "
             "in it, in order of their names: kind, mode, size, content hash and path with "
             "single spaces between, or with `format` json an object of the same. All of it, "
             "or with `recursive` false what lies at the top.",
    .library = fn_json_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .trees = 1,
    .parameters = list_parameters,
    .n_parameters = ARRAY_LEN(list_parameters),
    .check = list_check,
    .run = list_run,
};
