#include "pipeline/repo/replay/replay.h"

#include "formats/base/limits.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/replay/replay_inside.h"

#define MEMORY_MAX (512u * MIB)

struct verifying {
    struct repo *repo;
    const struct id16 *project;
    size_t memory_max;
    struct replay_place place;
    struct tree_edit *edit;
    bool ended; /* the log, or what was asked for */
    struct replay_report report;
};

/* The batch's own tree, which has been found to be the one in memory. */
static void edit_again(struct verifying *v, const struct replay_batch *batch)
{
    struct tree tree = chain_tree_of(v->repo, v->project, &batch->footer, &batch->tree);
    tree_edit_close(v->edit);
    v->edit = tree_edit_open(&tree);
}

static int batch_verify(struct verifying *v, const struct replay_batch *batch)
{
    struct replay_fault *fault = &v->report.fault;
    int err = replay_follows(v->repo, v->project, &v->place, batch, fault);
    for (uint32_t i = 0; i < batch->n && err == OK; i++) {
        if (batch->entries[i].verdict == VERDICT_LANDED)
            err = replay_apply(v->edit, &batch->entries[i], NULL, fault);
    }
    if (err == OK)
        err = replay_compare(v->edit, batch, fault);
    if (err == ERR_CORRUPT)
        return replay_say(fault, batch->footer.first + 1,
                          "a page of the tree at position %llu is damaged",
                          (unsigned long long)v->place.position);
    if (err != OK)
        return err;
    replay_place_move(&v->place, batch);
    v->report.position = batch->footer.position;
    v->report.batches++;
    if (tree_edit_memory(v->edit) > v->memory_max)
        edit_again(v, batch);
    return OK;
}

static int block_verify(struct verifying *v, const struct replay_block *block)
{
    int err = OK;
    for (size_t i = 0; i < block->n && err == OK; i++)
        err = batch_verify(v, &block->batches[i]);
    v->report.contents += block->contents;
    v->report.blobs += block->blobs;
    if (err != OK)
        return err;
    if (block->fault.found)
        v->report.fault = block->fault;
    v->ended = block->err == ERR_NOT_FOUND;
    return v->ended ? OK : block->err;
}

static int log_verify(struct verifying *v, struct replay_source *source,
                      const struct replay_options *options)
{
    struct replay_reader *reader = replay_reader_open(source, options->read_ahead);
    int err = OK;
    while (err == OK && !v->ended) {
        struct replay_block *block = replay_reader_next(reader);
        err = block_verify(v, block);
        replay_block_free(block);
        if (err == OK && options->progress != NULL)
            options->progress(options->progress_arg, &v->report);
    }
    replay_reader_close(reader);
    return err;
}

int replay_verify(struct repo *repo, const struct id16 *project,
                  const struct replay_options *options, struct replay_report *report)
{
    struct verifying v = {.repo = repo,
                          .project = project,
                          .memory_max =
                              options->memory_max > 0 ? options->memory_max : MEMORY_MAX};
    struct replay_source source;
    int err = replay_source_open(&source, repo, project, 0, &v.report.fault);
    if (err != OK) {
        *report = v.report;
        return err;
    }
    bool whole = options->to == UINT64_MAX;
    source.to = options->to;
    source.contents = true;
    v.report.end = whole ? source.head.position : options->to;
    if (!whole && options->to > source.head.position)
        err = ERR_INVALID;
    struct tree empty = {.repo = repo, .project = *project};
    v.edit = tree_edit_open(&empty);
    if (err == OK)
        err = log_verify(&v, &source, options);
    if (err == OK && whole)
        err = replay_head_reached(repo, project, &v.place, &source.head, &v.report.fault);
    tree_edit_close(v.edit);
    replay_source_release(&source);
    *report = v.report;
    return err;
}
