#include "pipeline/repo/collect/fence.h"

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/repo/tree/tree_edit.h"

#define TRIES_MAX  32u
#define BACKOFF_US 50000u

/* The tree object of an empty batch on top of `tip`, and the head that names it. */
static int batch_make(struct repo *repo, const struct id16 *project, const struct batch *tip,
                      struct tree_build *build, struct head *out)
{
    AUTO_BUF root = {0};
    struct footer footer = {0};
    struct tree tree = chain_tree(repo, project, tip);
    struct tree_edit *edit = tree_edit_open(&tree);
    footer_follow(&footer, &tip->footer, &tip->tree_hash);
    footer.position = tip->footer.position;
    footer.hlc = repo_hlc(repo);
    footer.agent = repo->agent;
    int err = tree_edit_seal(edit, build, &root, &footer);
    if (err == OK)
        err = tree_build_finish(build, buf_bytes(&root), &footer, &out->tree_hash);
    tree_edit_close(edit);
    out->position = footer.position;
    out->hlc = footer.hlc;
    return err;
}

/* ERR_CONFLICT when the head is another by now. */
static int fence_try(struct repo *repo, const struct id16 *project, const struct head *head,
                     struct etag etag)
{
    const struct batch *tip;
    struct tree_build build;
    struct head next;
    int err = chain_tip(repo, project, head, &tip);
    if (err != OK)
        return err;
    repo_hlc_seen(repo, head->hlc);
    tree_build_init(&build);
    err = batch_make(repo, project, tip, &build, &next);
    chain_drop(repo, tip);
    struct key key = key_tree(project, &next.tree_hash);
    if (err == OK)
        err = put_once(repo, key.s, buf_bytes(&build.bytes));
    tree_build_release(&build);
    if (err != OK)
        return err == ERR_CONFLICT ? ERR_CORRUPT : err;
    uint8_t bytes[HEAD_LEN];
    head_encode(&next, bytes);
    key = key_head(project);
    return store_put(repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &etag);
}

/* Bytes of a head never repeat, so one that is another than that of `etag` stays another. */
int fence_put(struct repo *repo, const struct id16 *project)
{
    struct head head;
    struct etag etag;
    int err = chain_head(repo, project, &head, &etag);
    if (err != OK)
        return err;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        err = fence_try(repo, project, &head, etag);
        if (err == OK || err == ERR_CONFLICT)
            return OK;
        if (err != ERR_AGAIN && err != ERR_UNKNOWN)
            return err;
        repo->clock->sleep_us(repo->clock, BACKOFF_US);
    }
    return err;
}
