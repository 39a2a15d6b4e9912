#include "pipeline/repo/tree/tree_build.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/page.h"

void tree_build_init(struct tree_build *b)
{
    *b = (struct tree_build){0};
    tree_header_write(&b->bytes);
}

void tree_build_release(struct tree_build *b)
{
    buf_release(&b->bytes);
    buf_release(&b->records);
    buf_release(&b->ids);
}

int tree_build_add(struct tree_build *b, struct bytes data, uint32_t *offset)
{
    if (data.len > TREE_OBJECT_MAX - b->bytes.len) {
        return ERR_LIMIT;
    }
    *offset = (uint32_t)b->bytes.len;
    buf_append_bytes(&b->bytes, data);
    return 0;
}

int tree_build_record(struct tree_build *b, struct landing *landing)
{
    size_t before = b->records.len;
    wr_u32(&b->records, 0);
    landing_encode(landing, &b->records);
    if (b->records.len > RECORDS_MAX) {
        b->records.len = before;
        return ERR_LIMIT;
    }
    uint32_t len = (uint32_t)(b->records.len - before - sizeof(uint32_t));
    for (unsigned i = 0; i < sizeof(len); i++) {
        b->records.data[before + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    struct tree_id id = {
        .session = landing->session,
        .request = landing->request,
        .verdict = landing->verdict,
        .closes = landing->closes,
        .offset = (uint32_t)before,
    };
    tree_id_write(&b->ids, &id);
    b->n_records++;
    return 0;
}

static int section_add(struct tree_build *b, struct bytes data, struct hash hash,
                       struct section *out)
{
    uint32_t offset;
    int err = tree_build_add(b, data, &offset);
    if (err == 0) {
        *out = (struct section){.offset = offset, .len = (uint32_t)data.len, .hash = hash};
    }
    return err;
}

int tree_build_finish(struct tree_build *b, struct bytes root_page, struct footer *footer,
                      struct hash *tree)
{
    struct bytes records = buf_bytes(&b->records);
    struct bytes ids = buf_bytes(&b->ids);
    int err = section_add(b, records, sha256(records), &footer->records);
    if (err == 0) {
        footer->n_records = b->n_records;
        err = section_add(b, ids, sha256(ids), &footer->ids);
    }
    if (err == 0) {
        err = section_add(b, root_page, page_hash(root_page), &footer->root);
    }
    if (err != 0) {
        return err;
    }
    if (footer->n_companions > COMPANIONS_MAX) {
        return ERR_LIMIT;
    }
    AUTO_BUF bytes = {0};
    footer_encode(footer, &bytes);
    struct hash name = sha256(buf_bytes(&bytes));
    tree_trailer_write(&bytes, (uint32_t)bytes.len);
    uint32_t offset;
    err = tree_build_add(b, buf_bytes(&bytes), &offset);
    if (err == 0) {
        *tree = name;
    }
    return err;
}
