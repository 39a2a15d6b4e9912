/* How large a tree is, by kinds of files. */
#include <jansson.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_json_text.h"
#include "pipeline/derive/functions/fn_line.h"
#include "pipeline/derive/functions/fn_walk.h"

struct stat_counts {
    uint64_t files;
    uint64_t binary;
    uint64_t bytes;
    uint64_t lines;
};

struct stat_work {
    struct fn_run *run;
    struct stat_counts all;
    uint64_t links;
    uint64_t directories;
    json_t *extensions;
    json_t *others; /* of those beyond FUNCTION_EXTENSIONS_MAX; NULL: there are none */
};

/* Without the dot; empty for a name that has none, or only the one it begins with. */
static struct bytes extension_of(struct bytes name)
{
    const uint8_t *dot = memrchr(name.data, '.', name.len);
    if (dot == NULL || dot == name.data)
        return (struct bytes){0};
    return bytes_of(dot + 1, (size_t)(name.data + name.len - dot - 1));
}

static void number_add(json_t *object, const char *name, uint64_t number)
{
    json_t *had = json_object_get(object, name);
    json_int_t sum = (json_int_t)number + json_integer_value(had);
    int failed = json_object_set_new(object, name, json_integer(sum));
    assert(failed == 0);
}

static void counts_add(json_t *object, const struct stat_counts *counts)
{
    number_add(object, "binary", counts->binary);
    number_add(object, "bytes", counts->bytes);
    number_add(object, "files", counts->files);
    number_add(object, "lines", counts->lines);
}

/* Which of them have a place of their own depends on the order of paths alone. */
static int extension_add(struct stat_work *work, struct bytes name,
                         const struct stat_counts *counts)
{
    struct bytes key = extension_of(name);
    const char *text = key.len > 0 ? (const char *)key.data : "";
    json_t *object = json_object_getn(work->extensions, text, key.len);
    if (object == NULL && json_object_size(work->extensions) == FUNCTION_EXTENSIONS_MAX) {
        if (work->others == NULL)
            work->others = json_object();
        object = work->others;
    } else if (object == NULL) {
        object = json_object();
        if (json_object_setn_new(work->extensions, text, key.len, object) != 0)
            return fn_refuse(work->run, NULL, "a path is not UTF-8, so JSON cannot have it");
    }
    counts_add(object, counts);
    return OK;
}

static int lines_count(struct fn_bytes *in, struct stat_counts *counts)
{
    bool text;
    uint8_t last = '\n';
    int err = fn_is_text(in, &text);
    if (err != OK)
        return err;
    counts->binary = text ? 0 : 1;
    for (uint64_t at = 0; text && at < in->size;) {
        struct bytes view;
        err = in->view(in, at, &view);
        if (err != OK)
            return err;
        for (size_t i = 0; i < view.len; i++)
            counts->lines += view.data[i] == '\n';
        last = view.data[view.len - 1];
        at += view.len;
    }
    counts->lines += last != '\n';
    return OK;
}

static int file_add(struct stat_work *work, const struct fn_entry *entry)
{
    struct fn_tree *tree = work->run->trees[0];
    struct stat_counts counts = {.files = 1, .bytes = entry->size};
    struct fn_bytes *in;
    int err = tree->open_file(tree, entry, &in);
    if (err != OK)
        return err;
    err = lines_count(in, &counts);
    tree->close_file(tree, in);
    if (err != OK)
        return err;
    work->all.files++;
    work->all.binary += counts.binary;
    work->all.bytes += counts.bytes;
    work->all.lines += counts.lines;
    return extension_add(work, entry->name, &counts);
}

static int tree_add(struct stat_work *work)
{
    AUTO(fn_walk_release) struct fn_walk walk = {0};
    int err = fn_walk_open(&walk, work->run->trees[0]);
    while (err == OK) {
        struct bytes path;
        const struct fn_entry *entry;
        err = fn_walk_next(&walk, &path, &entry);
        if (err != OK || entry == NULL)
            break;
        work->directories += entry->kind == KIND_DIR;
        work->links += entry->kind == KIND_LINK;
        if (entry->kind == KIND_FILE)
            err = file_add(work, entry);
    }
    return err;
}

static int piece_write(const char *text, size_t len, void *arg)
{
    buf_append(arg, text, len);
    return 0;
}

static int stat_write(struct stat_work *work)
{
    AUTO_BUF text = {0};
    json_t *all = json_object();
    counts_add(all, &work->all);
    number_add(all, "directories", work->directories);
    number_add(all, "links", work->links);
    (void)json_object_set(all, "extensions", work->extensions);
    if (work->others != NULL)
        (void)json_object_set(all, "other_extensions", work->others);
    int failed = json_dump_callback(all, piece_write, &text, JSON_COMPACT | JSON_SORT_KEYS);
    assert(failed == 0);
    json_decref(all);
    return fn_put(work->run->out, buf_bytes(&text));
}

static int stat_run(struct fn_run *run)
{
    struct stat_work work = {.run = run, .extensions = json_object()};
    int err = tree_add(&work);
    if (err == OK)
        err = stat_write(&work);
    json_decref(work.extensions);
    json_decref(work.others);
    return err;
}

const struct function fn_tree_stat = {
    .name = "tree.stat",
    .version = "1.0.0",
    .revision = "1",
    .about = "A JSON object: how many files, links and directories a tree has, how many bytes "
             "and lines are in its files, how many of them are binary (a zero is among the "
             "first 8,000 bytes; they have no lines), and the same of the files of each "
             "extension, by what follows the last dot in their names.",
    .library = fn_json_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .trees = 1,
    .run = stat_run,
};
