#include "api/cli/blame.h"

#include "api/cli/merge.h"

void blame_release(struct blame *blame)
{
    buf_release(&blame->text);
    arena_release(&blame->arena);
}

void blame_begin(struct blame *blame, struct bytes newest, size_t version)
{
    *blame = (struct blame){.n = text_lines(newest), .version = version};
    blame->n_open = blame->n;
    blame->by = arena_array(&blame->arena, blame->n, size_t);
    blame->open = arena_array(&blame->arena, blame->n, size_t);
    blame->at = arena_array(&blame->arena, blame->n, size_t);
    for (size_t i = 0; i < blame->n; i++) {
        blame->by[i] = BLAME_OPEN;
        blame->open[i] = i;
        blame->at[i] = i;
    }
    buf_append_bytes(&blame->text, newest);
}

int blame_older(struct blame *blame, struct bytes text, size_t version)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct line_map map;
    int err = text_match(text, buf_bytes(&blame->text), &scratch, &map);
    if (err != OK)
        return err;
    size_t kept = 0;
    for (size_t i = 0; i < blame->n_open; i++) {
        size_t from = map.from[blame->at[i]];
        if (from == LINE_NEW) {
            blame->by[blame->open[i]] = blame->version;
            continue;
        }
        blame->open[kept] = blame->open[i];
        blame->at[kept++] = from;
    }
    blame->n_open = kept;
    blame->version = version;
    buf_clear(&blame->text);
    buf_append_bytes(&blame->text, text);
    return OK;
}

void blame_same(struct blame *blame, size_t version)
{
    blame->version = version;
}

void blame_end(struct blame *blame)
{
    for (size_t i = 0; i < blame->n_open; i++)
        blame->by[blame->open[i]] = blame->version;
    blame->n_open = 0;
}
