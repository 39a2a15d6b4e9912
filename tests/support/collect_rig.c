#include "tests/support/collect_rig.h"

#include <check.h>

#include "formats/base/hash.h"
#include "pipeline/repo/collect/gc_put.h"
#include "pipeline/store/mem.h"
#include "tests/support/chance.h"
#include "tests/support/fsck_rig.h"

void collect_rig_open(struct collect_rig *rig)
{
    *rig = (struct collect_rig){0};
    forge_init(&rig->f);
    mem_store_date(rig->f.mem, &rig->f.clock.clock);
}

void collect_rig_close(struct collect_rig *rig)
{
    forge_release(&rig->f);
}

void collect_rig_age(struct collect_rig *rig)
{
    rig->f.clock.ms += COLLECT_RIG_GRACE_MS + 1000;
    rig->f.clock.us += (COLLECT_RIG_GRACE_MS + 1000ull) * 1000;
}

int collect_rig_try_upload(struct forge *f, unsigned seed, size_t len, struct content *out)
{
    AUTO_BUF data = {0};
    struct chance chance = {.state = seed};
    while (data.len < len) {
        uint64_t word = chance_u64(&chance);
        buf_append(&data, &word, len - data.len < 8 ? len - data.len : 8);
    }
    struct upload *upload = upload_open(&f->repo, &f->project);
    int err = upload_write(upload, buf_bytes(&data));
    if (err == OK)
        err = upload_finish(upload, NULL, out);
    upload_close(upload);
    return err;
}

struct content collect_rig_upload(struct collect_rig *rig, unsigned seed, size_t len)
{
    struct content content;
    ck_assert_int_eq(collect_rig_try_upload(&rig->f, seed, len, &content), OK);
    return content;
}

struct key collect_rig_orphan(struct collect_rig *rig, uint8_t seed)
{
    struct hash hash = sha256(bytes_of(&seed, 1));
    struct key key = key_tree(&rig->f.project, &hash);
    ck_assert_int_eq(store_put(rig->f.store, key.s, bytes_str("orphan"), PUT_IF_ABSENT, NULL),
                     OK);
    return key;
}

struct id16 collect_rig_submit(struct forge *f, const char *path, const struct content *content,
                               struct draft *out)
{
    *out = draft_open(f, "ann", path, forge_position(f));
    draft_put(out, path, *content, seen_text(NULL));
    return forge_submit(f, out, 1);
}

bool collect_rig_there(struct collect_rig *rig, const struct key *key)
{
    int err = store_get(rig->f.store, key->s, range_none(), NULL, NULL, NULL);
    ck_assert(err == OK || err == ERR_NOT_FOUND);
    return err == OK;
}

bool collect_rig_has(struct collect_rig *rig, const struct content *content)
{
    struct forge cold;
    bool missing;
    forge_join(&cold, &rig->f, NULL);
    ck_assert_int_eq(
        blob_missing(&cold.repo, &rig->f.project, NULL, &content->hash, 1, &missing, NULL), OK);
    forge_release(&cold);
    return !missing;
}

static int collect(struct collect_rig *rig, bool act)
{
    const struct collect_options options = {.grace_ms = COLLECT_RIG_GRACE_MS};
    struct forge other;
    forge_join(&other, &rig->f, NULL);
    int err = act ? collect_run(&other.repo, &rig->f.project, &options, &rig->report)
                  : collect_look(&other.repo, &rig->f.project, &options, &rig->report);
    forge_release(&other);
    return err;
}

int collect_rig_run(struct collect_rig *rig)
{
    return collect(rig, true);
}

int collect_rig_look(struct collect_rig *rig)
{
    return collect(rig, false);
}

void collect_rig_clean(struct collect_rig *rig)
{
    struct fsck_result found;
    fsck_rig_run(rig->f.store, &rig->f.clock.clock, true, 0, &found);
    ck_assert_int_eq(found.err, OK);
    ck_assert_msg(found.counts.damages == 0 && found.counts.notes == 0, "%s",
                  fsck_rig_text(&found));
}

void collect_rig_condemn(struct collect_rig *rig, enum gc_state state, const struct hash *blob)
{
    struct gc_object object;
    struct gc_name name = {.what = GC_BLOB, .hash = *blob};
    struct gc gc = {.run = {.b = {9}}, .state = state};
    if (state != GC_CLOSED) {
        gc.names = &name;
        gc.n = 1;
    }
    if (state == GC_COOLING)
        gc.until_ms = rig->f.clock.ms + COLLECT_COOL_MS;
    ck_assert_int_eq(gc_object_read(&object, &rig->f.repo, &rig->f.project), OK);
    ck_assert_int_eq(gc_object_put(&object, &gc), OK);
    gc_object_release(&object);
}
