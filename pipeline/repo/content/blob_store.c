#include "pipeline/repo/content/blob_store.h"

#include "formats/blob.h"
#include "formats/key.h"
#include "pipeline/repo/content/blob_read.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/known.h"

/* The first bytes of an object say what it is: a manifest's head, or a frame's with its
 * content's size. */
#define LOOK_LEN     64u
#define LOOK_AT_ONCE 64u

/* Facts about a blob: `number` is its size, `word` its carrier, `hash` its manifest's. What was
 * put or read whole is known for sure. Of what was only looked at it is known that something is
 * there, or, with a `word` of 0, that it is damaged. */
static const char sure[] = "blob";
static const char looked[] = "blob looked at";

/* Where and under which version of its collection somebody looks. */
struct asking {
    struct repo *repo;
    const struct id16 *project;
    const struct condemned *condemned;
};

/* A fact is known under a version; those of others are never asked for again, and make room. */
static struct hash fact_name(const struct asking *ask, const char *how, const struct hash *hash)
{
    uint64_t version = condemned_version(ask->condemned);
    uint8_t name[sizeof(hash->b) + sizeof(version)];
    memcpy(name, hash->b, sizeof(hash->b));
    memcpy(name + sizeof(hash->b), &version, sizeof(version));
    return known_name(how, ask->project, bytes_of(name, sizeof(name)));
}

static void learn(const struct asking *ask, const char *how, const struct content *content)
{
    struct hash name = fact_name(ask, how, &content->hash);
    struct fact fact = {
        .number = content->size,
        .word = (uint8_t)content->carrier,
        .hash = content->manifest,
    };
    known_add(ask->repo->known, &name, &fact);
}

void blob_learn(struct repo *repo, const struct id16 *project,
                const struct condemned *condemned, const struct content *content)
{
    const struct asking ask = {repo, project, condemned};
    learn(&ask, sure, content);
}

static bool blob_known(const struct asking *ask, const char *how, const struct hash *hash,
                       struct content *out)
{
    struct hash name = fact_name(ask, how, hash);
    struct fact fact;
    if (!known_find(ask->repo->known, &name, &fact))
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
    bool condemned;   /* it, or a chunk of it: not there */
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

/* What is neither a manifest nor a frame of ours counts as not there, so that it is uploaded
 * again, which heals it. */
static void look_damaged(const struct asking *ask, const struct hash *hash)
{
    struct key key = key_blob(ask->project, hash);
    damage_log(ask->repo, key.s, ERR_CORRUPT);
}

static void look_judge(const struct asking *ask, const struct hash *hash, struct look *look)
{
    uint64_t size;
    if (manifest_is(buf_bytes(&look->begun))) {
        look->there = true;
        look->manifest = true;
    } else if (zstd_size(buf_bytes(&look->begun), &size) == OK &&
               size <= ask->repo->bucket.chunk_size && look->size <= blob_frame_max(size)) {
        look->there = true;
        look->content = (struct content){.kind = KIND_FILE,
                                         .mode = MODE_PLAIN,
                                         .size = size,
                                         .hash = *hash,
                                         .carrier = CARRIER_BLOB};
        learn(ask, looked, &look->content);
    } else {
        look_damaged(ask, hash);
    }
}

/* Looks at up to LOOK_AT_ONCE hashes side by side, at none that is remembered. */
static int look_group(const struct asking *ask, const struct hash *hashes, size_t n,
                      struct look *looks)
{
    assert(n <= LOOK_AT_ONCE);
    struct key keys[LOOK_AT_ONCE];
    struct store_op ops[LOOK_AT_ONCE] = {0};
    size_t of[LOOK_AT_ONCE];
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        looks[i] = (struct look){.condemned = condemned_blob(ask->condemned, &hashes[i])};
        if (looks[i].condemned)
            continue;
        if (blob_known(ask, sure, &hashes[i], &looks[i].content) ||
            blob_known(ask, looked, &hashes[i], &looks[i].content)) {
            looks[i].there = looks[i].content.carrier != 0;
            continue;
        }
        keys[n_ops] = key_blob(ask->project, &hashes[i]);
        ops[n_ops] = (struct store_op){.verb = STORE_GET,
                                       .key = keys[n_ops].s,
                                       .range = range_of(0, LOOK_LEN),
                                       .body = &looks[i].begun};
        of[n_ops++] = i;
    }
    if (n_ops > 0)
        (void)!store_many(ask->repo->store, ops, n_ops); /* each has its own answer */
    int err = OK;
    for (size_t i = 0; i < n_ops; i++) {
        struct look *look = &looks[of[i]];
        look->size = ops[i].size;
        if (ops[i].err == OK)
            look_judge(ask, &hashes[of[i]], look);
        else if (ops[i].err == ERR_INVALID)
            look_damaged(ask, &hashes[of[i]]);
        else if (ops[i].err != ERR_NOT_FOUND && err == OK)
            err = ops[i].err;
    }
    return err;
}

static int chunks_there(const struct asking *ask, const struct manifest *manifest,
                        struct look *look)
{
    look->there = true;
    for (uint32_t i = 0; i < manifest->n && look->there; i += LOOK_AT_ONCE) {
        struct look looks[LOOK_AT_ONCE];
        size_t n = manifest->n - i < LOOK_AT_ONCE ? manifest->n - i : LOOK_AT_ONCE;
        int err = look_group(ask, manifest->chunks + i, n, looks);
        for (size_t j = 0; j < n; j++) {
            bool last = i + j + 1 == manifest->n;
            uint64_t size =
                last ? (manifest->size - 1) % manifest->chunk_size + 1 : manifest->chunk_size;
            look->there &= looks[j].there && looks[j].content.carrier == CARRIER_BLOB &&
                           looks[j].content.size == size;
            look->condemned |= looks[j].condemned;
        }
        looks_release(looks, n);
        if (err != OK)
            return err;
    }
    return OK;
}

/* A manifest counts only with all of its chunks; a damaged one counts as not there. */
static int manifest_look(const struct asking *ask, const struct hash *hash, struct look *look)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest manifest;
    struct hash check;
    int err = blob_manifest_get(ask->repo, ask->project, hash, &look->begun, look->size, &arena,
                                &manifest, &check);
    if (err == OK)
        err = chunks_there(ask, &manifest, look);
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
    learn(ask, sure, &look->content);
    return OK;
}

static int look_whole(const struct asking *ask, const struct hash *hashes, size_t n,
                      struct look *looks)
{
    int err = look_group(ask, hashes, n, looks);
    for (size_t i = 0; i < n && err == OK; i++) {
        if (looks[i].manifest)
            err = manifest_look(ask, &hashes[i], &looks[i]);
    }
    return err;
}

int blob_missing(struct repo *repo, const struct id16 *project,
                 const struct condemned *condemned, const struct hash *hashes, size_t n,
                 bool *missing, bool *awaits)
{
    const struct asking ask = {repo, project, condemned};
    bool any = false;
    for (size_t i = 0; i < n; i += LOOK_AT_ONCE) {
        struct look looks[LOOK_AT_ONCE];
        size_t now = n - i < LOOK_AT_ONCE ? n - i : LOOK_AT_ONCE;
        int err = look_whole(&ask, hashes + i, now, looks);
        for (size_t j = 0; j < now && err == OK; j++) {
            missing[i + j] = !looks[j].there;
            any |= looks[j].condemned;
        }
        looks_release(looks, now);
        if (err != OK)
            return err;
    }
    if (awaits != NULL)
        *awaits = any;
    return OK;
}

/* A blob that was read whole: its size becomes part of a tree, so nothing but the content
 * itself is to be believed about it. */
static int frame_check(const struct asking *ask, const struct hash *hash, struct look *look)
{
    AUTO_BUF plain = {0};
    look->content = (struct content){.kind = KIND_FILE, .mode = MODE_PLAIN, .hash = *hash};
    int err = blob_plain_of(ask->repo, ask->project, hash, buf_bytes(&look->begun), look->size,
                            &plain);
    if (err == OK) {
        look->there = true;
        look->content.size = plain.len;
        look->content.carrier = CARRIER_BLOB;
        learn(ask, sure, &look->content);
    }
    return err;
}

int blob_describe(struct repo *repo, const struct id16 *project,
                  const struct condemned *condemned, const struct hash *hash,
                  struct content *out)
{
    const struct asking ask = {repo, project, condemned};
    struct look look = {0};
    if (condemned_blob(condemned, hash))
        return ERR_NOT_FOUND;
    if (blob_known(&ask, sure, hash, out))
        return OK;
    int err = blob_get(repo, project, hash, blob_frame_max(repo->bucket.chunk_size),
                       &look.begun, &look.size);
    if (err == OK && manifest_is(buf_bytes(&look.begun)))
        err = manifest_look(&ask, hash, &look);
    else if (err == OK)
        err = frame_check(&ask, hash, &look);
    if (err == ERR_CORRUPT) {
        look.content = (struct content){.hash = *hash};
        learn(&ask, looked, &look.content);
        err = OK; /* it counts as not there, so that it is uploaded again */
    }
    if (err == OK && !look.there)
        err = ERR_NOT_FOUND;
    if (err == OK)
        *out = look.content;
    looks_release(&look, 1);
    return err;
}
