/* Projects and their heads. */
#include "api/http/route.h"
#include "formats/base/hex.h"

static void head_fields(struct json_writer *w, const struct head_info *head)
{
    jwr_u64(w, "position", head->head.position);
    jwr_hash(w, "tree", &head->head.tree_hash);
    jwr_hash(w, "content", &head->content);
    jwr_decimal(w, "hlc", head->head.hlc);
    jwr_u64(w, "files", head->files);
    jwr_u64(w, "bytes", head->bytes);
}

void handle_project_create(struct request *r)
{
    static const char *const names[] = {"handle"};
    struct json_problem wrong = {0};
    struct json_at top;
    if (!request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct bytes handle = jrd_text(&top, "handle", JSON_REQUIRED);
    if (!jrd_ok(&top)) {
        respond_json_problem(r, &wrong);
        return;
    }
    struct id16 project;
    struct problem problem;
    if (service_project_create(r->service, &r->caller, handle, &project, &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 201, &w);
    jwr_id16(&w, "id", &project);
    jwr_text(&w, "handle", handle);
    jwr_u64(&w, "position", 0);
    jwr_object_end(&w);
}

void handle_project_list(struct request *r)
{
    uint64_t limit;
    const char *after = request_query(r, "after");
    if (!request_limit(r, STORE_LIST_MAX, 100, &limit))
        return;
    struct project_list list;
    struct problem problem;
    int err =
        project_list(r->repo, &r->arena, after == NULL ? "" : after, (size_t)limit, &list);
    if (err != OK) {
        service_problem(&problem, err, "the list of projects");
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "projects");
    for (size_t i = 0; i < list.n; i++) {
        jwr_object(&w, NULL);
        jwr_id16(&w, "id", &list.projects[i].id);
        jwr_text(&w, "handle", list.projects[i].handle);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    if (list.more)
        jwr_text(&w, "next", list.projects[list.n - 1].handle);
    jwr_object_end(&w);
}

void handle_project(struct request *r)
{
    struct project_info info;
    struct head_info head;
    struct problem problem;
    int err = project_info_get(r->repo, &r->project, &r->arena, &info);
    if (err != OK)
        service_problem(&problem, err, "the project");
    else
        err = service_head(r->service, &r->project, &head, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_id16(&w, "id", &info.id);
    jwr_text(&w, "handle", info.handle);
    jwr_decimal(&w, "created", info.hlc_created);
    jwr_object(&w, "head");
    head_fields(&w, &head);
    jwr_object_end(&w);
    jwr_object_end(&w);
}

void handle_head(struct request *r)
{
    struct head_info head;
    struct problem problem;
    if (service_head(r->service, &r->project, &head, &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    struct hash_hex etag = hash_hex(&head.head.tree_hash);
    if (respond_not_modified(r, etag.s)) {
        respond_header(r, MHD_HTTP_HEADER_ETAG, "\"%s\"", etag.s);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    respond_header(r, MHD_HTTP_HEADER_ETAG, "\"%s\"", etag.s);
    head_fields(&w, &head);
    jwr_object_end(&w);
}
