/* The input is the body of a landing record. A session inside has a checksum of its own, which
 * is mended first. What decodes is encoded again, and becomes a log segment that must decode,
 * too. */
#include "formats/base/hash.h"
#include "formats/log_segment.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void session_mend(uint8_t *data, size_t size)
{
    static const char magic[8] = "MSES\0\1\0";
    uint8_t *found = size < 4 ? NULL : memmem(data + 4, size - 4, magic, sizeof(magic));
    if (found == NULL)
        return;
    struct reader r;
    rd_init(&r, bytes_of(found - 4, 4));
    size_t len = rd_u32(&r);
    size_t left = size - (size_t)(found - data);
    if (len < ENVELOPE_LEN || len > left)
        return;
    uint64_t checksum = xxh3_64(bytes_of(found + ENVELOPE_LEN, len - ENVELOPE_LEN));
    for (size_t i = 0; i < 8; i++)
        found[8 + i] = (uint8_t)(checksum >> (56 - 8 * i));
}

static void log_it(const struct landing *landing, struct arena *arena)
{
    struct hash tree = {{1}};
    struct log_entry entry;
    if (landing->verdict != VERDICT_LANDED || landing->position == 0 ||
        landing->position == UINT64_MAX || log_entry_of(landing, &tree, arena, &entry) != OK)
        return;
    struct log_segment segment = {
        .first = landing->position, .end = landing->position + 1, .entries = &entry, .n = 1};
    AUTO_BUF out = {0};
    log_segment_encode(&segment, arena, &out);
    struct log_segment again;
    fuzz_check(log_segment_decode(buf_bytes(&out), arena, &again) == OK,
               "the log of a landing does not decode");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT body = fuzz_copy(bytes_of(data, size));
    session_mend(body.data, body.len);
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MLRC", 1, fuzz_bytes(&body));
    struct arena arena = {0};
    struct landing landing;
    if (landing_decode(fuzz_bytes(&object), &arena, &landing) == OK) {
        AUTO_BUF again = {0};
        landing_encode(&landing, &again);
        fuzz_same(fuzz_bytes(&object), buf_bytes(&again));
        log_it(&landing, &arena);
    }
    arena_release(&arena);
    return 0;
}
