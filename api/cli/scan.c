#include "api/cli/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/cli/ignore.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/sys/file.h"

/* A directory that the walk is in. */
struct level {
    struct bytes path;
    struct bytes *names; /* sorted */
    size_t n;
    size_t at;
    int fd;
    bool ignored; /* only what the base has is looked at */
    struct arena arena;
};

struct walker {
    struct workspace *ws;
    struct index *index;
    struct arena *arena;
    struct scan *scan;
    struct ignore ignore;
    struct level *levels;
    size_t n_levels, cap_levels;
    size_t next; /* of the index */
    size_t cap_items, cap_skipped;
    int64_t now_ns; /* of the file system, when the walk began */
};

/* ---- what differs ------------------------------------------------------------------------ */

static struct scan_item *item_push(struct walker *w, struct bytes path, enum scan_state state)
{
    struct scan_item *item = arena_push(w->arena, (void **)&w->scan->items, &w->scan->n,
                                        &w->cap_items, sizeof(*item));
    item->path = path;
    item->state = state;
    return item;
}

static void skip(struct walker *w, struct bytes path, const char *why)
{
    struct scan_skipped *skipped =
        arena_push(w->arena, (void **)&w->scan->skipped, &w->scan->n_skipped, &w->cap_skipped,
                   sizeof(*skipped));
    *skipped = (struct scan_skipped){.path = arena_copy(w->arena, path), .why = why};
}

static void item_fill(struct scan_item *item, const struct stat *st)
{
    item->kind = stat_kind(st);
    item->mode = stat_mode(st);
    item->size = (uint64_t)st->st_size;
    item->mark = stat_mark_of(st);
}

/* Reads the file of an entry and renews its mark. */
static int entry_read(struct walker *w, struct index_entry *e, struct stat *st)
{
    struct hash hash;
    int err = worktree_hash(&w->ws->tree, e->path, &hash, st);
    if (err != OK)
        return err;
    w->scan->read++;
    w->scan->index_dirty = true;
    e->mark = stat_mark_of(st);
    e->work = hash;
    /* A file as young as this walk may change once more without a trace: see index.h. */
    e->marked = e->mark.mtime_ns < w->now_ns;
    return OK;
}

/* A path of the index that is there. */
static int compare(struct walker *w, struct index_entry *e, struct stat *st)
{
    struct stat_mark mark = stat_mark_of(st);
    bool known = e->marked && stat_mark_equal(&e->mark, &mark);
    bool hashed = known;
    if (e->kind == KIND_NONE) {
        struct scan_item *item = item_push(w, e->path, SCAN_ADDED);
        item_fill(item, st);
        item->hashed = known;
        item->hash = e->work;
        return OK;
    }
    bool alike = stat_kind(st) == e->kind && stat_mode(st) == e->mode;
    if (!known && (uint64_t)st->st_size == e->size && stat_kind(st) == e->kind) {
        int err = entry_read(w, e, st);
        if (err != OK)
            return err;
        hashed = true;
        alike = stat_kind(st) == e->kind && stat_mode(st) == e->mode;
    }
    if (hashed && alike && hash_equal(&e->work, &e->hash))
        return OK;
    struct scan_item *item = item_push(w, e->path, SCAN_MODIFIED);
    item_fill(item, st);
    item->base = e;
    item->hashed = hashed;
    item->hash = e->work;
    return OK;
}

static void gone(struct walker *w, const struct index_entry *e)
{
    if (e->kind == KIND_NONE)
        return;
    struct scan_item *item = item_push(w, e->path, SCAN_DELETED);
    item->base = e;
}

/* Reports the index's entries before `path` as gone; NULL: all that are left. */
static void gone_before(struct walker *w, const struct bytes *path)
{
    while (w->next < w->index->n) {
        const struct index_entry *e = &w->index->entries[w->next];
        if (path != NULL && path_compare(e->path, *path) >= 0)
            return;
        gone(w, e);
        w->next++;
    }
}

/* ---- the walk ---------------------------------------------------------------------------- */

static int name_order(const void *a, const void *b)
{
    const struct bytes *left = a;
    const struct bytes *right = b;
    return bytes_compare(*left, *right);
}

static int names_read(struct level *level, int fd)
{
    int copy = dup(fd);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        int e = errno;
        if (copy >= 0)
            close(copy);
        return err_from_errno(e);
    }
    rewinddir(dir);
    size_t cap = 0;
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct bytes *name =
            arena_push(&level->arena, (void **)&level->names, &level->n, &cap, sizeof(*name));
        *name = arena_copy(&level->arena, bytes_str(entry->d_name));
    }
    int e = errno;
    closedir(dir);
    if (level->n > 0)
        qsort(level->names, level->n, sizeof(*level->names), name_order);
    return err_from_errno(e);
}

static void rules_read(struct walker *w, const struct level *level)
{
    AUTO_BUF text = {0};
    int fd = openat(level->fd, IGNORE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        uint8_t *room = buf_reserve(&text, IGNORE_FILE_MAX);
        ssize_t got;
        while (text.len < IGNORE_FILE_MAX &&
               (got = read(fd, room + text.len, IGNORE_FILE_MAX - text.len)) > 0)
            text.len += (size_t)got;
        close(fd);
    }
    ignore_push(&w->ignore, level->path, buf_bytes(&text));
}

static int level_push(struct walker *w, struct bytes path, int fd, bool ignored)
{
    if (w->n_levels == w->cap_levels) {
        w->cap_levels = w->cap_levels == 0 ? 32 : 2 * w->cap_levels;
        w->levels = realloc(w->levels, w->cap_levels * sizeof(*w->levels));
        if (w->levels == NULL)
            abort();
    }
    struct level *level = &w->levels[w->n_levels++];
    *level = (struct level){.fd = fd, .ignored = ignored};
    level->path = arena_copy(&level->arena, path);
    rules_read(w, level);
    return names_read(level, fd);
}

static void level_pop(struct walker *w)
{
    struct level *level = &w->levels[--w->n_levels];
    close(level->fd);
    arena_release(&level->arena);
    ignore_pop(&w->ignore);
}

static bool is_component(struct bytes name, const char *what)
{
    return name.len == strlen(what) &&
           strncasecmp((const char *)name.data, what, name.len) == 0;
}

static int visit_directory(struct walker *w, struct level *level, struct bytes path,
                           const char *name)
{
    bool ignored = level->ignored || ignore_match(&w->ignore, path, true);
    if (ignored && !index_has_below(w->index, path))
        return OK;
    int fd = openat(level->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
            return OK;
        skip(w, path, "cannot be opened");
        return OK;
    }
    return level_push(w, path, fd, ignored);
}

static int visit_file(struct walker *w, const struct level *level, struct bytes path,
                      struct stat *st)
{
    gone_before(w, &path);
    struct index_entry *e = w->next < w->index->n ? &w->index->entries[w->next] : NULL;
    if (e != NULL && bytes_equal(e->path, path)) {
        w->next++;
        if (e->kind != KIND_NONE ||
            !(level->ignored || ignore_match(&w->ignore, path, false))) {
            w->scan->files++;
            int err = compare(w, e, st);
            if (err == ERR_NOT_FOUND) {
                gone(w, e);
                err = OK;
            }
            if (err == ERR_DENIED) {
                skip(w, path, "cannot be read");
                err = OK;
            }
            return err;
        }
        return OK;
    }
    if (level->ignored || ignore_match(&w->ignore, path, false))
        return OK;
    const char *why = NULL;
    if (path_check(path, &why) != OK) {
        skip(w, path, why != NULL ? why : "has a path that is too long");
        return OK;
    }
    if (stat_kind(st) == KIND_NONE) {
        skip(w, path, "is no file, directory or link");
        return OK;
    }
    w->scan->files++;
    item_fill(item_push(w, arena_copy(w->arena, path), SCAN_ADDED), st);
    return OK;
}

static int visit(struct walker *w, struct bytes name)
{
    struct level *level = &w->levels[w->n_levels - 1];
    if (is_component(name, ".git") || (level->path.len == 0 && is_component(name, ".mic")))
        return OK;
    struct stat st;
    AUTO_BUF path = {0};
    buf_append_bytes(&path, level->path);
    if (path.len > 0)
        buf_append(&path, "/", 1);
    buf_append_bytes(&path, name);
    size_t name_at = path.len - name.len;
    buf_append(&path, "", 1);
    path.len--;
    const char *cname = (const char *)path.data + name_at;
    if (fstatat(level->fd, cname, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? OK : err_from_errno(errno);
    if (!S_ISDIR(st.st_mode))
        return visit_file(w, level, buf_bytes(&path), &st);
    if (path.len > PATH_LEN_MAX) {
        skip(w, buf_bytes(&path), "has a path that is too long");
        return OK;
    }
    return visit_directory(w, level, buf_bytes(&path), cname);
}

/* The file system's own time: clocks of other machines may be elsewhere. */
static int64_t time_of(struct workspace *ws)
{
    struct worktree_temp temp;
    struct stat st;
    int64_t now_ns = INT64_MIN; /* nothing is believed */
    if (worktree_temp_open(&ws->tree, &temp) != OK)
        return now_ns;
    if (write(temp.fd, "", 1) == 1 && fstat(temp.fd, &st) == 0)
        now_ns = stat_mark_of(&st).mtime_ns;
    worktree_discard(&ws->tree, &temp);
    return now_ns;
}

int scan_run(struct workspace *ws, struct index *index, struct arena *arena, struct scan *out)
{
    *out = (struct scan){0};
    struct walker w = {.ws = ws, .index = index, .arena = arena, .scan = out};
    /* Without an index there are no marks to compare it with. */
    w.now_ns = index->n == 0 ? 0 : time_of(ws);
    ignore_init(&w.ignore);
    int root = dup(ws->tree.root);
    int err = root < 0 ? err_from_errno(errno) : level_push(&w, bytes_of(NULL, 0), root, false);
    while (err == OK && w.n_levels > 0) {
        struct level *level = &w.levels[w.n_levels - 1];
        if (level->at == level->n)
            level_pop(&w);
        else
            err = visit(&w, level->names[level->at++]);
    }
    while (w.n_levels > 0)
        level_pop(&w);
    if (err == OK)
        gone_before(&w, NULL);
    free(w.levels);
    ignore_release(&w.ignore);
    return err;
}

const struct scan_item *scan_find(const struct scan *scan, struct bytes path)
{
    size_t low = 0;
    size_t high = scan->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = path_compare(scan->items[mid].path, path);
        if (c == 0)
            return &scan->items[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
