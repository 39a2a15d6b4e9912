/* What a record must be, whoever made it: the bounds that its codec and everyone behind it rely
 * on. */
#include "formats/path.h"
#include "formats/record.h"

/* The first fault that was found, and the name of the field that has it. */
struct fault {
    int err;
    const char *field;
};

static void fault_set(struct fault *fault, int err, const char *field)
{
    if (fault->err == OK && err != OK)
        *fault = (struct fault){.err = err, .field = field};
}

static void text_check(struct fault *fault, const char *field, struct bytes text, size_t max)
{
    if (text.len > max)
        fault_set(fault, ERR_LIMIT, field);
    else if (!utf8_ok(text))
        fault_set(fault, ERR_INVALID, field);
}

static void base_check(struct fault *fault, uint64_t base)
{
    if (base >= BASE_END)
        fault_set(fault, ERR_LIMIT, "base");
}

static bool kind_known(enum kind kind)
{
    switch (kind) {
    case KIND_NONE:
    case KIND_FILE:
    case KIND_LINK:
    case KIND_DIR:
        return true;
    }
    return false;
}

static void seen_check(struct fault *fault, const char *field, const struct seen *seen)
{
    if (!seen->said)
        return;
    if (!kind_known(seen->kind))
        fault_set(fault, ERR_INVALID, field);
    else if (seen->kind != KIND_NONE && !mode_ok(seen->kind, seen->mode))
        fault_set(fault, ERR_INVALID, field);
}

static void content_check(struct fault *fault, const struct content *content)
{
    if (content->kind != KIND_FILE && content->kind != KIND_LINK)
        fault_set(fault, ERR_INVALID, "kind");
    else if (!mode_ok(content->kind, content->mode))
        fault_set(fault, ERR_INVALID, "mode");
    if (content->size > CONTENT_SIZE_MAX)
        fault_set(fault, ERR_LIMIT, "size");
    switch (content->carrier) {
    case CARRIER_INLINE_RAW:
        if (content->data.len != content->size)
            fault_set(fault, ERR_INVALID, "size");
        __attribute__((fallthrough));
    case CARRIER_INLINE_ZSTD:
        if (content->size > INLINE_CONTENT_MAX || content->data.len > INLINE_CONTENT_MAX)
            fault_set(fault, ERR_LIMIT, "content");
        return;
    case CARRIER_BLOB:
    case CARRIER_MANIFEST:
    case CARRIER_SOURCE:
    case CARRIER_TREE_RAW:
    case CARRIER_TREE_ZSTD:
        return;
    }
    fault_set(fault, ERR_INVALID, "content");
}

static void start_check(struct fault *fault, const struct record_start *start)
{
    text_check(fault, "key", start->key, KEY_LEN_MAX);
    base_check(fault, start->base);
    text_check(fault, "author", start->author, AUTHOR_LEN_MAX);
    text_check(fault, "goal", start->goal, GOAL_LEN_MAX);
    if (start->n_attributes > UINT16_MAX) {
        fault_set(fault, ERR_LIMIT, "attributes");
        return;
    }
    size_t total = 0;
    for (uint32_t i = 0; i < start->n_attributes; i++) {
        text_check(fault, "attributes", start->attributes[i].name, ATTR_NAME_MAX);
        total += start->attributes[i].value.len;
        if (start->attributes[i].value.len > TEXT_LEN_MAX || total > REQUEST_MAX / 2)
            fault_set(fault, ERR_LIMIT, "attributes");
    }
}

static void operation_check(struct fault *fault, const struct record_operation *operation)
{
    base_check(fault, operation->base);
    fault_set(fault, path_check(operation->path, NULL), "path");
    seen_check(fault, "seen", &operation->seen);
    switch (operation->op) {
    case OP_WRITE:
        content_check(fault, &operation->content);
        return;
    case OP_DELETE:
        return;
    case OP_RENAME:
        fault_set(fault, path_check(operation->target, NULL), "target");
        /* It would be two effects on one path. */
        if (bytes_equal(operation->path, operation->target))
            fault_set(fault, ERR_INVALID, "target");
        seen_check(fault, "target_seen", &operation->target_seen);
        content_check(fault, &operation->content);
        return;
    }
    fault_set(fault, ERR_INVALID, "op");
}

static void land_check(struct fault *fault, const struct record *record)
{
    if (record->land.n == 0)
        fault_set(fault, ERR_INVALID, "sessions");
    if (record->land.n > SERIES_MAX) {
        fault_set(fault, ERR_LIMIT, "sessions");
        return;
    }
    size_t total = 0;
    for (uint32_t i = 0; i < record->land.n; i++) {
        const struct record_land_item *item = &record->land.items[i];
        total += sizeof(item->session) + item->n * sizeof(struct id16);
        if (item->n > SESSION_RECORDS_MAX || total > REQUEST_MAX / 2) {
            fault_set(fault, ERR_LIMIT, "records");
            return;
        }
        for (uint32_t k = 1; k < item->n; k++) {
            if (id16_compare(&item->records[k - 1], &item->records[k]) >= 0)
                fault_set(fault, ERR_INVALID, "records");
        }
    }
}

static void fields_check(struct fault *fault, const struct record *record)
{
    switch (record->kind) {
    case RECORD_START:
        start_check(fault, &record->start);
        return;
    case RECORD_OPERATION:
        operation_check(fault, &record->operation);
        return;
    case RECORD_GUARD:
        base_check(fault, record->guard.base);
        if (record->guard.path.len > 0)
            fault_set(fault, path_check(record->guard.path, NULL), "path");
        seen_check(fault, "seen", &record->guard.seen);
        return;
    case RECORD_DECISION:
        text_check(fault, "text", record->decision, TEXT_LEN_MAX);
        return;
    case RECORD_CONVERSATION:
        text_check(fault, "role", record->conversation.role, ROLE_LEN_MAX);
        text_check(fault, "text", record->conversation.text, TEXT_LEN_MAX);
        return;
    case RECORD_REBASE:
        base_check(fault, record->rebase);
        return;
    case RECORD_ABANDON:
        text_check(fault, "reason", record->abandon, TEXT_LEN_MAX);
        return;
    case RECORD_LAND:
        land_check(fault, record);
        return;
    }
    fault_set(fault, ERR_INVALID, "kind");
}

int record_check(const struct record *record, const char **field)
{
    struct fault fault = {.err = OK};
    fields_check(&fault, record);
    if (fault.err != OK && field != NULL)
        *field = fault.field;
    return fault.err;
}
