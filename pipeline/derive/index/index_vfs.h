/* Where the pages of an index's database lie: a file of the operating system, with a checksum
 * at the end of each page, which is checked whenever the page is read. So a page that was
 * changed on disk is an error and never an answer. (The journal has checksums of SQLite's
 * own.) */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_VFS_H
#define PIPELINE_DERIVE_INDEX_INDEX_VFS_H

#define INDEX_PAGE 4096
/* Bytes of each page that are the checksum's. */
#define INDEX_PAGE_RESERVED 8

/* The name under which SQLite knows it; NULL when it cannot be had. Any thread. */
const char *index_vfs(void);

#endif
