#include "api/cli/worktree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/sys/file.h"

#define READ_SIZE (256u * 1024)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct stat_mark stat_mark_of(const struct stat *st)
{
    return (struct stat_mark){
        .size = (uint64_t)st->st_size,
        .mtime_ns = ns_of(st->st_mtim),
        .ctime_ns = ns_of(st->st_ctim),
        .ino = st->st_ino,
        .mode = st->st_mode,
    };
}

bool stat_mark_equal(const struct stat_mark *a, const struct stat_mark *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           a->ino == b->ino && a->mode == b->mode;
}

enum kind stat_kind(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return KIND_FILE;
    if (S_ISLNK(st->st_mode))
        return KIND_LINK;
    return S_ISDIR(st->st_mode) ? KIND_DIR : KIND_NONE;
}

uint16_t stat_mode(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return 0;
    return (st->st_mode & S_IXUSR) != 0 ? MODE_EXEC : MODE_PLAIN;
}

int worktree_open(struct worktree *wt, const char *root)
{
    *wt = (struct worktree){.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    wt->tmp = -1;
    for (size_t i = 0; i < WORKTREE_SLOTS; i++)
        wt->slots[i].fd = -1;
    return wt->root < 0 ? err_from_errno(errno) : OK;
}

static void slot_drop(struct worktree *wt, size_t i)
{
    if (wt->slots[i].fd >= 0)
        close(wt->slots[i].fd);
    free(wt->slots[i].path);
    wt->slots[i].fd = -1;
    wt->slots[i].path = NULL;
}

void worktree_close(struct worktree *wt)
{
    for (size_t i = 0; i < WORKTREE_SLOTS; i++)
        slot_drop(wt, i);
    if (wt->tmp >= 0)
        close(wt->tmp);
    if (wt->root >= 0)
        close(wt->root);
    wt->root = wt->tmp = -1;
}

/* ---- directories ------------------------------------------------------------------------- */

/* A path as C's functions want it. */
struct cpath {
    char s[PATH_LEN_MAX + 1];
};

static const char *cpath(struct cpath *out, struct bytes path)
{
    size_t len = path.len < PATH_LEN_MAX ? path.len : PATH_LEN_MAX;
    if (len > 0)
        memcpy(out->s, path.data, len);
    out->s[len] = '\0';
    return out->s;
}

static size_t slot_of(struct bytes path)
{
    return (size_t)(xxh3_64(path) % WORKTREE_SLOTS);
}

static bool slot_has(const struct worktree *wt, size_t i, struct bytes path)
{
    const char *have = wt->slots[i].path;
    return have != NULL && bytes_equal(bytes_str(have), path);
}

/* A directory that is gone must not be written to by its old handle. */
static void slot_forget(struct worktree *wt, struct bytes path)
{
    size_t slot = slot_of(path);
    if (slot_has(wt, slot, path))
        slot_drop(wt, slot);
}

/* One step down. */
static int step(int dir, const char *name, bool create, int *fd)
{
    *fd = openat(dir, name, DIR_FLAGS);
    if (*fd < 0 && errno == ENOENT && create) {
        if (mkdirat(dir, name, 0777) != 0 && errno != EEXIST)
            return err_from_errno(errno);
        *fd = openat(dir, name, DIR_FLAGS);
    }
    if (*fd >= 0)
        return OK;
    if (errno == ELOOP || errno == ENOTDIR)
        return create ? ERR_CONFLICT : ERR_NOT_FOUND;
    return err_from_errno(errno);
}

int worktree_dir(struct worktree *wt, struct bytes path, bool create, int *fd)
{
    if (path.len == 0) {
        *fd = wt->root;
        return OK;
    }
    if (path.len > PATH_LEN_MAX)
        return ERR_LIMIT;
    /* From the nearest directory that is open already, down. */
    struct bytes above = path;
    while (above.len > 0 && !slot_has(wt, slot_of(above), above))
        above = path_parent(above);
    int at = above.len == 0 ? wt->root : wt->slots[slot_of(above)].fd;
    while (above.len < path.len) {
        size_t from = above.len == 0 ? 0 : above.len + 1;
        size_t to = from;
        while (to < path.len && path.data[to] != '/')
            to++;
        struct cpath name;
        int next;
        int err = step(at, cpath(&name, bytes_of(path.data + from, to - from)), create, &next);
        if (err != OK)
            return err;
        above = bytes_of(path.data, to);
        size_t slot = slot_of(above);
        slot_drop(wt, slot);
        wt->slots[slot].path = strndup((const char *)path.data, to);
        wt->slots[slot].fd = next;
        at = next;
    }
    *fd = at;
    return OK;
}

/* The directory above `path`, and the last component. */
static int above(struct worktree *wt, struct bytes path, bool create, int *dir,
                 struct cpath *name)
{
    (void)cpath(name, path_base(path));
    return worktree_dir(wt, path_parent(path), create, dir);
}

/* ---- reading ----------------------------------------------------------------------------- */

int worktree_stat(struct worktree *wt, struct bytes path, struct stat *out)
{
    int dir;
    struct cpath name;
    int err = above(wt, path, false, &dir, &name);
    if (err != OK)
        return err;
    if (fstatat(dir, name.s, out, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOTDIR ? ERR_NOT_FOUND : err_from_errno(errno);
    return OK;
}

int worktree_file(struct worktree *wt, struct bytes path, int *fd)
{
    int dir;
    struct cpath name;
    int err = above(wt, path, false, &dir, &name);
    if (err != OK)
        return err;
    /* O_NONBLOCK: a pipe that took the file's place must not hang us. */
    *fd = openat(dir, name.s, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return *fd < 0 ? err_from_errno(errno) : OK;
}

static int link_read(struct worktree *wt, struct bytes path, struct buf *out)
{
    int dir;
    struct cpath name;
    int err = above(wt, path, false, &dir, &name);
    if (err != OK)
        return err;
    uint8_t *room = buf_reserve(out, PATH_LEN_MAX + 1);
    ssize_t len = readlinkat(dir, name.s, (char *)room, PATH_LEN_MAX + 1);
    if (len < 0)
        return err_from_errno(errno);
    if (len > (ssize_t)PATH_LEN_MAX)
        return ERR_LIMIT;
    out->len += (size_t)len;
    return OK;
}

/* Reads an open file to its end: into `out`, if not NULL, and into `sha`, if not NULL. */
static int fd_read(int fd, size_t max, struct buf *out, struct sha256_ctx *sha)
{
    AUTO_BUF own = {0};
    struct buf *to = out != NULL ? out : &own;
    size_t total = 0;
    for (;;) {
        uint8_t *room = buf_reserve(to, READ_SIZE);
        ssize_t got = read(fd, room, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return OK;
        total += (size_t)got;
        if (total > max)
            return ERR_LIMIT;
        if (sha != NULL)
            sha256_update(sha, bytes_of(room, (size_t)got));
        if (out != NULL)
            to->len += (size_t)got;
    }
}

int worktree_read(struct worktree *wt, struct bytes path, size_t max, struct buf *out,
                  struct stat *st)
{
    int err = worktree_stat(wt, path, st);
    if (err != OK)
        return err;
    if (S_ISLNK(st->st_mode))
        return link_read(wt, path, out);
    int fd;
    err = worktree_file(wt, path, &fd);
    if (err != OK)
        return err;
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
        err = ERR_INVALID;
    else
        err = fd_read(fd, max, out, NULL);
    close(fd);
    return err;
}

int worktree_hash(struct worktree *wt, struct bytes path, struct hash *out, struct stat *st)
{
    int err = worktree_stat(wt, path, st);
    if (err != OK)
        return err;
    if (S_ISLNK(st->st_mode)) {
        AUTO_BUF target = {0};
        err = link_read(wt, path, &target);
        if (err == OK)
            *out = sha256(buf_bytes(&target));
        return err;
    }
    int fd;
    err = worktree_file(wt, path, &fd);
    if (err != OK)
        return err;
    struct sha256_ctx sha;
    sha256_init(&sha);
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
        err = ERR_INVALID;
    else
        err = fd_read(fd, SIZE_MAX, NULL, &sha);
    close(fd);
    struct hash hash = sha256_final(&sha);
    if (err == OK)
        *out = hash;
    return err;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Makes `name` in `dir`, which must not be there. */
static int create_at(int dir, const char *name, enum kind kind, uint16_t mode,
                     struct bytes content, struct stat_mark *out)
{
    struct stat st;
    if (kind == KIND_LINK) {
        struct cpath target;
        if (content.len == 0 || content.len > PATH_LEN_MAX ||
            memchr(content.data, 0, content.len) != NULL)
            return ERR_INVALID;
        if (symlinkat(cpath(&target, content), dir, name) != 0 ||
            fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return err_from_errno(errno);
        *out = stat_mark_of(&st);
        return OK;
    }
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags, mode == MODE_EXEC ? 0777 : 0666);
    if (fd < 0)
        return err_from_errno(errno);
    int err = fd_write_all(fd, content);
    if (err == OK && fstat(fd, &st) != 0)
        err = err_from_errno(errno);
    if (close(fd) != 0 && err == OK)
        err = err_from_errno(errno);
    if (err == OK)
        *out = stat_mark_of(&st);
    else
        (void)unlinkat(dir, name, 0);
    return err;
}

int worktree_create(struct worktree *wt, struct bytes path, enum kind kind, uint16_t mode,
                    struct bytes content, struct stat_mark *out)
{
    int dir;
    struct cpath name;
    int err = above(wt, path, true, &dir, &name);
    return err != OK ? err : create_at(dir, name.s, kind, mode, content, out);
}

/* Kept apart from the slots, so that it and a file's directory can be used together. */
static int tmp_dir(struct worktree *wt, int *fd)
{
    int err = OK;
    if (wt->tmp < 0) {
        int dir;
        err = worktree_dir(wt, bytes_str(".mic"), true, &dir);
        if (err == OK)
            err = step(dir, "tmp", true, &wt->tmp);
    }
    *fd = wt->tmp;
    return err;
}

static void temp_name(char *out, size_t size)
{
    static unsigned count;
    snprintf(out, size, "t%d-%u", (int)getpid(),
             __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
}

/* Gives the temporary `name` its place at `path`. */
static int settle(struct worktree *wt, const char *temp, struct bytes path,
                  struct stat_mark *out)
{
    int tmp, dir;
    struct cpath name;
    int err = above(wt, path, true, &dir, &name);
    if (err == OK)
        err = tmp_dir(wt, &tmp);
    if (err != OK)
        return err;
    struct stat st;
    int put = renameat(tmp, temp, dir, name.s);
    if (put != 0 && errno == EISDIR && unlinkat(dir, name.s, AT_REMOVEDIR) == 0) {
        slot_forget(wt, path);
        put = renameat(tmp, temp, dir, name.s);
    }
    if (put != 0)
        return errno == EISDIR || errno == ENOTEMPTY ? ERR_CONFLICT : err_from_errno(errno);
    /* A rename changes ctime, so only what is said now can be compared later. */
    if (fstatat(dir, name.s, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_from_errno(errno);
    *out = stat_mark_of(&st);
    return OK;
}

int worktree_replace(struct worktree *wt, struct bytes path, enum kind kind, uint16_t mode,
                     struct bytes content, struct stat_mark *out)
{
    int tmp;
    char name[40];
    struct stat_mark ignored;
    int err = tmp_dir(wt, &tmp);
    temp_name(name, sizeof(name));
    if (err == OK)
        err = create_at(tmp, name, kind, mode, content, &ignored);
    if (err != OK)
        return err;
    err = settle(wt, name, path, out);
    if (err != OK && tmp_dir(wt, &tmp) == OK)
        (void)unlinkat(tmp, name, 0);
    return err;
}

int worktree_temp_open(struct worktree *wt, struct worktree_temp *temp)
{
    int tmp;
    int err = tmp_dir(wt, &tmp);
    if (err != OK)
        return err;
    temp_name(temp->name, sizeof(temp->name));
    temp->fd =
        openat(tmp, temp->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    return temp->fd < 0 ? err_from_errno(errno) : OK;
}

int worktree_adopt(struct worktree *wt, struct worktree_temp *temp, struct bytes path,
                   uint16_t mode, struct stat_mark *out)
{
    struct stat st;
    int err = OK;
    if (mode == MODE_EXEC && fstat(temp->fd, &st) == 0) {
        /* Whoever may read it may run it. */
        mode_t run = st.st_mode | ((st.st_mode & 0444) >> 2);
        if (fchmod(temp->fd, run & 07777) != 0)
            err = err_from_errno(errno);
    }
    if (err == OK)
        err = settle(wt, temp->name, path, out);
    if (err != OK) {
        worktree_discard(wt, temp);
        return err;
    }
    close(temp->fd);
    temp->fd = -1;
    return OK;
}

void worktree_discard(struct worktree *wt, struct worktree_temp *temp)
{
    int tmp;
    if (temp->fd < 0)
        return;
    close(temp->fd);
    temp->fd = -1;
    if (tmp_dir(wt, &tmp) == OK)
        (void)unlinkat(tmp, temp->name, 0);
}

int worktree_chmod(struct worktree *wt, struct bytes path, uint16_t mode, struct stat_mark *out)
{
    int fd;
    int err = worktree_file(wt, path, &fd);
    if (err != OK)
        return err;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err = err_from_errno(errno);
    } else {
        mode_t run = mode == MODE_EXEC ? st.st_mode | ((st.st_mode & 0444) >> 2)
                                       : st.st_mode & (mode_t)~0111;
        if (fchmod(fd, run & 07777) != 0 || fstat(fd, &st) != 0)
            err = err_from_errno(errno);
    }
    close(fd);
    if (err == OK)
        *out = stat_mark_of(&st);
    return err;
}

int worktree_remove(struct worktree *wt, struct bytes path)
{
    int dir;
    struct cpath name;
    int err = above(wt, path, false, &dir, &name);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return err;
    if (unlinkat(dir, name.s, 0) != 0 && errno != ENOENT)
        return errno == EISDIR ? ERR_CONFLICT : err_from_errno(errno);
    for (struct bytes at = path_parent(path); at.len > 0; at = path_parent(at)) {
        if (above(wt, at, false, &dir, &name) != OK || unlinkat(dir, name.s, AT_REMOVEDIR) != 0)
            return OK;
        slot_forget(wt, at);
    }
    return OK;
}
