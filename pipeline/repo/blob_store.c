#include "pipeline/repo/blob_store.h"

#include "formats/blob.h"
#include "formats/key.h"
#include "pipeline/repo/blob_read.h"
#include "pipeline/repo/known.h"

/* The first bytes of an object say what it is: a manifest's head, or a frame's with its
 * content's size. */
#define LOOK_LEN     64u
#define LOOK_AT_ONCE 64u

/* A fact about a blob: `number` is its size, `word` its carrier, `hash` its manifest's. */
static struct hash blob_name(const struct id16 *project, const struct hash *hash)
{
    return known_name("blob", project, bytes_of(hash->b, sizeof(hash->b)));
}

void blob_learn(struct repo *repo, const struct id16 *project, const struct content *content)
{
    struct hash name = blob_name(project, &content->hash);
    struct fact fact = {
        .number = content->size,
        .word = (uint8_t)content->carrier,
        .hash = content->manifest,
    };
    known_add(repo->known, &name, &fact);
}

static bool blob_known(struct repo *repo, const struct id16 *project, const struct hash *hash,
                       struct content *out)
{
    struct hash name = blob_name(project, hash);
    struct fact fact;
    if (!known_find(repo->known, &name, &fact))
        return false;
    *out = (struct content){
        .kind = KIND_FILE,
        .mode = MODE_PLAIN,
        .size = fact.number,
        .hash = *hash,
        .carrier = (enum carrier)fact.word,
        .manifest = fact.hash,
    };
    return true;
}

/* What was found under a hash. */
struct look {
    bool there;
    bool manifest;    /* begins as one; `content` is not filled in yet */
    struct buf begun; /* its first bytes */
    uint64_t size;    /* of the object */
    struct content content;
};

static void looks_release(struct look *looks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_release(&looks[i].begun);
}

/* Neither a manifest nor a frame of ours counts as not there, so that it is uploaded again,
 * which heals it. */
static void look_judge(struct repo *repo, const struct id16 *project, const struct hash *hash,
                       struct look *look)
{
    uint64_t size;
    if (manifest_is(buf_bytes(&look->begun))) {
        look->there = true;
        look->manifest = true;
    } else if (zstd_size(buf_bytes(&look->begun), &size) == OK &&
               size <= repo->bucket.chunk_size && look->size <= blob_frame_max(size)) {
        look->there = true;
        look->content = (struct content){.kind = KIND_FILE,
                                         .mode = MODE_PLAIN,
                                         .size = size,
                                         .hash = *hash,
                                         .carrier = CARRIER_BLOB};
        blob_learn(repo, project, &look->content);
    }
}

/* Looks at up to LOOK_AT_ONCE hashes side by side, at none that is remembered. */
static int look_group(struct repo *repo, const struct id16 *project, const struct hash *hashes,
                      size_t n, struct look *looks)
{
    assert(n <= LOOK_AT_ONCE);
    struct key keys[LOOK_AT_ONCE];
    struct store_op ops[LOOK_AT_ONCE] = {0};
    size_t of[LOOK_AT_ONCE];
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        looks[i] = (struct look){0};
        if (blob_known(repo, project, &hashes[i], &looks[i].content)) {
            looks[i].there = true;
            continue;
        }
        keys[n_ops] = key_blob(project, &hashes[i]);
        ops[n_ops] = (struct store_op){.verb = STORE_GET,
                                       .key = keys[n_ops].s,
                                       .range = range_of(0, LOOK_LEN),
                                       .body = &looks[i].begun};
        of[n_ops++] = i;
    }
    if (n_ops > 0)
        (void)!store_many(repo->store, ops, n_ops); /* each has its own answer */
    int err = OK;
    for (size_t i = 0; i < n_ops; i++) {
        struct look *look = &looks[of[i]];
        look->size = ops[i].size;
        if (ops[i].err == OK)
            look_judge(repo, project, &hashes[of[i]], look);
        else if (ops[i].err != ERR_NOT_FOUND && ops[i].err != ERR_INVALID && err == OK)
            err = ops[i].err;
    }
    return err;
}

static int chunks_there(struct repo *repo, const struct id16 *project,
                        const struct manifest *manifest, bool *there)
{
    *there = true;
    for (uint32_t i = 0; i < manifest->n && *there; i += LOOK_AT_ONCE) {
        struct look looks[LOOK_AT_ONCE];
        size_t n = manifest->n - i < LOOK_AT_ONCE ? manifest->n - i : LOOK_AT_ONCE;
        int err = look_group(repo, project, manifest->chunks + i, n, looks);
        for (size_t j = 0; j < n; j++)
            *there &= looks[j].there && looks[j].content.carrier == CARRIER_BLOB;
        looks_release(looks, n);
        if (err != OK)
            return err;
    }
    return OK;
}

/* A manifest counts only with all of its chunks; a damaged one counts as not there. */
static int manifest_look(struct repo *repo, const struct id16 *project, const struct hash *hash,
                         struct look *look)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest manifest;
    struct hash check;
    int err = blob_manifest_get(repo, project, hash, &look->begun, look->size, &arena,
                                &manifest, &check);
    if (err == OK)
        err = chunks_there(repo, project, &manifest, &look->there);
    if (err == ERR_CORRUPT) {
        look->there = false;
        return OK;
    }
    if (err != OK || !look->there)
        return err;
    look->content = (struct content){.kind = KIND_FILE,
                                     .mode = MODE_PLAIN,
                                     .size = manifest.size,
                                     .hash = *hash,
                                     .carrier = CARRIER_MANIFEST,
                                     .manifest = check};
    blob_learn(repo, project, &look->content);
    return OK;
}

static int look_whole(struct repo *repo, const struct id16 *project, const struct hash *hashes,
                      size_t n, struct look *looks)
{
    int err = look_group(repo, project, hashes, n, looks);
    for (size_t i = 0; i < n && err == OK; i++) {
        if (looks[i].manifest)
            err = manifest_look(repo, project, &hashes[i], &looks[i]);
    }
    return err;
}

int blob_missing(struct repo *repo, const struct id16 *project, const struct hash *hashes,
                 size_t n, bool *missing)
{
    for (size_t i = 0; i < n; i += LOOK_AT_ONCE) {
        struct look looks[LOOK_AT_ONCE];
        size_t now = n - i < LOOK_AT_ONCE ? n - i : LOOK_AT_ONCE;
        int err = look_whole(repo, project, hashes + i, now, looks);
        for (size_t j = 0; j < now && err == OK; j++)
            missing[i + j] = !looks[j].there;
        looks_release(looks, now);
        if (err != OK)
            return err;
    }
    return OK;
}

int blob_describe(struct repo *repo, const struct id16 *project, const struct hash *hash,
                  struct content *out)
{
    struct look look;
    int err = look_whole(repo, project, hash, 1, &look);
    if (err == OK && !look.there)
        err = ERR_NOT_FOUND;
    if (err == OK)
        *out = look.content;
    looks_release(&look, 1);
    return err;
}
