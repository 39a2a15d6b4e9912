#include "tests/support/plant.h"

#include <check.h>

#include "formats/base/hash.h"
#include "pipeline/repo/tree/snapshot.h"

void plant_begin(struct plant *p, struct forge *f)
{
    *p = (struct plant){.forge = f};
    ck_assert_int_eq(chain_head(&f->repo, &f->project, &p->head, &p->etag), OK);
    ck_assert_int_eq(chain_tip(&f->repo, &f->project, &p->head, &p->tip), OK);
    struct tree tree = chain_tree(&f->repo, &f->project, p->tip);
    p->edit = tree_edit_open(&tree);
    tree_build_init(&p->build);
    footer_follow(&p->footer, &p->tip->footer, &p->tip->tree_hash);
    p->footer.hlc = repo_hlc(&f->repo);
    p->footer.agent = f->repo.agent;
    p->position = p->head.position;
}

static struct id16 request_of(const struct plant *p)
{
    uint64_t number = p->position;
    struct bytes parts[] = {bytes_of(&number, sizeof(number))};
    return id16_derive("planted request", parts, ARRAY_LEN(parts));
}

struct landing plant_landing(struct plant *p, const char *name, const char *path,
                             const char *text)
{
    struct draft draft = draft_open(p->forge, "ann", name, p->head.position);
    draft_write(&draft, path, text, NULL);
    struct session *session = &draft.session;
    struct content *content = &session->records[1].operation.content;
    ck_assert_int_eq(content->carrier, CARRIER_INLINE_RAW);
    ck_assert_int_eq(tree_build_add(&p->build, content->data, &content->offset), OK);
    content->len = (uint32_t)content->data.len;
    content->carrier = CARRIER_TREE_RAW;
    p->position++;
    session->state = SESSION_LANDED;
    session->position = p->position;
    return (struct landing){.verdict = VERDICT_LANDED,
                            .closes = true,
                            .session = session->id,
                            .request = request_of(p),
                            .owner = session->owner,
                            .hlc = repo_hlc(&p->forge->repo),
                            .position = p->position,
                            .has_session = true,
                            .landed = *session};
}

void plant_apply(struct plant *p, const struct landing *landing, uint64_t stamp)
{
    static const struct hash self;
    struct session_view view;
    session_view(&landing->landed, &p->arena, &view);
    ck_assert_int_eq(snapshot_apply(p->edit, &view, &self, stamp), OK);
}

void plant_record(struct plant *p, struct landing *landing)
{
    ck_assert_int_eq(tree_build_record(&p->build, landing), OK);
}

void plant_answer(struct plant *p, const struct id16 *session, const struct id16 *request,
                  enum verdict verdict)
{
    struct landing landing = {.verdict = verdict,
                              .session = *session,
                              .request = *request,
                              .owner = owner_of(bytes_str("ann")),
                              .hlc = repo_hlc(&p->forge->repo),
                              .position = p->position,
                              .reason = bytes_str("planted")};
    plant_record(p, &landing);
}

static void root_change(struct plant *p, struct buf *root)
{
    static const struct hash self;
    struct page page;
    struct bytes bytes = arena_copy(&p->arena, buf_bytes(root));
    ck_assert_int_eq(page_decode(bytes, &self, &p->arena, &page), OK);
    p->root(&page, &p->footer);
    buf_clear(root);
    ck_assert_int_eq(page_encode(&page, root), OK);
}

void plant_end(struct plant *p)
{
    struct forge *f = p->forge;
    AUTO_BUF root = {0};
    struct footer sealed = {0};
    p->footer.position = p->footer.first + (p->position - p->head.position);
    ck_assert_int_eq(tree_edit_seal(p->edit, &p->build, &root, &sealed), OK);
    p->footer.files += sealed.files;
    p->footer.bytes += sealed.bytes;
    p->footer.root_content = sealed.root_content;
    if (p->root != NULL)
        root_change(p, &root);
    ck_assert_int_eq(tree_build_finish(&p->build, buf_bytes(&root), &p->footer, &p->tree), OK);
    p->key = key_tree(&f->project, &p->tree);
    ck_assert_int_eq(
        store_put(f->trace, p->key.s, buf_bytes(&p->build.bytes), PUT_IF_ABSENT, NULL), OK);
    struct head head = {
        .position = p->footer.position, .tree_hash = p->tree, .hlc = p->footer.hlc};
    uint8_t bytes[HEAD_LEN];
    head_encode(&head, bytes);
    struct key key = key_head(&f->project);
    ck_assert_int_eq(
        store_put(f->trace, key.s, bytes_of(bytes, sizeof(bytes)), PUT_IF_MATCH, &p->etag), OK);
    chain_drop(&f->repo, p->tip);
    tree_edit_close(p->edit);
    tree_build_release(&p->build);
    arena_release(&p->arena);
}
