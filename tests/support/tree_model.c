#include "tests/support/tree_model.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/path.h"

void tree_model_release(struct tree_model *m)
{
    arena_release(&m->arena);
    free(m->files);
    free(m->dirs);
    *m = (struct tree_model){0};
}

void tree_model_copy(struct tree_model *m, const struct tree_model *from)
{
    *m = (struct tree_model){
        .n = from->n, .cap = from->n + 1, .n_dirs = from->n_dirs, .cap_dirs = from->n_dirs + 1};
    m->files = calloc(m->cap, sizeof(*m->files));
    m->dirs = calloc(m->cap_dirs, sizeof(*m->dirs));
    assert(m->files != NULL && m->dirs != NULL);
    for (size_t i = 0; i < m->n; i++) {
        m->files[i] = from->files[i];
        m->files[i].path = arena_copy(&m->arena, from->files[i].path);
    }
    for (size_t i = 0; i < m->n_dirs; i++) {
        m->dirs[i] = from->dirs[i];
        m->dirs[i].path = arena_copy(&m->arena, from->dirs[i].path);
    }
}

struct entry model_file_entry(uint64_t number)
{
    return (struct entry){
        .kind = KIND_FILE,
        .mode = MODE_PLAIN,
        .size = number % 1000,
        .hash = sha256(bytes_of(&number, sizeof(number))),
        .where = {.place = PLACE_BLOB},
    };
}

static size_t file_from(const struct tree_model *m, struct bytes path)
{
    size_t low = 0;
    size_t high = m->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (path_compare(m->files[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t dir_from(const struct tree_model *m, struct bytes path)
{
    size_t low = 0;
    size_t high = m->n_dirs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (path_compare(m->dirs[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool file_at(const struct tree_model *m, struct bytes path)
{
    size_t i = file_from(m, path);
    return i < m->n && bytes_equal(m->files[i].path, path);
}

static void dir_stamp(struct tree_model *m, struct bytes path, uint64_t stamp)
{
    size_t i = dir_from(m, path);
    if (i == m->n_dirs || !bytes_equal(m->dirs[i].path, path)) {
        if (m->n_dirs == m->cap_dirs) {
            m->cap_dirs = 2 * m->cap_dirs + 8;
            m->dirs = realloc(m->dirs, m->cap_dirs * sizeof(*m->dirs));
            assert(m->dirs != NULL);
        }
        memmove(&m->dirs[i + 1], &m->dirs[i], (m->n_dirs - i) * sizeof(*m->dirs));
        m->n_dirs++;
        m->dirs[i].path = arena_copy(&m->arena, path);
    }
    m->dirs[i].stamp = stamp;
}

static void stamp_above(struct tree_model *m, struct bytes path, uint64_t stamp)
{
    do {
        path = path_parent(path);
        dir_stamp(m, path, stamp);
    } while (path.len > 0);
}

int tree_model_put(struct tree_model *m, struct bytes path, const struct entry *e,
                   uint64_t stamp, bool *changed)
{
    for (struct bytes above = path_parent(path); above.len > 0; above = path_parent(above)) {
        if (file_at(m, above)) {
            return ERR_CONFLICT;
        }
    }
    size_t i = file_from(m, path);
    bool there = i < m->n && bytes_equal(m->files[i].path, path);
    if (!there && i < m->n && path_below(m->files[i].path, path)) {
        return ERR_CONFLICT;
    }
    const struct entry *old = there ? &m->files[i].entry : NULL;
    *changed = old == NULL || old->kind != e->kind || old->mode != e->mode ||
               !hash_equal(&old->hash, &e->hash);
    if (!*changed) {
        return 0;
    }
    if (!there) {
        if (m->n == m->cap) {
            m->cap = 2 * m->cap + 8;
            m->files = realloc(m->files, m->cap * sizeof(*m->files));
            assert(m->files != NULL);
        }
        memmove(&m->files[i + 1], &m->files[i], (m->n - i) * sizeof(*m->files));
        m->n++;
        m->files[i].path = arena_copy(&m->arena, path);
    }
    m->files[i].entry = *e;
    m->files[i].entry.stamp = stamp;
    m->files[i].entry.name = (struct bytes){0};
    stamp_above(m, path, stamp);
    return 0;
}

int tree_model_remove(struct tree_model *m, struct bytes path, uint64_t stamp, bool *changed)
{
    size_t i = file_from(m, path);
    *changed = false;
    if (i == m->n || !bytes_equal(m->files[i].path, path)) {
        bool is_dir = i < m->n && path_below(m->files[i].path, path);
        return is_dir ? ERR_CONFLICT : 0;
    }
    m->n--;
    memmove(&m->files[i], &m->files[i + 1], (m->n - i) * sizeof(*m->files));
    stamp_above(m, path, stamp);
    *changed = true;
    return 0;
}

/* The content hash of one directory: level upon level, all of it. */
static struct hash pages_hash(struct entry *entries, size_t n)
{
    struct bytes *names = calloc(n + 1, sizeof(*names));
    uint32_t *cuts = calloc(n + 1, sizeof(*cuts));
    assert(names != NULL && cuts != NULL);
    for (uint8_t level = 0;; level++) {
        for (size_t i = 0; i < n; i++) {
            names[i] = entries[i].name;
        }
        size_t pages = page_split(names, n, level, false, cuts);
        for (size_t i = 0; i < pages; i++) {
            size_t end = i + 1 < pages ? cuts[i + 1] : n;
            struct entry page = {.kind = KIND_DIR,
                                 .name = n > 0 ? names[cuts[i]] : (struct bytes){0}};
            for (size_t k = cuts[i]; k < end; k++) {
                page.size += entries[k].size;
            }
            page.hash = page_content_hash(level, entries + cuts[i], end - cuts[i]);
            entries[i] = page;
        }
        n = pages;
        if (n == 1) {
            break;
        }
    }
    free(names);
    free(cuts);
    return entries[0].hash;
}

/* The directory of files [from, to), whose path has `len` bytes. Recursive: only for paths of
 * tests. */
static struct entry dir_entry(const struct tree_model *m, size_t from, size_t to, size_t len)
{
    struct entry dir = {.kind = KIND_DIR};
    struct entry *entries = calloc(to - from + 1, sizeof(*entries));
    assert(entries != NULL);
    size_t n = 0;
    size_t skip = len == 0 ? 0 : len + 1;
    for (size_t i = from; i < to;) {
        struct bytes rest = m->files[i].path;
        rest = bytes_of(rest.data + skip, rest.len - skip);
        struct bytes name = path_first(&rest);
        struct bytes path = bytes_of(m->files[i].path.data, skip + name.len);
        size_t end = i + 1;
        struct entry *e = &entries[n++];
        if (rest.len > 0) {
            while (end < to && path_below(m->files[end].path, path)) {
                end++;
            }
            *e = dir_entry(m, i, end, path.len);
            dir.files += e->files;
        } else {
            *e = m->files[i].entry;
            dir.files++;
        }
        dir.size += e->size;
        e->name = name;
        i = end;
    }
    dir.hash = pages_hash(entries, n);
    free(entries);
    return dir;
}

struct entry tree_model_find(const struct tree_model *m, struct bytes path)
{
    size_t i = file_from(m, path);
    if (path.len > 0 && i < m->n && bytes_equal(m->files[i].path, path)) {
        return m->files[i].entry;
    }
    size_t end = i;
    while (end < m->n && (path.len == 0 || path_below(m->files[end].path, path))) {
        end++;
    }
    if (end == i && path.len > 0) {
        return (struct entry){0};
    }
    struct entry dir = dir_entry(m, i, end, path.len);
    size_t d = dir_from(m, path);
    dir.stamp = d < m->n_dirs && bytes_equal(m->dirs[d].path, path) ? m->dirs[d].stamp : 0;
    return dir;
}

struct hash tree_model_hash(const struct tree_model *m)
{
    return dir_entry(m, 0, m->n, 0).hash;
}
