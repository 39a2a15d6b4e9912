/* Packing a project: the pages of the head's tree are written again, in the order of a walk, so
 * that a cold walk reads a few long ranges instead of a page here and a page there, wherever a
 * landing has left it. It changes nothing else: content hashes, stamps, contents, position and
 * records stay, and what lay there before stays, too, for the trees of older positions.
 *
 * The pages go into parts, tree objects of their own, and then one empty batch that has the
 * root and names the parts is put on the chain as any other, by one conditional put of the
 * head. When somebody else has put the head meanwhile, only the pages that this has changed are
 * written again. The parts that were put are then used further only if the project's `gc`
 * object is the same as when the first of them was put: a collection that was begun in between
 * may have found that nothing names them.
 *
 * A pack that was ended leaves parts that nothing names. */
#ifndef PIPELINE_REPO_PACK_PACK_H
#define PIPELINE_REPO_PACK_PACK_H

#include "pipeline/repo/repo.h"

struct pack_report {
    uint64_t position;
    struct hash tree;        /* of the batch that was put */
    uint64_t pages_before;   /* in the tree, each counted once */
    uint64_t bytes_before;   /* of them */
    uint64_t objects_before; /* tree objects that they lie in */
    uint64_t ranges_before;  /* reads of a cold walk, of at most PACK_RANGE each */
    uint64_t ranges_after;   /* the same if it is packed */
    uint64_t pages;          /* that were packed, all but the root */
    uint64_t bytes;          /* of them */
    uint64_t objects;        /* that were put, also in vain */
    uint64_t parts;          /* that the batch names */
    uint64_t tries;          /* puts of the head */
    uint64_t dropped;        /* times that its parts were given up, for `gc` had changed */
    bool packed;             /* the head names the packed tree */
    bool by_other;           /* somebody else has packed it meanwhile */
};

struct pack_options {
    bool dry_run; /* counts, and writes nothing */
    bool always;  /* also when it would not halve the reads, if there is anything to pack */
    size_t part_bytes;  /* 0: PACK_PART_BYTES */
    size_t pages_kept;  /* whose places are remembered; 0: PACK_PAGES_KEPT */
    unsigned tries_max; /* puts of the head; 0: PACK_TRIES */
    /* Told now and then how far it has come: the pages so far, before they are packed in
     * `packed` false. May be NULL. */
    void (*progress)(void *arg, uint64_t pages, bool packing);
    void *progress_arg;
};

#define PACK_RANGE      (4u * MIB)
#define PACK_PART_BYTES (64u * MIB)
#define PACK_PAGES_KEPT (1u << 20)
#define PACK_TRIES      32u

/* Packs the project if that at least halves the reads of a cold walk: `packed` says whether.
 * ERR_CONFLICT: the head was put by others again and again. ERR_AGAIN: the store, or this
 * machine's clock, does not let it be done now. ERR_UNKNOWN: it was put or not, nobody knows;
 * it may be done again. Else what reading the tree gives, ERR_LIMIT when it does not fit into
 * as many parts as a footer can name. The report is filled in also then. */
int pack_project(struct repo *, const struct id16 *project, const struct pack_options *,
                 struct pack_report *out) MUST_USE;

#endif
