/* The input is a byte that chooses one of the small objects, and its body. */
#include "formats/bucket.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_one_bucket(struct bytes in, struct buf *out)
{
    struct bucket bucket;
    if (bucket_decode(in, &bucket) == 0) {
        bucket_encode(&bucket, out);
        fuzz_same(in, buf_bytes(out));
    }
}

static void fuzz_one_project(struct bytes in, struct buf *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info project;
    if (project_info_decode(in, &arena, &project) == 0) {
        project_info_encode(&project, out);
        fuzz_same(in, buf_bytes(out));
    }
}

static void fuzz_one_handle(struct bytes in, struct buf *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info project;
    if (handle_decode(in, &arena, &project) == 0) {
        handle_encode(&project, out);
        fuzz_same(in, buf_bytes(out));
    }
}

static void fuzz_one_probe_note(struct bytes in, struct buf *out)
{
    struct probe_note note;
    if (probe_note_decode(in, &note) == 0) {
        probe_note_encode(&note, out);
        fuzz_same(in, buf_bytes(out));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        char magic[5];
        void (*run)(struct bytes, struct buf *);
    } objects[] = {
        {"MBUC", fuzz_one_bucket},
        {"MPRJ", fuzz_one_project},
        {"MHND", fuzz_one_handle},
        {"MPRB", fuzz_one_probe_note},
    };
    if (size == 0) {
        return 0;
    }
    size_t i = data[0] % ARRAY_LEN(objects);
    AUTO_FUZZ_OBJECT in = fuzz_envelope(objects[i].magic, 1, bytes_of(data + 1, size - 1));
    AUTO_BUF out = {0};
    objects[i].run(fuzz_bytes(&in), &out);
    return 0;
}
