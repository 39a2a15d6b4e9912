#include "pipeline/store/probe.h"

#include <stdarg.h>
#include <stdio.h>

#include "formats/key.h"
#include "pipeline/store/probe_inside.h"

#define NOTE_GOOD_MS  (24ull * 60 * 60 * 1000)
#define NOTE_AHEAD_MS (60ull * 60 * 1000)      /* clocks that went wrong date notes ahead */
#define LEFT_MS       (24ull * 60 * 60 * 1000) /* what is older was left by a probe that died */
#define ATTEMPTS      3u
#define PATIENCE      6u /* how often one request is made while the store says "later" */
#define PAUSE_US      100000u

int probe_refuse(struct probe *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(p->report.says, sizeof(p->report.says), fmt, args);
    va_end(args);
    p->report.refused = true;
    return ERR_INVALID;
}

int probe_cannot(struct probe *p, int err, const char *what)
{
    if (p->report.refused) {
        return err;
    }
    (void)snprintf(p->report.says, sizeof(p->report.says), "%s: %s", what, err_name(err));
    return err;
}

struct key probe_key(const struct probe *p, const char *name)
{
    return key_probe(p->ms, p->id, name);
}

/* "Later" means that nothing happened, so one may ask again. */
int probe_one(struct probe *p, struct store_op *op)
{
    struct clock *clock = p->options->clock;
    struct etag etag = op->etag;
    uint64_t pause = PAUSE_US;
    int err = store_one(p->store, op);
    for (unsigned i = 1; i < PATIENCE && err == ERR_AGAIN; i++, pause *= 2) {
        clock->sleep_us(clock, pause);
        op->etag = etag;
        err = store_one(p->store, op);
    }
    return err;
}

int probe_put(struct probe *p, const char *name, const char *text, enum put_condition condition,
              struct etag *etag)
{
    struct key key = probe_key(p, name);
    struct store_op op = {
        .verb = STORE_PUT, .key = key.s, .data = bytes_str(text), .condition = condition};
    if (condition == PUT_IF_MATCH) {
        op.etag = *etag;
    }
    int err = probe_one(p, &op);
    if (err == OK && etag != NULL) {
        *etag = op.etag;
    }
    return err;
}

int probe_list(struct probe *p, struct arena *arena, const char *prefix, const char *after,
               size_t max, struct store_list *out)
{
    struct clock *clock = p->options->clock;
    uint64_t pause = PAUSE_US;
    int err = store_list(p->store, arena, prefix, after, max, out);
    for (unsigned i = 1; i < PATIENCE && err == ERR_AGAIN; i++, pause *= 2) {
        clock->sleep_us(clock, pause);
        err = store_list(p->store, arena, prefix, after, max, out);
    }
    if (err == ERR_CORRUPT) {
        return probe_refuse(p, "its lists are not in the order of bytes, or give what was not "
                               "asked for");
    }
    return err;
}

int probe_expect(struct probe *p, const char *name, const char *text, struct etag *etag)
{
    AUTO_BUF body = {0};
    struct key key = probe_key(p, name);
    struct store_op op = {.verb = STORE_GET,
                          .key = key.s,
                          .range = range_all(),
                          .want_etag = ETAG_ALWAYS,
                          .body = &body};
    int err = probe_one(p, &op);
    if (err == OK && etag != NULL) {
        *etag = op.etag;
    }
    bool other = err == OK && !bytes_equal(buf_bytes(&body), bytes_str(text));
    return err == ERR_NOT_FOUND || other ? ERR_CONFLICT : err;
}

/* Whether there is nothing; ERR_CONFLICT when there is something. */
static int expect_nothing(struct probe *p, const char *name)
{
    struct key key = probe_key(p, name);
    struct store_op op = {.verb = STORE_GET, .key = key.s, .range = range_none()};
    int err = probe_one(p, &op);
    return err == OK ? ERR_CONFLICT : err == ERR_NOT_FOUND ? OK : err;
}

/* ---- the conditions, one after another ---- */

static int try_first_put(struct probe *p, struct etag *etag)
{
    int err = probe_put(p, "swap", "one", PUT_IF_ABSENT, etag);
    if (err == ERR_CONFLICT) {
        return probe_refuse(p, "it refuses a put with If-None-Match: * of a key that does not "
                               "exist");
    }
    if (err != OK) {
        return probe_cannot(p, err, "the first put");
    }
    struct etag seen = {{0}};
    err = probe_expect(p, "swap", "one", &seen);
    if (err == ERR_CONFLICT) {
        return probe_refuse(p, "a get right after a put does not show what was put");
    }
    if (err != OK) {
        return probe_cannot(p, err, "the first get");
    }
    if (etag->s[0] == '\0' || strcmp(etag->s, seen.s) != 0) {
        return probe_refuse(p, "it gives no etag, or a get gives another than the put did");
    }
    return OK;
}

static int try_if_absent(struct probe *p)
{
    int err = probe_put(p, "swap", "two", PUT_IF_ABSENT, NULL);
    if (err == OK) {
        return probe_refuse(p, "it ignores If-None-Match: a put with If-None-Match: * of a key "
                               "that exists was done");
    }
    if (err != ERR_CONFLICT) {
        return probe_cannot(p, err, "a put with If-None-Match: * of a key that exists");
    }
    err = probe_expect(p, "swap", "one", NULL);
    if (err == ERR_CONFLICT) {
        return probe_refuse(p,
                            "it answered that it refused a put with If-None-Match, and did it "
                            "all the same");
    }
    return err;
}

/* A put whose condition cannot hold. `text` is what is there. */
static int try_wrong_etag(struct probe *p, const struct etag *etag, const char *text,
                          const char *which)
{
    struct etag wrong = *etag;
    int err = probe_put(p, "swap", "wrong", PUT_IF_MATCH, &wrong);
    if (err == OK) {
        return probe_refuse(p, "it ignores If-Match: a put with %s was done", which);
    }
    if (err != ERR_CONFLICT) {
        return probe_cannot(p, err, "a put with If-Match that does not hold");
    }
    err = probe_expect(p, "swap", text, NULL);
    if (err == ERR_CONFLICT) {
        return probe_refuse(p,
                            "it answered that it refused a put with If-Match, and did it all "
                            "the same");
    }
    return err;
}

/* One form of If-Match, which may be of no use with this store but must do no harm. */
static int try_form(struct probe *p, struct etag *etag, const char **text, const char *next,
                    bool *holds)
{
    struct etag other = *etag;
    other.s[0] = other.s[0] == '0' ? '1' : '0';
    int err = try_wrong_etag(p, &other, *text, "the etag of other bytes");
    if (err != OK) {
        return err;
    }
    struct etag now = *etag;
    err = probe_put(p, "swap", next, PUT_IF_MATCH, &now);
    if (err != OK && err != ERR_CONFLICT) {
        return probe_cannot(p, err, "a put with If-Match");
    }
    *holds = err == OK;
    if (err == OK) {
        struct etag stale = *etag;
        *text = next;
        *etag = now;
        return try_wrong_etag(p, &stale, next, "a stale etag");
    }
    err = probe_expect(p, "swap", *text, NULL);
    return err != ERR_CONFLICT ? err
                               : probe_refuse(p, "it answered that it refused a put with the "
                                                 "right etag, and did it all the same");
}

static int try_forms(struct probe *p, struct etag *etag, const char **text)
{
    void (*use_bare)(struct store *, bool) = p->options->use_bare_etag;
    bool holds = false;
    if (use_bare == NULL) {
        int err = try_form(p, etag, text, "three", &holds);
        if (err == OK && !holds) {
            return probe_refuse(p, "no If-Match holds: a put with the etag that it gave itself "
                                   "is refused, in the one form "
                                   "of etag that was tried");
        }
        return err;
    }
    use_bare(p->store, true);
    int err = try_form(p, etag, text, "three", &p->report.bare);
    if (err != OK) {
        return err;
    }
    use_bare(p->store, false);
    err = try_form(p, etag, text, "four", &p->report.quoted);
    if (err == OK && !p->report.bare && !p->report.quoted) {
        return probe_refuse(p, "no If-Match holds: a put with the etag that it gave itself is "
                               "refused, be it quoted or bare");
    }
    use_bare(p->store, !p->report.quoted);
    return err;
}

static int try_match_on_nothing(struct probe *p, const struct etag *etag)
{
    struct etag any = *etag;
    int err = probe_put(p, "nothing", "made", PUT_IF_MATCH, &any);
    if (err == OK) {
        return probe_refuse(p,
                            "it ignores If-Match where there is nothing: a put with If-Match "
                            "made a key that did not exist");
    }
    if (err != ERR_CONFLICT) {
        return probe_cannot(p, err, "a put with If-Match of a key that does not exist");
    }
    err = expect_nothing(p, "nothing");
    if (err == ERR_CONFLICT) {
        return probe_refuse(p,
                            "it answered that it refused a put with If-Match, and made the key "
                            "all the same");
    }
    return err == OK ? OK : probe_cannot(p, err, "a get of what is not there");
}

/* ---- the whole ---- */

static int try_all(struct probe *p)
{
    struct etag etag = {{0}};
    const char *text = "one";
    int err = try_first_put(p, &etag);
    if (err == OK) {
        err = try_if_absent(p);
    }
    if (err == OK) {
        err = try_forms(p, &etag, &text);
    }
    if (err == OK) {
        err = try_match_on_nothing(p, &etag);
    }
    if (err == OK) {
        err = probe_reads(p, &etag);
    }
    if (err == OK) {
        err = probe_lists_and_deletes(p);
    }
    if (err == OK) {
        err = probe_race(p, "swap", &etag);
    }
    if (err == OK) {
        err = probe_race(p, "race", NULL);
    }
    return err;
}

/* Deletes what lies under probe/ and is this probe's, or was left by another long ago. What
 * cannot be deleted is left to the next one. */
static void clean_up(struct probe *p)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    if (store_list(p->store, &arena, key_probe_prefix().s, "", STORE_LIST_MAX, &list) != OK) {
        return;
    }
    struct store_op *ops = arena_array(&arena, list.n, struct store_op);
    size_t n = 0;
    for (size_t i = 0; i < list.n; i++) {
        uint64_t ms;
        uint64_t id;
        if (key_probe_parse(list.keys[i].key, &ms, &id) == OK &&
            (id == p->id || ms + LEFT_MS < p->ms)) {
            ops[n++] = (struct store_op){.verb = STORE_DELETE, .key = list.keys[i].key};
        }
    }
    int err = store_many(p->store, ops, n);
    (void)err;
}

int probe_store(struct store *store, const struct probe_options *options,
                struct probe_report *out)
{
    struct probe p = {.store = store, .options = options};
    int err = ERR_AGAIN;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        uint64_t date = store_date_ms(store);
        p.report = (struct probe_report){.refused = false};
        p.ms = date != 0 ? date : options->clock->wall_ms(options->clock);
        p.id = rng_u64(options->rng);
        err = try_all(&p);
        if (err == OK || err == ERR_UNKNOWN || p.report.refused) {
            clean_up(&p);
        }
        /* What is not known of one request cannot be found out: all of it is tried anew. */
        if (err != ERR_UNKNOWN) {
            break;
        }
    }
    *out = p.report;
    return err;
}

/* ---- the note ---- */

int probe_remembered(struct store *store, const struct hash *where, uint64_t now_ms,
                     struct probe_note *out)
{
    AUTO_BUF body = {0};
    struct probe_note note;
    int err = store_get(store, key_probe_note().s, range_all(), &body, NULL, NULL);
    if (err != OK) {
        return err;
    }
    if (probe_note_decode(buf_bytes(&body), &note) != OK || !hash_equal(&note.where, where) ||
        now_ms > note.passed_ms + NOTE_GOOD_MS || note.passed_ms > now_ms + NOTE_AHEAD_MS) {
        return ERR_NOT_FOUND;
    }
    *out = note;
    return OK;
}

int probe_remember(struct store *store, const struct probe_note *note)
{
    AUTO_BUF body = {0};
    probe_note_encode(note, &body);
    return store_put(store, key_probe_note().s, buf_bytes(&body), PUT_ANY, NULL);
}
