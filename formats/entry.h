/* What a directory holds under a name, what a client has seen under a path, and where bytes
 * lie. */
#ifndef FORMATS_ENTRY_H
#define FORMATS_ENTRY_H

#include "formats/base/types.h"
#include "formats/base/wire.h"

enum kind {
    KIND_NONE = 0, /* absent */
    KIND_FILE = 1,
    KIND_LINK = 2, /* a symbolic link; its content is the target */
    KIND_DIR = 3,
};

#define MODE_PLAIN 0644u
#define MODE_EXEC  0755u /* files only; links and directories have mode 0 */

/* "file", "link", "dir", "none": as JSON carries it. */
const char *kind_name(enum kind);

/* Where bytes lie. */
enum place {
    PLACE_NONE = 0,     /* nowhere: in a page, for empty content only */
    PLACE_RAW = 1,      /* plain bytes in a tree object: tree, offset, len */
    PLACE_ZSTD = 2,     /* one zstd frame in a tree object: tree, offset, len (of the frame) */
    PLACE_BLOB = 3,     /* blobs/{h2}/{hash}, one zstd frame */
    PLACE_MANIFEST = 4, /* blobs/{h2}/{hash}, a manifest whose own SHA-256 is `check` */
    PLACE_PAGE = 5, /* a page in a tree object: tree, offset, len; `check` is its page hash */
};

struct location {
    enum place place;
    /* All zero: the tree object that holds the page or record that says so. */
    struct hash tree;
    uint32_t offset;
    uint32_t len;
    struct hash check;
};

/* One name in a directory; in an inner page, one child page, a KIND_DIR whose name is the first
 * name below it. */
struct entry {
    struct bytes name;
    enum kind kind;
    uint16_t mode;
    uint64_t size;  /* of the content in bytes; of a directory: of all files below */
    uint64_t files; /* directories: files and links below */
    /* SHA-256 of the plain content; of a directory, content hash of its top page. */
    struct hash hash;
    uint64_t stamp; /* position of the last landing that changed it, or anything below it */
    struct location where;
};

/* What a client saw under a path: kind, mode and content hash, or absent (KIND_NONE). For a
 * directory the hash stands for all below.
 *
 *   size field
 *      1 kind (0 absent, 1 file, 2 link, 3 directory, 255 not said)
 *      2 mode    } not when absent
 *     32 hash    } or not said */
struct seen {
    /* False: the client did not say; only in requests, before the front fills it in. */
    bool said;
    enum kind kind;
    uint16_t mode;
    struct hash hash;
};

void seen_write(struct buf *, const struct seen *);
struct seen seen_read(struct reader *);
bool seen_equal(const struct seen *, const struct seen *); /* both said */

/* What a reader of the tree sees at `e`; NULL is absent. */
struct seen seen_of(const struct entry *e);

/* Whether kind and mode go together: files 0644 or 0755, links and directories 0. */
bool mode_ok(enum kind, uint16_t mode);

#endif
