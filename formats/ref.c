#include "formats/ref.h"

#include "formats/base/hash.h"
#include "formats/base/wire.h"
#include "formats/path.h"

#define VERSION 1u

static const char magic[4] = "MREF";

void ref_encode(const struct hash *address, struct buf *out)
{
    size_t at = envelope_begin(out, magic, VERSION);
    wr_hash(out, address);
    envelope_close(out, at);
}

int ref_decode(struct bytes in, struct hash *address)
{
    struct reader r;
    int err = envelope_open(in, magic, VERSION, &r);
    if (err != OK)
        return err;
    struct hash bound = rd_hash(&r);
    err = rd_end(&r);
    if (err == OK && hash_is_zero(&bound))
        err = ERR_CORRUPT;
    if (err == OK)
        *address = bound;
    return err;
}

struct seen ref_seen(const struct hash *address)
{
    AUTO_BUF bytes = {0};
    if (address == NULL)
        return (struct seen){.said = true, .kind = KIND_NONE};
    ref_encode(address, &bytes);
    return (struct seen){
        .said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = sha256(buf_bytes(&bytes))};
}

bool ref_is_head(struct bytes name)
{
    return bytes_equal(name, bytes_str("head"));
}

int ref_name_check(struct bytes name, const char **why)
{
    static const char log[] = "/log";
    size_t len = sizeof(log) - 1;
    const char *wrong = NULL;
    if (name.len == 0)
        wrong = "is empty";
    else if (ref_is_head(name) || path_below(name, bytes_str("head")))
        wrong = "is the project's own tree, which is not bound";
    else if (name.len > len && memcmp(name.data + name.len - len, log, len) == 0)
        wrong = "ends in /log, which stands for a ref's history";
    if (wrong == NULL)
        return path_check(name, why);
    if (why != NULL)
        *why = wrong;
    return ERR_INVALID;
}
