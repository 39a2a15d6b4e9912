/* A tree object: one immutable object per landing batch, named by the SHA-256 of its footer.
 *
 *   header    8 bytes: magic "MTRO", version 2 bytes, zero 2 bytes
 *   contents  small contents, raw or one zstd frame each, back to back
 *   pages     changed pages, children before parents, all but the root
 *   records   landing records, each behind its u32 length
 *   ids       per record: 16 session, 16 request, 1 verdict (plus 128: closes), 4 offset of its
 *             length in the records section
 *   root      the root page
 *   footer
 *   trailer   4 length of the footer, magic "MTRE"
 *
 * Root page and footer lie at the end, so one suffix read has both. The footer:
 *
 *   offset size field
 *        0   16 envelope "MTRF" version 1
 *       16    8 batch: number of batches before it in the chain
 *       24    8 first: position before the batch
 *       32    8 position: after the batch
 *       40    8 hlc
 *       48    8 agent
 *       56   32 hash of the previous footer; zero in the first
 *       88    8 files in the tree    96  8 bytes of them
 *      104   32 content hash of the root
 *      136    4 offset, 4 length, 32 page hash of the root page
 *      176    4 offset, 4 length, 32 SHA-256 of the records; 4 count of records
 *      220    4 offset, 4 length, 32 SHA-256 of the ids
 *      260    1 count of ancestors, each 8 batch, 8 position, 32 hash: for k = 0, 1, … the
 *               newest batch before this one whose number is a multiple of 16^k (k = 0 is the
 *               previous), up to the first that is batch 0, and at most 16 of them
 *             2 count of companions, each 32: tree objects put along with this one
 *
 * A companion is a tree object without records, put before the batch that names it, which has
 * no room for all of its pages or must be small: mic-pack puts the pages of a whole tree so.
 * Its pages lie in the reverse order of a walk over the tree: each after all that it names, the
 * last names first, so that read from its end to its beginning they come as a walk wants them.
 * The last page is its root. Its footer is that of an empty batch upon the one that was the
 * newest when it was made, with the root's counts and content hash. It is on no chain: what
 * leads to it are the locations of pages and, for whoever must know which tree objects are in
 * use, the list of companions in its batch's footer. A companion's own list is empty.
 */
#ifndef FORMATS_TREE_OBJECT_H
#define FORMATS_TREE_OBJECT_H

#include "formats/base/arena.h"
#include "formats/landing.h"

#define TREE_HEADER_LEN  8u
#define TREE_TRAILER_LEN 8u
#define TREE_ID_LEN      37u
#define ANCESTORS_MAX    16u

struct section {
    uint32_t offset;
    uint32_t len;
    struct hash hash;
};

struct ancestor {
    uint64_t batch;
    uint64_t position;
    struct hash tree;
};

struct footer {
    uint64_t batch;
    uint64_t first;
    uint64_t position;
    uint64_t hlc;
    uint64_t agent;
    struct hash prev;
    uint64_t files;
    uint64_t bytes;
    struct hash root_content;
    struct section root; /* hash: page hash */
    struct section records;
    uint32_t n_records;
    struct section ids;
    struct ancestor ancestors[ANCESTORS_MAX];
    uint8_t n_ancestors;
    struct hash *companions;
    uint16_t n_companions;
};

struct tree_id {
    struct id16 session;
    struct id16 request;
    enum verdict verdict;
    bool closes;
    uint32_t offset; /* of the record's length in the records section */
};

/* Bytes of the footer alone, whose SHA-256 is the tree hash. One that footer_decode would
 * refuse (ancestors, counts and sections that do not agree) is a bug of the caller. */
void footer_encode(const struct footer *, struct buf *out);
int footer_decode(struct bytes in, struct arena *, struct footer *out) MUST_USE;
/* Where its root page lies; `tree` is the hash of the tree object. */
struct location footer_root(const struct footer *, const struct hash *tree);
/* Fills in `f`'s batch, first, prev and ancestors as the successor of `prev`, whose tree hash
 * is `prev_hash`. */
void footer_follow(struct footer *f, const struct footer *prev, const struct hash *prev_hash);
/* Of the footer's ancestors, the oldest whose position is at least `position`; NULL when none
 * is. Following it until there is none leads to the batch that made the position. */
const struct ancestor *footer_toward(const struct footer *, uint64_t position);

void tree_header_write(struct buf *out);
void tree_trailer_write(struct buf *out, uint32_t footer_len);
/* Where the footer lies in an object's last bytes `tail`: checks the trailer. ERR_CORRUPT;
 * ERR_LIMIT for a footer longer than FOOTER_MAX. */
int tree_trailer_find(struct bytes tail, uint32_t *footer_len) MUST_USE;

void tree_id_write(struct buf *out, const struct tree_id *);
int tree_ids_decode(struct bytes in, uint32_t n, struct arena *, struct tree_id **out) MUST_USE;

#endif
