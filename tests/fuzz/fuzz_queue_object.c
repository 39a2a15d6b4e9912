/* The input is the body of a queue object. */
#include "formats/queue_object.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MQUE", 1, bytes_of(data, size));
    struct arena arena = {0};
    struct queue_object queue;
    if (queue_object_decode(fuzz_bytes(&object), &arena, &queue) == OK) {
        AUTO_BUF again = {0};
        queue_object_begin(&again, queue.hlc, queue.agent, queue.seq);
        for (uint32_t i = 0; i < queue.n; i++)
            queue_group_write(&again, &queue.groups[i]);
        queue_object_finish(&again, queue.n);
        fuzz_same(fuzz_bytes(&object), buf_bytes(&again));
    }
    arena_release(&arena);
    return 0;
}
