/* A directory of files that are written once under a name that is made up, and then get their
 * own: a file that has its name is whole, whenever a process is killed. Nothing is synced: it
 * is for what can be made again, and who reads checks what he reads.
 *
 * Names are `HH/rest`, two hex digits and anything without a slash. Any thread. It comes as a
 * struct so that tests can put one in its place that fails. */
#ifndef PIPELINE_SYS_FILE_AREA_H
#define PIPELINE_SYS_FILE_AREA_H

#include "formats/base/err.h"
#include "formats/base/types.h"

#define FILE_AREA_NAME_MAX 256u

/* `size` is that of the file. */
typedef void (*file_area_take)(void *arg, const char *name, uint64_t size);

struct file_area {
    /* A new file, open for both ways, and what it is called until it is renamed. */
    int (*create)(struct file_area *, char name[FILE_AREA_NAME_MAX], int *fd);
    int (*write)(struct file_area *, int fd, uint64_t offset, struct bytes);
    int (*rename)(struct file_area *, const char *from, const char *to);
    int (*remove)(struct file_area *, const char *name);
    int (*open)(struct file_area *, const char *name, int *fd);
    /* Exactly `len` bytes; ERR_CORRUPT when the file ends before. */
    int (*read)(struct file_area *, int fd, uint64_t offset, size_t len, uint8_t *out);
    void (*shut)(struct file_area *, int fd);
    /* Every file that has a name; `take` may remove the one that it is given. */
    int (*list)(struct file_area *, file_area_take take, void *arg);
};

/* Makes the directory if need be, and removes what has no name yet. ERR_CONFLICT: another
 * process or area has it open. */
int file_area_open(const char *dir, struct file_area **out) MUST_USE;
void file_area_close(struct file_area *);

#endif
