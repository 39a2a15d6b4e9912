#include "tests/support/faulty_files.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define FILES_MAX 1024u

/* A file that was made through it. */
struct made {
    char name[FILE_AREA_NAME_MAX];
    int fd; /* it is written through; -1 when that is shut */
    uint64_t bytes;
};

struct hook {
    void (*call)(void *arg);
    void *arg;
};

struct faulty_files {
    struct file_area area;
    struct file_area *below;
    pthread_mutex_t mutex;
    uint64_t die_at;
    bool dead;
    uint64_t room;
    uint64_t used;
    struct made made[FILES_MAX];
    size_t n;
    struct faulty_files_counts counts;
    struct hook on_file;
    struct hook on_remove;
};

static struct faulty_files *faulty_of(struct file_area *area)
{
    return (struct faulty_files *)area;
}

/* Counts a change; whether it may be done. `dies` is set for the one at which it dies. */
static bool change(struct faulty_files *f, bool *dies)
{
    f->counts.changes++;
    *dies = !f->dead && f->die_at != 0 && f->counts.changes >= f->die_at;
    if (*dies)
        f->dead = true;
    return !f->dead;
}

static struct made *made_named(struct faulty_files *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->made[i].name, name) == 0)
            return &f->made[i];
    }
    return NULL;
}

static struct made *made_by_fd(struct faulty_files *f, int fd)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->made[i].fd == fd)
            return &f->made[i];
    }
    return NULL;
}

static void call_back(struct hook *hook)
{
    struct hook once = *hook;
    *hook = (struct hook){0};
    if (once.call != NULL)
        once.call(once.arg);
}

static int create(struct file_area *area, char name[FILE_AREA_NAME_MAX], int *fd)
{
    struct faulty_files *f = faulty_of(area);
    call_back(&f->on_file);
    (void)pthread_mutex_lock(&f->mutex);
    bool dies;
    int err = change(f, &dies) ? OK : ERR_UNKNOWN;
    if (err == OK && f->used >= f->room)
        err = ERR_AGAIN;
    if (err == OK)
        err = f->below->create(f->below, name, fd);
    if (err == OK) {
        ck_assert_uint_lt(f->n, FILES_MAX);
        struct made *made = &f->made[f->n++];
        *made = (struct made){.fd = *fd};
        memcpy(made->name, name, strlen(name) + 1);
        f->counts.opened++;
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return err;
}

static int write(struct file_area *area, int fd, uint64_t offset, struct bytes data)
{
    struct faulty_files *f = faulty_of(area);
    (void)pthread_mutex_lock(&f->mutex);
    bool dies;
    bool done = change(f, &dies);
    f->counts.writes++;
    int err = done ? OK : ERR_UNKNOWN;
    if (dies)
        (void)f->below->write(f->below, fd, offset, bytes_of(data.data, data.len / 2));
    if (err == OK && f->used + data.len > f->room)
        err = ERR_AGAIN;
    if (err == OK) {
        struct made *made = made_by_fd(f, fd);
        ck_assert_ptr_nonnull(made);
        f->used += data.len;
        if (made != NULL)
            made->bytes += data.len;
        err = f->below->write(f->below, fd, offset, data);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return err;
}

static int rename_file(struct file_area *area, const char *from, const char *to)
{
    struct faulty_files *f = faulty_of(area);
    (void)pthread_mutex_lock(&f->mutex);
    bool dies;
    int err = change(f, &dies) ? f->below->rename(f->below, from, to) : ERR_UNKNOWN;
    struct made *made = made_named(f, from);
    if (err == OK && made != NULL)
        memcpy(made->name, to, strlen(to) + 1);
    (void)pthread_mutex_unlock(&f->mutex);
    return err;
}

static int remove_file(struct file_area *area, const char *name)
{
    struct faulty_files *f = faulty_of(area);
    call_back(&f->on_remove);
    (void)pthread_mutex_lock(&f->mutex);
    bool dies;
    int err = change(f, &dies) ? f->below->remove(f->below, name) : ERR_UNKNOWN;
    struct made *made = made_named(f, name);
    if (err == OK && made != NULL) {
        f->used -= made->bytes;
        *made = f->made[--f->n];
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return err;
}

static int open_file(struct file_area *area, const char *name, int *fd)
{
    struct faulty_files *f = faulty_of(area);
    call_back(&f->on_file);
    (void)pthread_mutex_lock(&f->mutex);
    int err = f->dead ? ERR_UNKNOWN : f->below->open(f->below, name, fd);
    f->counts.opened += err == OK;
    (void)pthread_mutex_unlock(&f->mutex);
    return err;
}

static int read_file(struct file_area *area, int fd, uint64_t offset, size_t len, uint8_t *out)
{
    struct faulty_files *f = faulty_of(area);
    (void)pthread_mutex_lock(&f->mutex);
    f->counts.reads++;
    f->counts.read_bytes += len;
    int err = f->dead ? ERR_UNKNOWN : OK;
    (void)pthread_mutex_unlock(&f->mutex);
    return err == OK ? f->below->read(f->below, fd, offset, len, out) : err;
}

static void shut(struct file_area *area, int fd)
{
    struct faulty_files *f = faulty_of(area);
    (void)pthread_mutex_lock(&f->mutex);
    struct made *made = made_by_fd(f, fd);
    if (made != NULL)
        made->fd = -1;
    f->counts.opened--;
    f->below->shut(f->below, fd);
    (void)pthread_mutex_unlock(&f->mutex);
}

static int list(struct file_area *area, file_area_take take, void *arg)
{
    struct faulty_files *f = faulty_of(area);
    return f->below->list(f->below, take, arg);
}

struct file_area *faulty_files_open(struct file_area *below)
{
    struct faulty_files *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    f->area = (struct file_area){.create = create,
                                 .write = write,
                                 .rename = rename_file,
                                 .remove = remove_file,
                                 .open = open_file,
                                 .read = read_file,
                                 .shut = shut,
                                 .list = list};
    f->below = below;
    f->room = UINT64_MAX;
    (void)pthread_mutex_init(&f->mutex, NULL);
    return &f->area;
}

void faulty_files_close(struct file_area *area)
{
    (void)pthread_mutex_destroy(&faulty_of(area)->mutex);
    free(area);
}

void faulty_files_die(struct file_area *area, uint64_t call)
{
    struct faulty_files *f = faulty_of(area);
    f->die_at = call == 0 ? 0 : f->counts.changes + call;
}

bool faulty_files_dead(struct file_area *area)
{
    return faulty_of(area)->dead;
}

void faulty_files_room(struct file_area *area, uint64_t bytes)
{
    struct faulty_files *f = faulty_of(area);
    f->room = bytes == UINT64_MAX ? bytes : f->used + bytes;
}

void faulty_files_on_file(struct file_area *area, void (*call)(void *arg), void *arg)
{
    faulty_of(area)->on_file = (struct hook){.call = call, .arg = arg};
}

void faulty_files_on_remove(struct file_area *area, void (*call)(void *arg), void *arg)
{
    faulty_of(area)->on_remove = (struct hook){.call = call, .arg = arg};
}

struct faulty_files_counts faulty_files_counts(struct file_area *area)
{
    struct faulty_files *f = faulty_of(area);
    (void)pthread_mutex_lock(&f->mutex);
    struct faulty_files_counts counts = f->counts;
    (void)pthread_mutex_unlock(&f->mutex);
    return counts;
}
