#include "formats/head.h"

#include "formats/base/err.h"
#include "formats/base/wire.h"

static void put_u64(uint8_t *out, uint64_t n)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(n >> (56 - 8 * i));
    }
}

void head_encode(const struct head *head, uint8_t out[HEAD_LEN])
{
    put_u64(out, head->position);
    memcpy(out + 8, head->tree_hash.b, sizeof(head->tree_hash.b));
    put_u64(out + 40, head->hlc);
}

int head_decode(struct bytes in, struct head *out)
{
    struct reader r;
    rd_init(&r, in);
    struct head head;
    head.position = rd_u64(&r);
    head.tree_hash = rd_hash(&r);
    head.hlc = rd_u64(&r);
    if (rd_end(&r) != 0 || hash_is_zero(&head.tree_hash)) {
        return ERR_CORRUPT;
    }
    *out = head;
    return 0;
}
