/* What names and orders records: ids that say what they are ids of. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/record.h"

#define SESSION_BASE_LEN 6u /* bytes of the base at the front of a session id */

static int id16_order(const void *a, const void *b)
{
    const struct id16 *left = a;
    const struct id16 *right = b;
    return id16_compare(left, right);
}

int record_time_compare(const struct record *a, const struct record *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? -1 : 1;
    return id16_compare(&a->id, &b->id);
}

struct id16 record_id(const struct id16 *owner, const struct id16 *session, struct bytes key,
                      struct bytes payload)
{
    struct bytes parts[] = {
        bytes_of(owner->b, sizeof(owner->b)),
        bytes_of(session->b, sizeof(session->b)),
        key,
        payload,
    };
    return id16_derive("micelio record", parts, ARRAY_LEN(parts));
}

struct id16 session_id(const struct id16 *project, const struct id16 *owner, struct bytes key,
                       uint64_t base)
{
    assert(base < BASE_END);
    uint8_t base_bytes[SESSION_BASE_LEN];
    for (size_t i = 0; i < SESSION_BASE_LEN; i++)
        base_bytes[i] = (uint8_t)(base >> (8 * (SESSION_BASE_LEN - 1 - i)));
    struct bytes parts[] = {
        bytes_of(project->b, sizeof(project->b)),
        bytes_of(owner->b, sizeof(owner->b)),
        key,
        bytes_of(base_bytes, sizeof(base_bytes)),
    };
    struct id16 hashed = id16_derive("micelio session", parts, ARRAY_LEN(parts));
    struct id16 id;
    memcpy(id.b, base_bytes, SESSION_BASE_LEN);
    memcpy(id.b + SESSION_BASE_LEN, hashed.b, sizeof(id.b) - SESSION_BASE_LEN);
    return id;
}

uint64_t session_id_base(const struct id16 *session)
{
    uint64_t base = 0;
    for (size_t i = 0; i < SESSION_BASE_LEN; i++)
        base = base << 8 | session->b[i];
    return base;
}

struct id16 owner_of(struct bytes author)
{
    return id16_derive("micelio owner", &author, 1);
}

static bool is_landed(const struct record *record)
{
    return record->kind != RECORD_LAND && record->kind != RECORD_ABANDON;
}

size_t records_ids(const struct record *records, size_t n, struct id16 *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_landed(&records[i]))
            out[count++] = records[i].id;
    }
    qsort(out, count, sizeof(*out), id16_order);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !id16_equal(&out[kept - 1], &out[i]))
            out[kept++] = out[i];
    }
    return kept;
}

struct hash records_hash(const struct record *records, size_t n, struct arena *scratch)
{
    struct id16 *ids = arena_array(scratch, n, struct id16);
    size_t kept = records_ids(records, n, ids);
    return sha256(bytes_of(ids, kept * sizeof(*ids)));
}
