#include "pipeline/store/s3_probe.h"

#include <stdio.h>

#include "formats/base/hash.h"
#include "pipeline/store/s3_inside.h"

/* A copy of the bucket elsewhere has the note, too, and another address. */
static struct hash place_of(const struct s3_store *s3)
{
    AUTO_BUF text = {0};
    buf_printf(&text, "%s\n%s\n%s\n%u", s3->base, s3->path, s3->prefix, (unsigned)s3->chosen);
    return sha256(buf_bytes(&text));
}

/* What the store said last, behind what could not be done. */
static void why_append(struct store *store, struct probe_report *report)
{
    size_t len = strlen(report->says);
    char why[S3_WHY_MAX];
    s3_store_why(store, why);
    (void)snprintf(report->says + len, sizeof(report->says) - len, "%s%s",
                   why[0] != '\0' ? ": " : "", why);
}

int s3_store_probe(struct store *store, bool always, struct probe_report *out)
{
    struct s3_store *s3 = (struct s3_store *)store;
    struct probe_note note = {.where = place_of(s3)};
    bool is_auto = s3_store_is_auto(store);
    int noted =
        always ? ERR_NOT_FOUND
               : probe_remembered(store, &note.where, s3->clock->wall_ms(s3->clock), &note);
    if (noted == ERR_AGAIN) {
        *out = (struct probe_report){.says = "it does not answer"};
        why_append(store, out);
        return noted;
    }
    if (noted == OK) {
        s3_store_use_bare_etag(store, is_auto ? note.bare_etag : s3->bare_etag);
        *out = (struct probe_report){.bare = note.bare_etag, .quoted = !note.bare_etag};
        return OK;
    }
    const struct probe_options options = {
        .clock = s3->clock,
        .rng = s3->rng,
        .use_bare_etag = is_auto ? s3_store_use_bare_etag : NULL,
    };
    int err = probe_store(store, &options, out);
    if (!is_auto) {
        out->bare = s3->bare_etag;
        out->quoted = !out->bare;
    }
    if (err == OK) {
        uint64_t date = s3_date_ms(s3);
        note.passed_ms = date != 0 ? date : s3->clock->wall_ms(s3->clock);
        note.bare_etag = s3->bare_etag;
        (void)!probe_remember(store, &note); /* if it fails, the next start tries again */
    } else if (!out->refused) {
        why_append(store, out);
    }
    return err;
}
