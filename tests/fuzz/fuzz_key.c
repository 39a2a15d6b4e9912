/* The input is a key. What parses is spelled again as it was. */
#include "formats/key.h"

#include <inttypes.h>
#include <stdio.h>

#include "formats/hlc.h"
#include "formats/path.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const char *key, struct key again)
{
    fuzz_same(bytes_str(key), bytes_str(again.s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT copy = fuzz_copy(bytes_of(data, size));
    uint64_t hlc;
    if (hlc_parse(fuzz_bytes(&copy), &hlc) == 0) {
        char again[32];
        int len = snprintf(again, sizeof(again), "%" PRIu64, hlc);
        fuzz_same(fuzz_bytes(&copy), bytes_of(again, (size_t)len));
    }
    fuzz_object_release(&copy);
    /* As text: up to the first NUL, and always with one behind it. */
    copy = (struct fuzz_object){(uint8_t *)strndup((const char *)data, size), 0};
    const char *key = (const char *)copy.data;
    uint32_t shard;
    uint64_t agent, seq, first, end;
    struct id16 session;
    struct bytes handle;
    if (key_queue_parse(key, &shard, &hlc, &agent, &seq) == 0) {
        same(key, key_queue(shard, hlc, agent, seq));
    }
    if (key_log_parse(key, &first, &end) == 0) {
        fuzz_check(first < end, "a log segment of nothing");
    }
    unsigned level;
    /* Of a project's references as of a project. */
    size_t len = strlen(key);
    if (len > 41 && strncmp(key + 41, "/refs/", 6) == 0)
        len -= 5;
    if (key_rollup_parse(key, &level, &first, &end) == 0) {
        fuzz_check(level >= 1 && level <= 3 && first < end, "a rollup of nothing");
    }
    if (key_handle_parse(key, &handle) == 0) {
        same(key, key_handle(handle));
    }
    uint64_t ms, id;
    if (key_probe_parse(key, &ms, &id) == 0) {
        same(key, key_probe(ms, id, key + 6 + 33 + 1));
    }
    if (key_session_parse(key, &session) == 0) {
        fuzz_check(len == 9 + 32 + 10 + 32 + 4, "another length");
    }
    struct hash hash;
    if (key_tree_parse(key, &hash) == 0) {
        fuzz_check(len == 9 + 32 + 7 + 3 + 64 + 4, "another length");
    }
    if (key_blob_parse(key, &hash) == 0) {
        fuzz_check(len == 9 + 32 + 7 + 3 + 64, "another length");
    }
    if (key_derive_parse(key, &agent, &seq) == 0) {
        fuzz_check(seq > 0 && strlen(key) == 9 + 32 + 8 + 16 + 1 + 16 + 4, "another length");
    }
    if (key_derive_segment_parse(key, &seq) == 0) {
        fuzz_check(seq > 0 && strlen(key) == 9 + 32 + 17 + 16 + 4, "another length");
    }
    return 0;
}
