#include "tests/sim/sim_node.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"

/* --- directories --- */

/* Memory if it can be had: what is in a file lasts no longer than a seed. */
void sim_node_folder_of(long pid, struct buf *out)
{
    const char *given = getenv("TMPDIR");
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                      : given != NULL               ? given
                                                    : "/tmp";
    buf_clear(out);
    buf_printf(out, "%s/mic-sim-%ld%c", top, pid, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void sim_node_folder_remove(long pid)
{
    AUTO_BUF path = {0};
    sim_node_folder_of(pid, &path);
    if (access((const char *)path.data, F_OK) == 0)
        (void)nftw((const char *)path.data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Of the node's life, by number. */
static void folder_name(const struct process *p, uint64_t life, struct buf *out)
{
    sim_node_folder_of(getpid(), out);
    out->len--;
    buf_printf(out, "/%c%c-%llu%c", p->name[0], p->name[strlen(p->name) - 1],
               (unsigned long long)life, 0);
}

/* Copies a file as it is; a damaged one has a wrong byte somewhere. */
static void file_copy(const char *from, const char *to, bool damaged)
{
    AUTO_BUF bytes = {0};
    char block[4096];
    FILE *in = fopen(from, "rb");
    if (in == NULL)
        return;
    for (size_t n; (n = fread(block, 1, sizeof(block), in)) > 0;)
        buf_append(&bytes, block, n);
    (void)fclose(in);
    if (damaged && bytes.len > 0) {
        bytes.data[world_below(bytes.len)] ^= (uint8_t)world_between(1, 255);
        count(COUNT_INDEX_DAMAGED);
    }
    FILE *out = fopen(to, "wb");
    if (out == NULL || fwrite(bytes.data, 1, bytes.len, out) != bytes.len || fclose(out) != 0)
        abort();
}

/* The databases as they lay there when the node died; the journal's index is made anew. */
static void folder_carry(const struct process *p, uint64_t before, uint64_t now)
{
    AUTO_BUF from = {0};
    AUTO_BUF to = {0};
    folder_name(p, before, &from);
    folder_name(p, now, &to);
    AUTO_BUF path = {0};
    buf_printf(&path, "%s/index%c", (const char *)to.data, 0);
    if (mkdir((const char *)to.data, 0700) != 0 || mkdir((const char *)path.data, 0700) != 0)
        abort();
    bool damaged = world_chance(1000);
    for (unsigned i = 0; i < p->oracle->n_projects; i++) {
        static const char *const ends[] = {"", "-wal"};
        for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
            AUTO_BUF file = {0};
            buf_printf(&file, "/index/%s.db%s", id16_hex(&p->oracle->projects[i].id).s,
                       ends[k]);
            buf_clear(&path);
            buf_printf(&path, "%s%.*s%c", (const char *)from.data, (int)file.len,
                       (const char *)file.data, 0);
            AUTO_BUF target = {0};
            buf_printf(&target, "%s%.*s%c", (const char *)to.data, (int)file.len,
                       (const char *)file.data, 0);
            file_copy((const char *)path.data, (const char *)target.data, damaged && k == 0);
        }
    }
}

static void folder_next(struct process *p, struct buf *out)
{
    uint64_t before = p->folder;
    AUTO_BUF top = {0};
    sim_node_folder_of(getpid(), &top);
    (void)mkdir((const char *)top.data, 0700);
    if (before == 0 || p->crashed)
        p->folder++;
    if (before > 0 && p->crashed && world_chance(6000)) {
        folder_carry(p, before, p->folder);
        count(COUNT_INDEX_KEPT);
    } else if (before > 0 && p->crashed) {
        count(COUNT_INDEX_LOST);
    }
    p->crashed = false;
    folder_name(p, p->folder, out);
}

/* --- life --- */

void sim_node_open(struct process *p)
{
    static const uint64_t looks_us[] = {1000, 100000, 1000000};
    AUTO_BUF dir = {0};
    folder_next(p, &dir);
    const struct derive_options options = {.dir = (const char *)dir.data,
                                           .window_us = world_below(20000),
                                           .batch_max = world_chance(3000) ? 200 : 64 * KIB,
                                           .queue_max = MIB,
                                           .look_us = looks_us[world_below(3)],
                                           .slots = 2,
                                           .in_flight_max = MIB,
                                           .ram_bytes = MIB,
                                           .disk_bytes = MIB};
    p->derive = calloc(1, sizeof(*p->derive));
    if (p->derive == NULL)
        abort();
    int err = derive_open(p->derive, p->repo, &options);
    if (err != OK)
        broken("durable", "%s cannot be opened: %s", p->name, err_name(err));
    derive_start(p->derive);
    p->up = true;
}

void sim_node_end(struct process *p)
{
    p->up = false;
    while (p->inside > 0)
        task_pause(1000);
    derive_stop(p->derive);
    derive_close(p->derive);
    free(p->derive);
    p->derive = NULL;
    if (p->calls != NULL)
        broken("final", "%s has ended and left a call without an answer", p->name);
}

void sim_node_lost(struct process *p)
{
    /* Another process has the files now, for the one that died never closes them. */
    p->crashed = p->crashed || p->derive != NULL;
    p->derive = NULL;
}
