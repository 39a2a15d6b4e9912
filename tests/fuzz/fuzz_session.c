/* The input is the body of a session. What decodes is encoded again, folded into an empty
 * session twice, and viewed. */
#include "formats/session.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fold(const struct session *session, struct arena *arena)
{
    struct session folded = {
        .id = session->id, .project = session->project, .owner = session->owner};
    size_t n = session_merge(&folded, arena, session->records, session->n_records);
    fuzz_check(n == folded.n_records, "new records are miscounted");
    n = session_merge(&folded, arena, session->records, session->n_records);
    fuzz_check(n == 0, "a record was new twice");
}

static void view(const struct session *session, struct arena *arena)
{
    struct session_view view;
    session_view(session, arena, &view);
    for (size_t i = 0; i < view.n_effects; i++) {
        const struct effect *effect = &view.effects[i];
        fuzz_check(i == 0 || bytes_compare(effect[-1].path, effect->path) < 0,
                   "effects are out of order");
    }
    for (size_t i = 1; i < view.n_guards; i++)
        fuzz_check(bytes_compare(view.guards[i - 1]->guard.path, view.guards[i]->guard.path) <
                       0,
                   "guards are out of order");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MSES", 1, bytes_of(data, size));
    struct arena arena = {0};
    struct session session;
    if (session_decode(fuzz_bytes(&object), &arena, &session) == OK) {
        AUTO_BUF again = {0};
        session_encode(&session, &again);
        fuzz_same(fuzz_bytes(&object), buf_bytes(&again));
        fold(&session, &arena);
        view(&session, &arena);
    }
    arena_release(&arena);
    return 0;
}
