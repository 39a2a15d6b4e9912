#include "pipeline/derive/source_input.h"

#include <stddef.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/derive/tree_input.h"
#include "pipeline/repo/content/content_cache.h"
#include "pipeline/repo/content/content_read.h"

/* Bytes of a content that are read at once. */
#define READ_BLOCK (256u * KIB)

struct want {
    struct derive *derive;
    const struct id16 *project;
    const struct hash *address;
    const struct entry *place;
};

struct source_input {
    struct derive_input input;
    struct fn_bytes bytes;
    struct content_reader *content;
    struct result_reader *result;
    struct tree_input *tree;
    struct buf block; /* of the content, from `at` on; or all of a small leaf */
    uint64_t at;
};

static void input_close(struct derive_input *base)
{
    struct source_input *input = (struct source_input *)base;
    if (input->content != NULL)
        content_close(input->content);
    result_close(input->result);
    tree_input_close(input->tree);
    buf_release(&input->block);
    free(input);
}

static struct source_input *input_new(void)
{
    struct source_input *input = calloc(1, sizeof(*input));
    if (input == NULL)
        abort();
    input->input.close = input_close;
    return input;
}

static int input_view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    struct source_input *input =
        (struct source_input *)((char *)bytes - offsetof(struct source_input, bytes));
    if (input->content != NULL &&
        (offset < input->at || offset - input->at >= input->block.len)) {
        buf_clear(&input->block);
        int err = content_read_at(input->content, offset, READ_BLOCK, &input->block);
        if (err != OK)
            return err;
        input->at = offset;
    }
    uint64_t skip = offset - input->at;
    assert(skip < input->block.len);
    *out = bytes_of(input->block.data + skip, input->block.len - (size_t)skip);
    return OK;
}

static void input_is_bytes(struct source_input *input, uint64_t size)
{
    input->bytes = (struct fn_bytes){.size = size, .view = input_view};
    input->input.bytes = &input->bytes;
}

static int open_content(const struct want *want, const struct entry *entry,
                        struct source_input *input)
{
    int err = content_open(want->derive->repo, want->project, &entry->where, entry->size,
                           &entry->hash, &input->content);
    if (err == OK)
        input_is_bytes(input, entry->size);
    return err;
}

static int open_upload(const struct want *want, struct source_input *input)
{
    int err =
        content_open_blob(want->derive->repo, want->project, want->address, &input->content);
    if (err == OK)
        input_is_bytes(input, content_size(input->content));
    return err;
}

static int open_inline(const struct want *want, const struct derive_leaf *leaf,
                       struct source_input *input)
{
    struct repo *repo = want->derive->repo;
    if (!content_cache_find(repo->contents, want->project, want->address, &input->block)) {
        int err = derive_read(repo, want->project, leaf->agent, leaf->seq, leaf->offset,
                              (uint32_t)leaf->size, &input->block);
        if (err != OK)
            return err;
        struct hash hash = sha256(buf_bytes(&input->block));
        if (!hash_equal(&hash, want->address))
            return ERR_CORRUPT;
        content_cache_add(repo->contents, want->project, want->address,
                          buf_bytes(&input->block));
    }
    input_is_bytes(input, leaf->size);
    return OK;
}

static int open_leaf(const struct want *want, struct source_input *input)
{
    struct derive_leaf leaf;
    int err = derive_index_leaf(want->derive->index, want->project, want->address,
                                DERIVE_MISS_TELL, &leaf);
    if (err != OK)
        return err;
    return leaf.uploaded ? open_upload(want, input) : open_inline(want, &leaf, input);
}

static int open_tree(const struct want *want, const struct location *where,
                     struct source_input *input)
{
    int err =
        tree_input_open(want->derive->repo, want->project, where, want->address, &input->tree);
    if (err == OK)
        input->input.tree = tree_input_tree(input->tree);
    return err;
}

static int open_place(const struct want *want, struct source_input *input)
{
    const struct entry *place = want->place;
    struct location where;
    if (place != NULL)
        return place->kind == KIND_DIR ? open_tree(want, &place->where, input)
                                       : open_content(want, place, input);
    int err = derive_index_tree(want->derive->index, want->project, want->address,
                                DERIVE_MISS_TELL, &where);
    return err == OK ? open_tree(want, &where, input) : err;
}

static int open_result(const struct want *want, struct source_input *input)
{
    int err = result_open(want->derive->results, want->project, want->address, &input->result);
    if (err == OK)
        input->input.bytes = result_bytes(input->result);
    return err;
}

int source_input_open(struct derive *derive, const struct id16 *project,
                      const struct hash *address, const struct entry *place,
                      struct derive_input **out)
{
    const struct want want = {
        .derive = derive, .project = project, .address = address, .place = place};
    struct source_input *input = input_new();
    int err = open_leaf(&want, input);
    if (err == ERR_NOT_FOUND)
        err = open_place(&want, input);
    if (err == ERR_NOT_FOUND)
        err = open_result(&want, input);
    if (err == ERR_NOT_FOUND)
        err = open_upload(&want, input);
    if (err == OK)
        *out = &input->input;
    else
        input_close(&input->input);
    return err;
}
