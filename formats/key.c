#include "formats/key.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "formats/rollup.h"

#define PROBE_NAME_MAX 64u

static struct key spell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static struct key spell(const char *fmt, ...)
{
    struct key key;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(key.s, sizeof(key.s), fmt, args);
    va_end(args);
    assert(len > 0 && (size_t)len < sizeof(key.s));
    return key;
}

/* What the keys of a project's objects begin with: {pid}, and for a tree of references
 * {pid}/refs. */
struct folder {
    char s[ID16_HEX_LEN + sizeof("/refs")];
};

static struct folder folder_of(const struct id16 *project)
{
    struct folder folder;
    struct id16 plain = project_id_plain(project);
    (void)snprintf(folder.s, sizeof(folder.s), "%s%s", id16_hex(&plain).s,
                   project_id_is_refs(project) ? "/refs" : "");
    return folder;
}

struct key key_bucket(void)
{
    return spell("bucket");
}

struct key key_handle(struct bytes handle)
{
    assert(handle_check(handle) == 0);
    return spell("handles/%.*s", (int)handle.len, (const char *)handle.data);
}

struct key key_handle_prefix(void)
{
    return spell("handles/");
}

struct key key_queue(uint32_t shard, uint64_t hlc, uint64_t agent, uint64_t seq)
{
    return spell("queue/%04" PRIx32 "/%016" PRIx64 "-%016" PRIx64 "-%016" PRIx64, shard, hlc,
                 agent, seq);
}

struct key key_queue_prefix(uint32_t shard)
{
    return spell("queue/%04" PRIx32 "/", shard);
}

struct key key_dead(uint32_t shard, uint64_t hlc, uint64_t agent, uint64_t seq)
{
    return spell("queue/dead/%04" PRIx32 "-%016" PRIx64 "-%016" PRIx64 "-%016" PRIx64, shard,
                 hlc, agent, seq);
}

struct key key_dead_prefix(void)
{
    return spell("queue/dead/");
}

struct key key_lease(uint32_t shard)
{
    return spell("leases/%04" PRIx32, shard);
}

struct key key_project_prefix(const struct id16 *project)
{
    return spell("projects/%s/", folder_of(project).s);
}

struct key key_project(const struct id16 *project)
{
    return spell("projects/%s/project", folder_of(project).s);
}

struct key key_head(const struct id16 *project)
{
    return spell("projects/%s/head", folder_of(project).s);
}

struct key key_gc(const struct id16 *project)
{
    return spell("projects/%s/gc", folder_of(project).s);
}

struct key key_tree(const struct id16 *project, const struct hash *tree)
{
    struct hash_hex hex = hash_hex(tree);
    return spell("projects/%s/trees/%.2s/%s.bin", folder_of(project).s, hex.s, hex.s);
}

struct key key_tree_prefix(const struct id16 *project)
{
    return spell("projects/%s/trees/", folder_of(project).s);
}

struct key key_log(const struct id16 *project, uint64_t first, uint64_t end)
{
    return spell("projects/%s/landing-log/%012" PRIu64 "-%012" PRIu64 ".log",
                 folder_of(project).s, first, end);
}

struct key key_log_prefix(const struct id16 *project)
{
    return spell("projects/%s/landing-log/", folder_of(project).s);
}

struct key key_rollup(const struct id16 *project, unsigned level, uint64_t first, uint64_t end)
{
    return spell("projects/%s/landing-log/bloom-index/level-%u/%012" PRIu64 "-%012" PRIu64
                 ".bloom",
                 folder_of(project).s, level, first, end);
}

struct key key_rollup_prefix(const struct id16 *project, unsigned level)
{
    return spell("projects/%s/landing-log/bloom-index/level-%u/", folder_of(project).s, level);
}

struct key key_rollups_prefix(const struct id16 *project)
{
    return spell("projects/%s/landing-log/bloom-index/", folder_of(project).s);
}

struct key key_session(const struct id16 *project, const struct id16 *session)
{
    struct id16_hex sid = id16_hex(session);
    return spell("projects/%s/sessions/%s.bin", folder_of(project).s, sid.s);
}

struct key key_session_prefix(const struct id16 *project)
{
    return spell("projects/%s/sessions/", folder_of(project).s);
}

struct key key_blob(const struct id16 *project, const struct hash *blob)
{
    struct hash_hex hex = hash_hex(blob);
    return spell("projects/%s/blobs/%.2s/%s", folder_of(project).s, hex.s, hex.s);
}

struct key key_blob_prefix(const struct id16 *project)
{
    return spell("projects/%s/blobs/", folder_of(project).s);
}

struct key key_derive(const struct id16 *project, uint64_t agent, uint64_t seq)
{
    return spell("projects/%s/derive/%016" PRIx64 "/%016" PRIx64 ".bin", folder_of(project).s,
                 agent, seq);
}

struct key key_derive_segment(const struct id16 *project, uint64_t number)
{
    return spell("projects/%s/derive/segments/%016" PRIx64 ".bin", folder_of(project).s,
                 number);
}

struct key key_derive_prefix(const struct id16 *project)
{
    return spell("projects/%s/derive/", folder_of(project).s);
}

struct key key_derive_segment_prefix(const struct id16 *project)
{
    return spell("projects/%s/derive/segments/", folder_of(project).s);
}

struct key key_probe(uint64_t ms, uint64_t id, const char *name)
{
    return spell("probe/%016" PRIx64 "-%016" PRIx64 "/%s", ms, id, name);
}

struct key key_probe_prefix(void)
{
    return spell("probe/");
}

struct key key_probe_note(void)
{
    return spell("probe/passed");
}

/* Parsing is lenient step by step and strict as a whole: what was read is spelled again, and
 * has to give the same key. So no second spelling of a name gets in. */

static bool take(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0) {
        return false;
    }
    *at += len;
    return true;
}

static bool take_hex(const char **at, unsigned digits, uint64_t *out)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = (*at)[i];
        if (c >= '0' && c <= '9') {
            n = n << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *at += digits;
    *out = n;
    return true;
}

static bool take_decimal(const char **at, uint64_t *out)
{
    uint64_t n = 0;
    const char *c = *at;
    for (; *c >= '0' && *c <= '9'; c++) {
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n)) {
            return false;
        }
    }
    *at = c;
    *out = n;
    return true;
}

static bool take_id16(const char **at, struct id16 *out)
{
    size_t len = strnlen(*at, ID16_HEX_LEN);
    if (id16_parse(bytes_of(*at, len), out) != 0) {
        return false;
    }
    *at += len;
    return true;
}

/* {pid} or {pid}/refs, and the slash behind it. */
static bool take_project(const char **at, struct id16 *out)
{
    if (!take(at, "projects/") || !take_id16(at, out) || project_id_is_refs(out)) {
        return false;
    }
    if (take(at, "/refs/")) {
        *out = project_id_refs(out);
        return true;
    }
    return take(at, "/");
}

static int same(const char *key, struct key again)
{
    return strcmp(key, again.s) == 0 ? 0 : ERR_INVALID;
}

int key_queue_parse(const char *key, uint32_t *shard, uint64_t *hlc, uint64_t *agent,
                    uint64_t *seq)
{
    const char *at = key;
    if (!take(&at, "queue/")) {
        return ERR_INVALID;
    }
    /* Four digits are the least; a bucket of many shards has more. */
    size_t digits = strcspn(at, "/");
    uint64_t s, h, a, q;
    if (digits < 4 || digits > 8 || !take_hex(&at, (unsigned)digits, &s) || !take(&at, "/") ||
        !take_hex(&at, 16, &h) || !take(&at, "-") || !take_hex(&at, 16, &a) ||
        !take(&at, "-") || !take_hex(&at, 16, &q)) {
        return ERR_INVALID;
    }
    int err = same(key, key_queue((uint32_t)s, h, a, q));
    if (err == 0) {
        *shard = (uint32_t)s;
        *hlc = h;
        *agent = a;
        *seq = q;
    }
    return err;
}

int key_log_parse(const char *key, uint64_t *first, uint64_t *end)
{
    const char *at = key;
    struct id16 project;
    uint64_t f, e;
    if (!take_project(&at, &project) || !take(&at, "landing-log/") || !take_decimal(&at, &f) ||
        !take(&at, "-") || !take_decimal(&at, &e) || f >= e) {
        return ERR_INVALID;
    }
    int err = same(key, key_log(&project, f, e));
    if (err == 0) {
        *first = f;
        *end = e;
    }
    return err;
}

int key_rollup_parse(const char *key, unsigned *level, uint64_t *first, uint64_t *end)
{
    const char *at = key;
    struct id16 project;
    uint64_t l, f, e;
    if (!take_project(&at, &project) || !take(&at, "landing-log/bloom-index/level-") ||
        !take_decimal(&at, &l) || l < 1 || l > ROLLUP_LEVELS || !take(&at, "/") ||
        !take_decimal(&at, &f) || !take(&at, "-") || !take_decimal(&at, &e) || f >= e) {
        return ERR_INVALID;
    }
    int err = same(key, key_rollup(&project, (unsigned)l, f, e));
    if (err == 0) {
        *level = (unsigned)l;
        *first = f;
        *end = e;
    }
    return err;
}

int key_session_parse(const char *key, struct id16 *session)
{
    const char *at = key;
    struct id16 project, sid;
    if (!take_project(&at, &project) || !take(&at, "sessions/") || !take_id16(&at, &sid)) {
        return ERR_INVALID;
    }
    int err = same(key, key_session(&project, &sid));
    if (err == 0) {
        *session = sid;
    }
    return err;
}

/* {word}{h2}/{hash}… of some project; what follows is left to the comparison. */
static bool take_hashed(const char *key, const char *word, struct id16 *project,
                        struct hash *out)
{
    const char *at = key;
    if (!take_project(&at, project) || !take(&at, word) || strnlen(at, 3) < 3) {
        return false;
    }
    at += 3;
    return hash_parse(bytes_of(at, strnlen(at, HASH_HEX_LEN)), out) == OK;
}

int key_tree_parse(const char *key, struct hash *tree)
{
    struct id16 project;
    struct hash hash;
    if (!take_hashed(key, "trees/", &project, &hash) ||
        same(key, key_tree(&project, &hash)) != OK) {
        return ERR_INVALID;
    }
    *tree = hash;
    return OK;
}

int key_blob_parse(const char *key, struct hash *blob)
{
    struct id16 project;
    struct hash hash;
    if (!take_hashed(key, "blobs/", &project, &hash) ||
        same(key, key_blob(&project, &hash)) != OK) {
        return ERR_INVALID;
    }
    *blob = hash;
    return OK;
}

/* Numbers of a log begin at 1, and there always is one that comes after. */
static bool is_log_number(uint64_t number)
{
    return number > 0 && number < UINT64_MAX;
}

int key_derive_parse(const char *key, uint64_t *agent, uint64_t *seq)
{
    const char *at = key;
    struct id16 project;
    uint64_t a, q;
    if (!take(&at, "projects/") || !take_id16(&at, &project) || !take(&at, "/derive/") ||
        !take_hex(&at, 16, &a) || !take(&at, "/") || !take_hex(&at, 16, &q) ||
        !is_log_number(q)) {
        return ERR_INVALID;
    }
    int err = same(key, key_derive(&project, a, q));
    if (err == 0) {
        *agent = a;
        *seq = q;
    }
    return err;
}

int key_derive_segment_parse(const char *key, uint64_t *number)
{
    const char *at = key;
    struct id16 project;
    uint64_t n;
    if (!take(&at, "projects/") || !take_id16(&at, &project) ||
        !take(&at, "/derive/segments/") || !take_hex(&at, 16, &n) || !is_log_number(n)) {
        return ERR_INVALID;
    }
    int err = same(key, key_derive_segment(&project, n));
    if (err == 0) {
        *number = n;
    }
    return err;
}

int key_handle_parse(const char *key, struct bytes *handle)
{
    const char *at = key;
    if (!take(&at, "handles/") || handle_check(bytes_str(at)) != 0) {
        return ERR_INVALID;
    }
    *handle = bytes_str(at);
    return 0;
}

int key_probe_parse(const char *key, uint64_t *ms, uint64_t *id)
{
    const char *at = key;
    uint64_t m, i;
    if (!take(&at, "probe/") || !take_hex(&at, 16, &m) || !take(&at, "-") ||
        !take_hex(&at, 16, &i) || !take(&at, "/") || *at == '\0' ||
        strlen(at) > PROBE_NAME_MAX) {
        return ERR_INVALID;
    }
    *ms = m;
    *id = i;
    return 0;
}

uint32_t key_shard(const struct id16 *project, uint32_t shards)
{
    assert(shards > 0);
    return (uint32_t)(xxh3_64(bytes_of(project->b, sizeof(project->b))) % shards);
}
