/* A tree as a tar archive, by libarchive. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>

#include "formats/path.h"
#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_walk.h"

struct archive_work {
    struct fn_run *run;
    struct archive *archive;
    struct archive_entry *entry;
    struct bytes prefix;
    struct buf path; /* in the archive, with a NUL behind it */
    int err;         /* why the output failed */
};

static int prefix_of(const struct fn_run *run, struct bytes *out)
{
    const char *why = "is too long";
    *out = (struct bytes){0};
    (void)!fn_parameter(run, "prefix", out);
    if (out->len > 0 && path_check(*out, &why) != OK)
        return fn_refuse(run, "prefix", "this %s", why);
    return OK;
}

static int archive_check(const struct fn_run *run)
{
    struct bytes prefix;
    return prefix_of(run, &prefix);
}

static la_ssize_t out_write(struct archive *archive, void *arg, const void *data, size_t len)
{
    struct archive_work *work = arg;
    if (work->err == OK)
        work->err = fn_put(work->run->out, bytes_of(data, len));
    if (work->err == OK)
        return (la_ssize_t)len;
    archive_set_error(archive, EIO, "the result cannot be written");
    return -1;
}

/* What a call of the library that failed comes to. */
static int refused(struct archive_work *work, struct bytes path)
{
    if (work->err != OK)
        return work->err;
    const char *why = archive_error_string(work->archive);
    return fn_refuse(work->run, NULL, "%.*s cannot be archived: %s",
                     (int)(path.len < 150 ? path.len : 150), (const char *)path.data,
                     why != NULL ? why : "the library gives no reason");
}

/* ---- entries ---- */

/* Nothing is set that the tree does not say: no times, no owners. */
static int header_put(struct archive_work *work, struct bytes path,
                      const struct fn_entry *entry, const char *target)
{
    struct archive_entry *header = archive_entry_clear(work->entry);
    buf_clear(&work->path);
    buf_append_bytes(&work->path, work->prefix);
    if (work->prefix.len > 0 && path.len > 0)
        buf_append(&work->path, "/", 1);
    buf_append_bytes(&work->path, path);
    if (entry->kind == KIND_DIR)
        buf_append(&work->path, "/", 1);
    buf_append(&work->path, "", 1);
    archive_entry_set_pathname(header, (const char *)work->path.data);
    archive_entry_set_size(header, entry->kind == KIND_FILE ? (la_int64_t)entry->size : 0);
    switch (entry->kind) {
    case KIND_FILE:
        archive_entry_set_filetype(header, AE_IFREG);
        archive_entry_set_perm(header, entry->mode);
        break;
    case KIND_LINK:
        archive_entry_set_filetype(header, AE_IFLNK);
        archive_entry_set_perm(header, 0777);
        archive_entry_set_symlink(header, target);
        break;
    case KIND_DIR:
    case KIND_NONE:
        archive_entry_set_filetype(header, AE_IFDIR);
        archive_entry_set_perm(header, 0755);
        break;
    }
    /* It warns where a name is not UTF-8, and then writes the bytes as they are. */
    int code = archive_write_header(work->archive, header);
    return code == ARCHIVE_OK || code == ARCHIVE_WARN ? OK : refused(work, path);
}

static int data_put(struct archive_work *work, struct bytes path, struct fn_bytes *in)
{
    for (uint64_t at = 0; at < in->size;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        if (err != OK)
            return err;
        la_ssize_t done = archive_write_data(work->archive, view.data, view.len);
        if (done < 0 || (size_t)done != view.len)
            return refused(work, path);
        at += view.len;
    }
    return OK;
}

static int link_put(struct archive_work *work, struct bytes path, const struct fn_entry *entry,
                    struct fn_bytes *in)
{
    AUTO_BUF target = {0};
    if (in->size == 0 || in->size > PATH_LEN_MAX)
        return fn_refuse(work->run, NULL, "the link %.*s has a target of %llu bytes",
                         (int)(path.len < 150 ? path.len : 150), (const char *)path.data,
                         (unsigned long long)in->size);
    while (target.len < in->size) {
        struct bytes view;
        int err = in->view(in, target.len, &view);
        if (err != OK)
            return err;
        buf_append_bytes(&target, view);
    }
    if (memchr(target.data, 0, target.len) != NULL)
        return fn_refuse(work->run, NULL, "the target of the link %.*s has a zero in it",
                         (int)(path.len < 150 ? path.len : 150), (const char *)path.data);
    buf_append(&target, "", 1);
    return header_put(work, path, entry, (const char *)target.data);
}

static int entry_put(struct archive_work *work, struct bytes path, const struct fn_entry *entry)
{
    struct fn_tree *tree = work->run->trees[0];
    if (entry->kind == KIND_DIR)
        return header_put(work, path, entry, NULL);
    struct fn_bytes *in;
    int err = tree->open_file(tree, entry, &in);
    if (err != OK)
        return err;
    if (entry->kind == KIND_LINK) {
        err = link_put(work, path, entry, in);
    } else {
        err = header_put(work, path, entry, NULL);
        if (err == OK)
            err = data_put(work, path, in);
    }
    tree->close_file(tree, in);
    return err;
}

/* ---- the whole ---- */

static int tree_put(struct archive_work *work)
{
    AUTO(fn_walk_release) struct fn_walk walk = {0};
    struct bytes path = {0};
    int err = OK;
    if (work->prefix.len > 0)
        err = header_put(work, path, &work->run->trees[0]->top, NULL);
    if (err == OK)
        err = fn_walk_open(&walk, work->run->trees[0]);
    while (err == OK) {
        const struct fn_entry *entry;
        err = fn_walk_next(&walk, &path, &entry);
        if (err != OK || entry == NULL)
            break;
        err = entry_put(work, path, entry);
    }
    return err;
}

static int archive_put(struct archive_work *work)
{
    struct archive *archive = work->archive;
    /* Extended headers only where the plain one cannot say it; no padding to a tape's block. */
    if (archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(archive, 0) != ARCHIVE_OK ||
        archive_write_open(archive, work, NULL, out_write, NULL) != ARCHIVE_OK)
        return refused(work, bytes_str("a tree"));
    int err = tree_put(work);
    if (err != OK) {
        /* The library lets go of all that it holds only when the archive is closed. That wants
         * to write what is missing, and may not. */
        work->err = err;
        (void)archive_write_close(archive);
        return err;
    }
    return archive_write_close(archive) == ARCHIVE_OK ? OK : refused(work, bytes_str("a tree"));
}

static int archive_run(struct fn_run *run)
{
    struct archive_work work = {.run = run};
    int err = prefix_of(run, &work.prefix);
    if (err != OK)
        return err;
    /* The library takes names to be spelled as the thread's locale says, which is whatever the
     * process was started with. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0)
        return fn_refuse(run, NULL, "this machine has no locale C.UTF-8");
    locale_t before = uselocale(utf8);
    work.archive = archive_write_new();
    work.entry = archive_entry_new();
    assert(work.archive != NULL && work.entry != NULL);
    err = archive_put(&work);
    archive_entry_free(work.entry);
    (void)archive_write_free(work.archive);
    buf_release(&work.path);
    (void)uselocale(before);
    freelocale(utf8);
    return err;
}

static void library(struct buf *out)
{
    buf_printf(out, "%s", archive_version_string());
}

static const struct fn_parameter archive_parameters[] = {{"prefix", false}};

const struct function fn_tree_archive = {
    .name = "tree.archive",
    .version = "1.0.0",
    .revision = "1",
    .about = "A tree as a tar archive (pax, POSIX.1-2001), in order of paths, directories "
             "before what is in them, without times and owners; all of it below `prefix`, a "
             "path, when that is given.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .trees = 1,
    .parameters = archive_parameters,
    .n_parameters = ARRAY_LEN(archive_parameters),
    .check = archive_check,
    .run = archive_run,
};
