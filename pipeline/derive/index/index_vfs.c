#include "pipeline/derive/index/index_vfs.h"

#include "formats/base/hash.h"
#include <pthread.h>
#include <sqlite3.h>

/* What else is read of a file is its head, before the size of its pages is known. */
#define PAGE_LEAST 512

/* SQLite allocates it; the file of the system's lies behind it. */
struct page_file {
    sqlite3_file file;
    sqlite3_file *below;
};

static sqlite3_vfs vfs;
static sqlite3_vfs *system_vfs;

static sqlite3_file *below(sqlite3_file *file)
{
    return ((struct page_file *)file)->below;
}

static uint64_t checksum(const uint8_t *page, sqlite3_int64 offset)
{
    return xxh3_64_seed(bytes_of(page, INDEX_PAGE - INDEX_PAGE_RESERVED), (uint64_t)offset);
}

static int page_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
    int code = below(file)->pMethods->xRead(below(file), data, len, offset);
    if (code != SQLITE_OK || len < PAGE_LEAST)
        return code;
    if (len != INDEX_PAGE) /* the head names another size than ours */
        return SQLITE_IOERR_DATA;
    uint64_t sum = checksum(data, offset);
    const uint8_t *there = (const uint8_t *)data + INDEX_PAGE - INDEX_PAGE_RESERVED;
    return memcmp(there, &sum, sizeof(sum)) == 0 ? SQLITE_OK : SQLITE_IOERR_DATA;
}

static int page_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    if (len != INDEX_PAGE)
        return below(file)->pMethods->xWrite(below(file), data, len, offset);
    uint8_t page[INDEX_PAGE];
    uint64_t sum = checksum(data, offset);
    memcpy(page, data, sizeof(page));
    memcpy(page + INDEX_PAGE - INDEX_PAGE_RESERVED, &sum, sizeof(sum));
    return below(file)->pMethods->xWrite(below(file), page, len, offset);
}

/* ---- what is handed down as it is ---- */

static int page_close(sqlite3_file *file)
{
    return below(file)->pMethods->xClose(below(file));
}

static int page_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return below(file)->pMethods->xTruncate(below(file), size);
}

static int page_sync(sqlite3_file *file, int flags)
{
    return below(file)->pMethods->xSync(below(file), flags);
}

static int page_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int page_lock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xLock(below(file), lock);
}

static int page_unlock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xUnlock(below(file), lock);
}

static int page_reserved_lock(sqlite3_file *file, int *out)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), out);
}

static int page_control(sqlite3_file *file, int op, void *arg)
{
    return below(file)->pMethods->xFileControl(below(file), op, arg);
}

static int page_sector(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int page_traits(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static int page_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return below(file)->pMethods->xShmMap(below(file), page, size, extend, out);
}

static int page_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return below(file)->pMethods->xShmLock(below(file), offset, n, flags);
}

static void page_shm_barrier(sqlite3_file *file)
{
    below(file)->pMethods->xShmBarrier(below(file));
}

static int page_shm_unmap(sqlite3_file *file, int remove)
{
    return below(file)->pMethods->xShmUnmap(below(file), remove);
}

/* Of version 2: pages that were mapped into memory would not be checked. */
static const sqlite3_io_methods page_methods = {
    .iVersion = 2,
    .xClose = page_close,
    .xRead = page_read,
    .xWrite = page_write,
    .xTruncate = page_truncate,
    .xSync = page_sync,
    .xFileSize = page_size,
    .xLock = page_lock,
    .xUnlock = page_unlock,
    .xCheckReservedLock = page_reserved_lock,
    .xFileControl = page_control,
    .xSectorSize = page_sector,
    .xDeviceCharacteristics = page_traits,
    .xShmMap = page_shm_map,
    .xShmLock = page_shm_lock,
    .xShmBarrier = page_shm_barrier,
    .xShmUnmap = page_shm_unmap,
};

/* ---- the file system ---- */

static int vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    (void)self;
    if ((flags & SQLITE_OPEN_MAIN_DB) == 0)
        return system_vfs->xOpen(system_vfs, name, file, flags, out_flags);
    struct page_file *pages = (struct page_file *)file;
    pages->below = (sqlite3_file *)(pages + 1);
    int code = system_vfs->xOpen(system_vfs, name, pages->below, flags, out_flags);
    /* SQLite closes a file that has methods, also when it was not opened. */
    pages->file.pMethods = pages->below->pMethods != NULL ? &page_methods : NULL;
    return code;
}

static void vfs_make(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    if (system_vfs == NULL)
        return;
    vfs = *system_vfs;
    vfs.pNext = NULL;
    vfs.zName = "micelio-index";
    vfs.szOsFile += (int)sizeof(struct page_file);
    vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        system_vfs = NULL;
}

const char *index_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, vfs_make);
    return system_vfs == NULL ? NULL : vfs.zName;
}
