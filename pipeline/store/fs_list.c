#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/file.h"

#define ENTRIES_STEP (32u * 1024u)

/* A walk through the folders in the order of keys. */
struct walk {
    struct fs_store *fs;
    struct arena *arena; /* the caller's, for keys */
    const char *prefix;
    const char *after;
    size_t max;
    struct store_key *keys;
    size_t n;
    size_t cap;
    bool more;
    /* The folder that is being read, with a slash at its end, or empty; then an entry's
     * name. */
    char path[STORE_KEY_MAX + 2];
};

/* The entries of one folder that a key of the list may begin with: a folder's name has a slash
 * at its end, for this is how keys compare. */
struct folder {
    struct arena arena;
    char **names;
    size_t n;
    size_t cap;
};

static int list_err(int e)
{
    int err = err_from_errno(e);
    /* A list has no effect that could be in doubt. */
    return err == ERR_UNKNOWN ? ERR_AGAIN : err;
}

static void folder_release(struct folder *folder)
{
    arena_release(&folder->arena);
}

static bool begins_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Whether `path` is a key of the list, or, when it ends in a slash, may be the beginning of
 * one. */
static bool is_wanted(const struct walk *walk, const char *path, bool is_folder)
{
    if (!is_folder) {
        return begins_with(path, walk->prefix) && strcmp(path, walk->after) > 0;
    }
    if (!begins_with(path, walk->prefix) && !begins_with(walk->prefix, path)) {
        return false;
    }
    return strcmp(path, walk->after) > 0 || begins_with(walk->after, path);
}

/* Whether the entry is a folder, when the file system does not tell along with its name. */
static unsigned char type_of(int fd, const struct dirent64 *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type;
    }
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return DT_UNKNOWN;
    }
    return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static void folder_add(struct folder *folder, struct walk *walk, size_t len, int fd,
                       const struct dirent64 *entry)
{
    size_t name_len = strlen(entry->d_name);
    unsigned char type = type_of(fd, entry);
    bool is_folder = type == DT_DIR;
    if ((!is_folder && type != DT_REG) || !store_key_ok(entry->d_name) ||
        len + name_len + is_folder > STORE_KEY_MAX) {
        return;
    }
    memcpy(walk->path + len, entry->d_name, name_len);
    memcpy(walk->path + len + name_len, is_folder ? "/" : "", is_folder ? 2 : 1);
    if (!is_wanted(walk, walk->path, is_folder)) {
        return;
    }
    char **slot = arena_push(&folder->arena, (void **)&folder->names, &folder->n, &folder->cap,
                             sizeof(*folder->names));
    *slot = arena_str(&folder->arena, bytes_str(walk->path + len));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Reads the folder whose path is the first `len` bytes of walk->path. One that is not there has
 * no entries. */
static int folder_read(struct folder *folder, struct walk *walk, size_t len)
{
    walk->path[len] = '\0';
    int fd =
        openat(walk->fs->root, len == 0 ? "." : walk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        return absent ? OK : list_err(errno);
    }
    _Alignas(struct dirent64) char entries[ENTRIES_STEP];
    ssize_t got;
    while ((got = getdents64(fd, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            folder_add(folder, walk, len, fd, entry);
            at += entry->d_reclen;
        }
    }
    int err = got < 0 ? list_err(errno) : OK;
    (void)close(fd);
    if (err == OK && folder->n > 1) {
        qsort(folder->names, folder->n, sizeof(*folder->names), compare_names);
    }
    return err;
}

/* Adds the object at walk->path, unless it has gone meanwhile. */
static int add_key(struct walk *walk)
{
    struct stat st;
    if (fstatat(walk->fs->root, walk->path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        bool gone = errno == ENOENT || errno == ENOTDIR;
        return gone ? OK : list_err(errno);
    }
    if (walk->n == walk->max) {
        walk->more = true;
        return OK;
    }
    struct store_key *key =
        arena_push(walk->arena, (void **)&walk->keys, &walk->n, &walk->cap, sizeof(*key));
    key->key = arena_str(walk->arena, bytes_str(walk->path));
    key->size = (uint64_t)st.st_size;
    key->put_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
    return OK;
}

/* Recursion ends with the length of a key: each folder takes at least two bytes of it. */
static int walk_folder(struct walk *walk, size_t len)
{
    AUTO(folder_release) struct folder folder = {0};
    int err = folder_read(&folder, walk, len);
    for (size_t i = 0; i < folder.n && err == OK && !walk->more; i++) {
        size_t name_len = strlen(folder.names[i]);
        memcpy(walk->path + len, folder.names[i], name_len + 1);
        bool is_folder = folder.names[i][name_len - 1] == '/';
        err = is_folder ? walk_folder(walk, len + name_len) : add_key(walk);
    }
    return err;
}

int fs_list(struct store *store, struct arena *arena, const char *prefix, const char *after,
            size_t max, struct store_list *out)
{
    struct walk walk = {
        .fs = fs_of(store),
        .arena = arena,
        .prefix = prefix,
        .after = after,
        .max = max,
    };
    /* All keys lie in the folder that the prefix names in full. */
    const char *slash = strrchr(prefix, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - prefix) + 1;
    memcpy(walk.path, prefix, len);
    int err = walk_folder(&walk, len);
    if (err == OK) {
        *out = (struct store_list){.keys = walk.keys, .n = walk.n, .more = walk.more};
    }
    return err;
}
