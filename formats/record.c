#include "formats/record.h"

#define ATTRIBUTE_MIN 5u  /* bytes of the shortest attribute: two empty runs */
#define LAND_ITEM_MIN 20u /* least bytes of a session in a land */

/* ---- writing ---- */

static void start_write(struct buf *out, const struct record_start *start)
{
    assert(start->n_attributes <= UINT16_MAX);
    wr_run8(out, start->key);
    wr_u64(out, start->base);
    wr_run8(out, start->author);
    wr_run32(out, start->goal);
    wr_u16(out, (uint16_t)start->n_attributes);
    for (uint32_t i = 0; i < start->n_attributes; i++) {
        wr_run8(out, start->attributes[i].name);
        wr_run32(out, start->attributes[i].value);
    }
}

static void operation_write(struct buf *out, const struct record_operation *operation)
{
    wr_u8(out, (uint8_t)operation->op);
    wr_u64(out, operation->base);
    wr_run16(out, operation->path);
    seen_write(out, &operation->seen);
    switch (operation->op) {
    case OP_WRITE:
        content_write(out, &operation->content);
        break;
    case OP_DELETE:
        break;
    case OP_RENAME:
        wr_run16(out, operation->target);
        seen_write(out, &operation->target_seen);
        content_write(out, &operation->content);
        break;
    }
}

static void land_write(struct buf *out, const struct record *record)
{
    wr_u8(out, record->land.whole);
    wr_u32(out, record->land.n);
    for (uint32_t i = 0; i < record->land.n; i++) {
        const struct record_land_item *item = &record->land.items[i];
        wr_id16(out, &item->session);
        wr_u32(out, item->n);
        for (uint32_t k = 0; k < item->n; k++)
            wr_id16(out, &item->records[k]);
    }
}

static void fields_write(struct buf *out, const struct record *record)
{
    switch (record->kind) {
    case RECORD_START:
        start_write(out, &record->start);
        break;
    case RECORD_OPERATION:
        operation_write(out, &record->operation);
        break;
    case RECORD_GUARD:
        wr_u64(out, record->guard.base);
        wr_run16(out, record->guard.path);
        seen_write(out, &record->guard.seen);
        break;
    case RECORD_DECISION:
        wr_run32(out, record->decision);
        break;
    case RECORD_CONVERSATION:
        wr_run8(out, record->conversation.role);
        wr_run32(out, record->conversation.text);
        break;
    case RECORD_REBASE:
        wr_u64(out, record->rebase);
        break;
    case RECORD_ABANDON:
        wr_run32(out, record->abandon);
        break;
    case RECORD_LAND:
        land_write(out, record);
        break;
    }
}

void record_payload(const struct record *record, struct buf *out)
{
    wr_u8(out, (uint8_t)record->kind);
    fields_write(out, record);
}

void record_write(struct buf *out, const struct record *record)
{
    wr_id16(out, &record->id);
    wr_u64(out, record->hlc);
    wr_u8(out, (uint8_t)record->kind);
    size_t at = out->len;
    wr_u32(out, 0);
    fields_write(out, record);
    size_t len = out->len - at - 4;
    assert(len <= REQUEST_MAX);
    wr_u32_at(out, at, (uint32_t)len);
}

/* ---- reading ---- */

static struct record_start start_read(struct reader *r, struct arena *arena)
{
    struct record_start start = {0};
    start.key = rd_run8(r, KEY_LEN_MAX);
    start.base = rd_u64(r);
    start.author = rd_run8(r, AUTHOR_LEN_MAX);
    start.goal = rd_run32(r, GOAL_LEN_MAX);
    uint32_t n = rd_u16(r);
    if (n > rd_left(r) / ATTRIBUTE_MIN)
        rd_fail(r, ERR_CORRUPT);
    if (rd_error(r) != OK)
        return start;
    start.attributes = arena_array(arena, n, struct attribute);
    start.n_attributes = n;
    for (uint32_t i = 0; i < n; i++) {
        start.attributes[i].name = rd_run8(r, ATTR_NAME_MAX);
        start.attributes[i].value = rd_run32(r, TEXT_LEN_MAX);
    }
    return start;
}

static struct record_operation operation_read(struct reader *r)
{
    struct record_operation operation = {0};
    operation.op = (enum op)rd_u8(r);
    operation.base = rd_u64(r);
    operation.path = rd_run16(r, PATH_LEN_MAX);
    operation.seen = seen_read(r);
    switch (operation.op) {
    case OP_WRITE:
        operation.content = content_read(r);
        return operation;
    case OP_DELETE:
        return operation;
    case OP_RENAME:
        operation.target = rd_run16(r, PATH_LEN_MAX);
        operation.target_seen = seen_read(r);
        operation.content = content_read(r);
        return operation;
    }
    rd_fail(r, ERR_CORRUPT);
    return operation;
}

static void land_read(struct reader *r, struct arena *arena, struct record *record)
{
    record->land.whole = rd_bool(r);
    uint32_t n = rd_count(r, LAND_ITEM_MIN, SERIES_MAX);
    record->land.items = arena_array(arena, n, struct record_land_item);
    record->land.n = n;
    for (uint32_t i = 0; i < n && rd_error(r) == OK; i++) {
        struct record_land_item *item = &record->land.items[i];
        item->session = rd_id16(r);
        item->n = rd_count(r, sizeof(struct id16), SESSION_RECORDS_MAX);
        item->records = arena_array(arena, item->n, struct id16);
        for (uint32_t k = 0; k < item->n; k++)
            item->records[k] = rd_id16(r);
    }
}

/* Reads the payload's fields into `record`, whose kind is any byte. */
static void fields_read(struct reader *r, struct arena *arena, struct record *record)
{
    switch (record->kind) {
    case RECORD_START:
        record->start = start_read(r, arena);
        return;
    case RECORD_OPERATION:
        record->operation = operation_read(r);
        return;
    case RECORD_GUARD:
        record->guard.base = rd_u64(r);
        record->guard.path = rd_run16(r, PATH_LEN_MAX);
        record->guard.seen = seen_read(r);
        return;
    case RECORD_DECISION:
        record->decision = rd_run32(r, TEXT_LEN_MAX);
        return;
    case RECORD_CONVERSATION:
        record->conversation.role = rd_run8(r, ROLE_LEN_MAX);
        record->conversation.text = rd_run32(r, TEXT_LEN_MAX);
        return;
    case RECORD_REBASE:
        record->rebase = rd_u64(r);
        return;
    case RECORD_ABANDON:
        record->abandon = rd_run32(r, TEXT_LEN_MAX);
        return;
    case RECORD_LAND:
        land_read(r, arena, record);
        return;
    }
    rd_fail(r, ERR_CORRUPT);
}

struct record record_read(struct reader *r, struct arena *arena)
{
    struct record record = {0};
    record.id = rd_id16(r);
    record.hlc = rd_u64(r);
    record.kind = (enum record_kind)rd_u8(r);
    struct bytes payload = rd_run32(r, REQUEST_MAX);
    if (rd_error(r) != OK)
        return record;
    struct reader fields;
    rd_init(&fields, payload);
    fields_read(&fields, arena, &record);
    int err = rd_end(&fields);
    if (err == OK)
        err = record_check(&record, NULL);
    if (err != OK)
        rd_fail(r, err);
    return record;
}
