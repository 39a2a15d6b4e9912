#include "pipeline/derive/refs/refs_history.h"

#include "formats/project_id.h"
#include "formats/ref.h"
#include "pipeline/derive/refs/refs_values.h"
#include "pipeline/repo/history/path_log.h"

/* Positions that are looked at, where no rollup helps. */
#define WINDOW 1000000u

/* What the landing did to the name itself, not to one below it. */
static const struct log_effect *effect_on(const struct log_entry *entry, struct bytes name)
{
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        if (bytes_equal(entry->effects[i].path, name))
            return &entry->effects[i];
    }
    return NULL;
}

struct taking {
    struct refs_history list;
    size_t cap;
    struct ref_file *files; /* one a change; those of a delete are not read */
    size_t n_files;
    size_t cap_files;
};

static void change_take(struct taking *t, const struct log_entry *entry, struct bytes name,
                        struct arena *arena)
{
    const struct log_effect *effect = effect_on(entry, name);
    if (effect == NULL)
        return;
    struct ref_change *change =
        arena_push(arena, (void **)&t->list.changes, &t->list.n, &t->cap, sizeof(*change));
    *change = (struct ref_change){.position = entry->position,
                                  .hlc = entry->hlc,
                                  .author = arena_copy(arena, entry->author),
                                  .bound = effect->kind == EFFECT_WRITE};
    if (!change->bound)
        return;
    struct ref_file *file =
        arena_push(arena, (void **)&t->files, &t->n_files, &t->cap_files, sizeof(*file));
    *file =
        (struct ref_file){.hash = effect->hash, .size = effect->size, .where = effect->where};
}

static int changes_take(struct path_log *log, struct bytes name, size_t max,
                        struct arena *arena, struct taking *t)
{
    const struct log_entry *entry;
    int err = OK;
    while (err == OK && t->list.n < max) {
        err = path_log_next(log, &entry);
        if (err == OK)
            change_take(t, entry, name, arena);
    }
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    t->list.next = t->list.changes[t->list.n - 1].position - 1;
    return OK;
}

static int values_take(struct repo *repo, const struct id16 *refs, struct taking *t)
{
    int err = refs_values_read(repo, refs, t->files, t->n_files);
    size_t file = 0;
    for (size_t i = 0; i < t->list.n && err == OK; i++) {
        if (t->list.changes[i].bound)
            t->list.changes[i].address = t->files[file++].address;
    }
    return err;
}

int refs_history(struct repo *repo, const struct id16 *project, struct bytes name,
                 uint64_t before, size_t max, struct arena *arena, struct refs_history *out)
{
    struct id16 refs = project_id_refs(project);
    struct taking t = {0};
    struct head head;
    struct path_log *log;
    if (ref_name_check(name, NULL) != OK)
        return ERR_NOT_FOUND;
    int err = chain_head(repo, &refs, &head, NULL);
    if (err != OK)
        return err;
    uint64_t upto = before < head.position ? before : head.position;
    t.list.next = upto > WINDOW ? upto - WINDOW : 0;
    if (upto > 0) {
        const struct path_asked asked = {.path = name,
                                         .from = t.list.next + 1,
                                         .before = upto,
                                         .wanted = max,
                                         .head = &head};
        err = path_log_open(repo, &refs, &asked, &log);
        if (err != OK)
            return err;
        err = changes_take(log, name, max > 0 ? max : 1, arena, &t);
        path_log_close(log);
    }
    if (err == OK)
        err = values_take(repo, &refs, &t);
    t.list.more = t.list.next > 0;
    if (err == OK && t.list.n == 0 && !t.list.more && before >= head.position)
        err = ERR_NOT_FOUND;
    if (err == OK)
        *out = t.list;
    return err;
}
