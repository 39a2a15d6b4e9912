/* The input is the body of a log segment. It is decoded, and read through: what can be decoded
 * can be read through, and has the same entries. */
#include "formats/log_scan.h"
#include "formats/log_segment.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void entry_same(struct log_scan *scan, const struct log_scan_entry *got,
                       const struct log_entry *want)
{
    fuzz_check(got->verdict == want->verdict && got->position == want->position &&
                   id16_equal(&got->session, &want->session) &&
                   got->n_effects == want->n_effects,
               "another entry");
    for (uint32_t i = 0; i < want->n_effects; i++) {
        const struct log_effect *effect = &want->effects[i];
        struct log_scan_effect found;
        fuzz_check(log_scan_effect(scan, &found) == OK, "an effect is missing");
        fuzz_check(found.kind == effect->kind && bytes_equal(found.path, effect->path),
                   "another effect");
        fuzz_check(effect->kind != EFFECT_WRITE || hash_equal(&found.hash, &effect->hash),
                   "another content");
    }
}

/* All of it, and with `want` against what was decoded. */
static void read_through(struct bytes in, const struct log_segment *want)
{
    struct log_scan scan;
    struct log_scan_entry entry;
    uint32_t n = 0;
    int err = log_scan_open(in, &scan);
    for (; err == OK; n++) {
        err = log_scan_entry(&scan, &entry);
        if (err == OK && want != NULL)
            entry_same(&scan, &entry, &want->entries[n]);
    }
    fuzz_check(err == ERR_CORRUPT || err == ERR_NOT_FOUND, "another error");
    fuzz_check(want == NULL || (err == ERR_NOT_FOUND && n == want->n + 1), "not read through");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MLOG", 1, bytes_of(data, size));
    struct arena arena = {0};
    struct log_segment segment;
    if (log_segment_decode(fuzz_bytes(&object), &arena, &segment) == OK) {
        AUTO_BUF again = {0};
        log_segment_encode(&segment, &arena, &again);
        fuzz_same(fuzz_bytes(&object), buf_bytes(&again));
        read_through(fuzz_bytes(&object), &segment);
    } else {
        read_through(fuzz_bytes(&object), NULL);
    }
    arena_release(&arena);
    return 0;
}
