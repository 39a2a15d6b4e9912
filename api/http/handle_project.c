/* Projects, their heads, health and metrics. */
#include <stdio.h>

#include "api/http/route.h"
#include "formats/base/hex.h"
#include "pipeline/repo/held_cache.h"
#include "pipeline/store/trace.h"

static void head_fields(struct json_writer *w, const struct head_info *head)
{
    jwr_u64(w, "position", head->head.position);
    jwr_hash(w, "tree", &head->head.tree_hash);
    jwr_hash(w, "content", &head->content);
    jwr_decimal(w, "hlc", head->head.hlc);
    jwr_u64(w, "files", head->files);
    jwr_u64(w, "bytes", head->bytes);
}

void handle_health(struct request *r)
{
    struct service_stats stats;
    struct json_writer w;
    service_stats(r->service, &stats);
    bool clock_ok = repo_clock_ok(r->repo) == OK;
    char agent[17];
    snprintf(agent, sizeof(agent), "%016llx", (unsigned long long)r->repo->agent);
    respond_json(r, 200, &w);
    jwr_str(&w, "status", stats.store_ok && clock_ok ? "ok" : "degraded");
    jwr_bool(&w, "accepting", stats.store_ok && clock_ok);
    jwr_str(&w, "version", http_server_options(r->server)->version);
    jwr_id16(&w, "bucket", &r->repo->bucket.id);
    jwr_str(&w, "agent", agent);
    jwr_decimal(&w, "hlc", repo_hlc(r->repo));
    jwr_object_end(&w);
}

static void metric(struct buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)value);
}

/* Requests to the store by what they touched. */
static void store_metrics(struct buf *out, const struct trace_counts *counts)
{
    const char *name = "mic_store_requests_total";
    buf_printf(out, "# HELP %s Requests to the store.\n# TYPE %s counter\n", name, name);
    for (int kind = 0; kind < TRACE_KINDS; kind++) {
        const char *what = trace_kind_name((enum trace_kind)kind);
        buf_printf(out, "%s{verb=\"get\",kind=\"%s\"} %llu\n", name, what,
                   (unsigned long long)counts->gets[kind]);
        buf_printf(out, "%s{verb=\"put\",kind=\"%s\"} %llu\n", name, what,
                   (unsigned long long)counts->puts[kind]);
        buf_printf(out, "%s{verb=\"delete\",kind=\"%s\"} %llu\n", name, what,
                   (unsigned long long)counts->deletes[kind]);
    }
    buf_printf(out, "%s{verb=\"list\",kind=\"all\"} %llu\n", name,
               (unsigned long long)counts->lists);
    metric(out, "mic_store_put_bytes_total", "counter", "Bytes put.", counts->bytes_in);
    metric(out, "mic_store_get_bytes_total", "counter", "Bytes got.", counts->bytes_out);
    metric(out, "mic_store_failed_total", "counter", "Requests that the store did not do.",
           counts->failed);
}

void handle_metrics(struct request *r)
{
    struct service_stats stats;
    AUTO_BUF text = {0};
    service_stats(r->service, &stats);
    struct held_cache_stats pages = held_cache_stats(r->repo->pages);
    struct held_cache_stats contents = held_cache_stats(r->repo->contents);
    metric(&text, "mic_sessions_landed_total", "counter", "Landings told to clients here.",
           stats.sessions_landed);
    metric(&text, "mic_sessions_conflicted_total", "counter", "Conflicts told to clients here.",
           stats.sessions_conflicted);
    metric(&text, "mic_sessions_refused_total", "counter", "Refusals told to clients here.",
           stats.sessions_refused);
    metric(&text, "mic_intake_groups_total", "counter", "Writes taken into the queue.",
           stats.groups_accepted);
    metric(&text, "mic_intake_refused_total", "counter",
           "Writes refused because the queue is full.", stats.groups_refused);
    metric(&text, "mic_intake_bytes", "gauge", "Bytes that wait to be put.",
           stats.intake_bytes);
    metric(&text, "mic_waiters", "gauge", "Clients that wait for an answer.", stats.waiters);
    metric(&text, "mic_page_cache_hits_total", "counter", "Pages found in memory.", pages.hits);
    metric(&text, "mic_page_cache_misses_total", "counter", "Pages read.", pages.misses);
    metric(&text, "mic_page_cache_bytes", "gauge", "Bytes of pages in memory.", pages.bytes);
    metric(&text, "mic_content_cache_hits_total", "counter", "Small contents found in memory.",
           contents.hits);
    metric(&text, "mic_content_cache_misses_total", "counter", "Small contents read.",
           contents.misses);
    metric(&text, "mic_content_cache_bytes", "gauge", "Bytes of small contents in memory.",
           contents.bytes);
    metric(&text, "mic_store_ok", "gauge", "1 when the last round with the store went well.",
           stats.store_ok);
    if (http_server_options(r->server)->trace != NULL) {
        struct trace_counts counts =
            trace_store_counts(http_server_options(r->server)->trace, false);
        store_metrics(&text, &counts);
    }
    respond_bytes(r, 200, "text/plain; version=0.0.4", buf_bytes(&text));
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
