#include "tests/support/tree_digest.h"

#include <check.h>

#include "formats/base/hash.h"
#include "formats/base/wire.h"
#include "pipeline/repo/chain.h"

static void entry_write(struct buf *out, struct bytes path, const struct entry *e)
{
    wr_u32(out, (uint32_t)path.len);
    wr_bytes(out, path);
    wr_u8(out, (uint8_t)e->kind);
    wr_u16(out, e->mode);
    wr_u64(out, e->size);
    wr_u64(out, e->files);
    wr_hash(out, &e->hash);
    wr_u64(out, e->stamp);
}

struct hash tree_digest(const struct tree *t)
{
    AUTO_BUF text = {0};
    struct tree_walk *walk;
    struct bytes path;
    const struct entry *e;
    int err;
    wr_hash(&text, &t->content);
    wr_u64(&text, t->files);
    wr_u64(&text, t->bytes);
    ck_assert_int_eq(tree_walk_open(t, bytes_str(""), &walk), OK);
    while ((err = tree_walk_next(walk, &path, &e)) == OK)
        entry_write(&text, path, e);
    ck_assert_int_eq(err, ERR_NOT_FOUND);
    tree_walk_close(walk);
    return sha256(buf_bytes(&text));
}

struct hash trees_digest(struct repo *repo, const struct id16 *project, uint64_t position)
{
    AUTO_BUF text = {0};
    struct head head;
    ck_assert_int_eq(chain_head(repo, project, &head, NULL), OK);
    while (position > 0) {
        const struct batch *batch;
        ck_assert_int_eq(chain_find(repo, project, &head, position, &batch), OK);
        struct tree tree = chain_tree(repo, project, batch);
        struct hash digest = tree_digest(&tree);
        wr_u64(&text, batch->footer.position);
        wr_hash(&text, &digest);
        position = batch->footer.first;
        chain_drop(repo, batch);
    }
    return sha256(buf_bytes(&text));
}
