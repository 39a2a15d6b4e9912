/* Content that is uploaded by itself, through any front; above the chunk size it is made of a
 * few pieces that many contents have in common, so that chunks of one are there as chunks of
 * others, or as contents of their own. A slow client's first chunks are old when its last one
 * comes. */
#include "formats/base/hash.h"
#include "tests/sim/sim.h"

#define PIECE  SIM_CHUNK_SIZE
#define PIECES 8u
/* More of them than an upload puts side by side. */
#define PIECES_OF_ONE 6u
#define LINE_LEN      16u

/* So many pieces, one after the other in a ring, and a rest that is shorter. */
struct pieces {
    unsigned first;
    unsigned n;
    unsigned rest;
};

struct upload_call {
    struct call call; /* first */
    struct client *client;
    unsigned project;
    struct bytes text; /* to be uploaded; or, when it is empty: */
    struct pieces pieces;
    uint64_t slow_us; /* between two pieces, at most */
    int err;
    struct content content;
    uint64_t put_us;
};

/* --- pieces --- */

static struct pieces pieces_draw(void)
{
    struct pieces pieces = {.first = (unsigned)world_below(PIECES),
                            .n = (unsigned)world_between(1, PIECES_OF_ONE)};
    if (world_chance(4000))
        pieces.rest = LINE_LEN * (unsigned)world_between(1, 3);
    return pieces;
}

/* Piece `i`, or the rest behind all pieces. */
static void piece_make(const struct pieces *pieces, unsigned i, struct buf *out)
{
    unsigned number = (pieces->first + i) % PIECES;
    buf_clear(out);
    size_t len = i < pieces->n ? PIECE : pieces->rest;
    while (out->len < len)
        buf_printf(out, "piece %u        \n", number);
    assert(out->len == len);
}

static struct content pieces_content(const struct pieces *pieces)
{
    AUTO_BUF bytes = {0};
    struct sha256_ctx sha;
    sha256_init(&sha);
    for (unsigned i = 0; i <= pieces->n; i++) {
        piece_make(pieces, i, &bytes);
        sha256_update(&sha, buf_bytes(&bytes));
    }
    return (struct content){.kind = KIND_FILE,
                            .mode = MODE_PLAIN,
                            .size = (uint64_t)pieces->n * PIECE + pieces->rest,
                            .hash = sha256_final(&sha),
                            .carrier = CARRIER_BLOB};
}

/* --- in a front --- */

static int pieces_write(const struct upload_call *uc, struct upload *upload)
{
    AUTO_BUF bytes = {0};
    int err = OK;
    for (unsigned i = 0; i <= uc->pieces.n && err == OK; i++) {
        piece_make(&uc->pieces, i, &bytes);
        err = upload_write(upload, buf_bytes(&bytes));
        if (uc->slow_us > 0)
            task_pause(world_below(uc->slow_us));
    }
    return err;
}

static void upload_run(struct call *call, struct process *front)
{
    struct upload_call *uc = (struct upload_call *)call;
    struct oracle *oracle = &uc->client->sim->oracle;
    const struct id16 *project = &oracle->projects[uc->project].id;
    struct upload *upload = upload_open(front->repo, project);
    uc->err = uc->text.len > 0 ? upload_write(upload, uc->text) : pieces_write(uc, upload);
    if (uc->err == OK)
        uc->err = upload_finish(upload, NULL, &uc->content);
    upload_close(upload);
    if (uc->err == OK)
        uc->put_us = oracle_upload_put_us(oracle, project, &uc->content.hash);
    call_done(call);
}

/* --- of a client --- */

static bool upload(struct client *c, struct upload_call *uc, struct content *out)
{
    uint64_t slow_us = (PIECES_OF_ONE + 1) * uc->slow_us;
    struct oracle *oracle = &c->sim->oracle;
    uc->client = c;
    uc->call.run = upload_run;
    call_make(&uc->call, client_front(c), client_patience_us(0) + slow_us);
    if (uc->call.state != CALL_DONE || uc->err != OK) {
        if (uc->call.state == CALL_DONE && uc->err == ERR_CONFLICT)
            count(COUNT_UPLOAD_HELD);
        return false;
    }
    *out = uc->content;
    count(out->carrier == CARRIER_MANIFEST ? COUNT_UPLOADED_CHUNKS : COUNT_UPLOADED);
    oracle_upload_told(oracle, &oracle->projects[uc->project].id, &out->hash, uc->put_us);
    return true;
}

bool client_upload(struct client *c, unsigned project, struct bytes text, struct content *out)
{
    struct upload_call *uc = arena_new(client_arena(), struct upload_call);
    uc->project = project;
    uc->text = text;
    if (upload(c, uc, out))
        return true;
    /* It may be there all the same: a front is to see. */
    *out = (struct content){.size = text.len, .hash = sha256(text), .carrier = CARRIER_BLOB};
    return world_chance(5000);
}

void client_hoard(struct client *c)
{
    unsigned project = (unsigned)world_below(c->sim->profile.projects);
    struct content content;
    if (world_chance(3000))
        (void)client_upload_large(c, project);
    else
        (void)client_upload(c, project, client_common(), &content);
}

struct content client_upload_large(struct client *c, unsigned project)
{
    const struct profile *p = &c->sim->profile;
    struct upload_call *uc = arena_new(client_arena(), struct upload_call);
    struct content content;
    uc->project = project;
    uc->pieces = pieces_draw();
    if (p->collectors > 0 && world_chance(3000))
        uc->slow_us = 1000 * (1 + p->grace_ms / 2);
    /* Somebody has uploaded it before, most likely. */
    if (world_chance(2500) || !upload(c, uc, &content))
        content = pieces_content(&uc->pieces);
    return content;
}
