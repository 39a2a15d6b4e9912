#include "api/service/open_memory.h"

#include "formats/base/limits.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/known.h"

/* One front gives away such a part of the room. */
#define ROOM_PART 16u
/* What is left is kept in one number: records, bytes of content, bytes. */
#define CONTENT_BITS 24u
#define BYTES_BITS   24u

static_assert(SESSION_INLINE_MAX / ROOM_PART < 1u << CONTENT_BITS, "it fits");
static_assert(SESSION_OPEN_MAX / ROOM_PART < 1u << BYTES_BITS, "it fits");
static_assert(SESSION_RECORDS_MAX / ROOM_PART < 1u << (64 - CONTENT_BITS - BYTES_BITS),
              "it fits");

static uint64_t room_pack(const struct session_load *room)
{
    return ((uint64_t)room->records << CONTENT_BITS | room->content) << BYTES_BITS |
           room->bytes;
}

static struct session_load room_unpack(uint64_t number)
{
    return (struct session_load){
        .records = (size_t)(number >> (CONTENT_BITS + BYTES_BITS)),
        .content = (size_t)(number >> BYTES_BITS & ((1u << CONTENT_BITS) - 1)),
        .bytes = (size_t)(number & ((1u << BYTES_BITS) - 1)),
    };
}

static size_t room_of(size_t max, size_t has)
{
    return has < max ? (max - has) / ROOM_PART : 0;
}

static struct hash open_name(const struct id16 *project, const struct id16 *sid)
{
    return known_name("open session", project, bytes_of(sid->b, sizeof(sid->b)));
}

static bool record_stands_alone(const struct record *record)
{
    const struct record_operation *operation = &record->operation;
    switch (record->kind) {
    case RECORD_OPERATION:
        return operation->op == OP_WRITE && operation->base != UINT64_MAX &&
               operation->content.carrier != CARRIER_SOURCE;
    case RECORD_GUARD:
        return record->guard.base != UINT64_MAX;
    case RECORD_DECISION:
    case RECORD_CONVERSATION:
        return true;
    case RECORD_START:
    case RECORD_REBASE:
    case RECORD_ABANDON:
    case RECORD_LAND:
        break;
    }
    return false;
}

bool open_stand_alone(const struct record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!record_stands_alone(&records[i]))
            return false;
    }
    return true;
}

void open_remember(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                   const struct id16 *owner, const struct hash *tip,
                   const struct session_load *has)
{
    struct session_load room = {.records = room_of(SESSION_RECORDS_MAX, has->records),
                                .content = room_of(SESSION_INLINE_MAX, has->content),
                                .bytes = room_of(SESSION_OPEN_MAX, has->bytes)};
    struct fact fact = {.id = *owner, .hash = *tip, .number = room_pack(&room)};
    struct hash name = open_name(project, sid);
    known_add(repo->known, &name, &fact);
}

bool open_admits(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                 const struct id16 *owner, uint64_t hlc, const struct session_load *more)
{
    struct fact fact;
    struct hash tip;
    struct hash name = open_name(project, sid);
    if (!known_find(repo->known, &name, &fact) || !id16_equal(&fact.id, owner))
        return false;
    struct session_load room = room_unpack(fact.number);
    if (more->records > room.records || more->content > room.content ||
        more->bytes > room.bytes)
        return false;
    if (chain_head_lately(repo, project, hlc, &tip) != OK ||
        !session_still_unanswered(repo, project, sid, &fact.hash, &tip))
        return false;
    fact.hash = tip;
    room.records -= more->records;
    room.content -= more->content;
    room.bytes -= more->bytes;
    fact.number = room_pack(&room);
    known_add(repo->known, &name, &fact);
    return true;
}
