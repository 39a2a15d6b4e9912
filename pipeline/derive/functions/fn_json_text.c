#include "pipeline/derive/functions/fn_json_text.h"

#include <jansson.h>

#include "formats/base/hex.h"

const char *fn_kind_word(enum kind kind)
{
    switch (kind) {
    case KIND_FILE:
        return "file";
    case KIND_LINK:
        return "link";
    case KIND_DIR:
        return "dir";
    case KIND_NONE:
        break;
    }
    return "none";
}

static int piece_write(const char *text, size_t len, void *arg)
{
    buf_append(arg, text, len);
    return 0;
}

int fn_json_string(const struct fn_run *run, struct bytes text, struct buf *out)
{
    json_t *value = json_stringn(text.len > 0 ? (const char *)text.data : "", text.len);
    if (value == NULL)
        return fn_refuse(run, NULL, "a path is not UTF-8, so JSON cannot have it");
    int failed = json_dump_callback(value, piece_write, out, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(value);
    assert(failed == 0);
    return OK;
}

void fn_json_fields(const struct fn_entry *entry, struct buf *out)
{
    char hash[2 * sizeof(entry->hash.b) + 1];
    hex_encode(hash, entry->hash.b, sizeof(entry->hash.b));
    buf_printf(out, "\"kind\":\"%s\",\"mode\":\"%04o\",\"size\":%llu,\"hash\":\"%s\"",
               fn_kind_word(entry->kind), (unsigned)entry->mode,
               (unsigned long long)entry->size, hash);
    if (entry->kind == KIND_DIR)
        buf_printf(out, ",\"files\":%llu", (unsigned long long)entry->files);
}

int fn_json_entry(const struct fn_run *run, struct bytes path, const struct fn_entry *entry,
                  struct buf *out)
{
    buf_printf(out, "{\"path\":");
    int err = fn_json_string(run, path, out);
    if (err != OK)
        return err;
    buf_append(out, ",", 1);
    fn_json_fields(entry, out);
    buf_append(out, "}", 1);
    return OK;
}

void fn_json_library(struct buf *out)
{
    buf_printf(out, "jansson %s", jansson_version_str());
}
