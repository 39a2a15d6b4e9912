/* How the server is: for people, for what starts and stops it, for what balances, and for what
 * keeps numbers. All of it answers without the store. */
#include <stdio.h>

#include "api/http/derive_metrics.h"
#include "api/http/metric.h"
#include "api/http/route.h"
#include "formats/base/hex.h"
#include "pipeline/repo/held_cache.h"
#include "pipeline/store/trace.h"
#include "pipeline/sys/log.h"

/* NULL: it takes writes. */
static const char *why_not(struct request *r)
{
    if (request_store_away(r))
        return "store_away";
    return repo_clock_ok(r->repo) != OK ? "clock_off" : NULL;
}

/* Which bucket it is, and who this is on it, is known when the bucket has been read. */
static void health_write(struct request *r, bool ok)
{
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_str(&w, "status", ok ? "ok" : "degraded");
    jwr_bool(&w, "accepting", ok);
    jwr_str(&w, "version", http_server_options(r->server)->version);
    if (r->repo != NULL) {
        char agent[17];
        snprintf(agent, sizeof(agent), "%016llx", (unsigned long long)r->repo->agent);
        jwr_id16(&w, "bucket", &r->repo->bucket.id);
        jwr_str(&w, "agent", agent);
    }
    jwr_decimal(&w, "hlc", request_hlc(r));
    jwr_object_end(&w);
}

void handle_health(struct request *r)
{
    health_write(r, why_not(r) == NULL);
}

void handle_ready(struct request *r)
{
    const char *why = why_not(r);
    if (why == NULL)
        health_write(r, true);
    else
        respond_error(r, 503, why, NULL, "this server takes no requests at this moment");
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

static void service_metrics(struct request *r, struct buf *text)
{
    struct service_stats stats;
    service_stats(r->service, &stats);
    metric(text, "mic_sessions_landed_total", "counter", "Landings told to clients here.",
           stats.sessions_landed);
    metric(text, "mic_sessions_conflicted_total", "counter", "Conflicts told to clients here.",
           stats.sessions_conflicted);
    metric(text, "mic_sessions_refused_total", "counter", "Refusals told to clients here.",
           stats.sessions_refused);
    metric(text, "mic_intake_groups_total", "counter", "Writes taken into the queue.",
           stats.groups_accepted);
    metric(text, "mic_intake_refused_total", "counter",
           "Writes refused because the queue is full.", stats.groups_refused);
    metric(text, "mic_intake_bytes", "gauge", "Bytes that wait to be put.", stats.intake_bytes);
    metric(text, "mic_intake_window_us", "gauge",
           "How long writes are gathered before they are put, or the store is left alone.",
           stats.intake_window_us);
    metric(text, "mic_waiters", "gauge", "Clients that wait for an answer.", stats.waiters);
}

static void cache_metrics(struct repo *repo, struct buf *text)
{
    struct held_cache_stats pages = held_cache_stats(repo->pages);
    struct held_cache_stats contents = held_cache_stats(repo->contents);
    metric(text, "mic_page_cache_hits_total", "counter", "Pages found in memory.", pages.hits);
    metric(text, "mic_page_cache_misses_total", "counter", "Pages read.", pages.misses);
    metric(text, "mic_page_cache_bytes", "gauge", "Bytes of pages in memory.", pages.bytes);
    metric(text, "mic_content_cache_hits_total", "counter", "Small contents found in memory.",
           contents.hits);
    metric(text, "mic_content_cache_misses_total", "counter", "Small contents read.",
           contents.misses);
    metric(text, "mic_content_cache_bytes", "gauge", "Bytes of small contents in memory.",
           contents.bytes);
}

void handle_metrics(struct request *r)
{
    AUTO_BUF text = {0};
    metric(&text, "mic_store_ok", "gauge", "1 when the store answers, 0 when it is away.",
           !request_store_away(r));
    metric(&text, "mic_log_errors_total", "counter",
           "Lines of level error in the log: something that an operator has to look at.",
           log_errors());
    if (r->service != NULL) {
        service_metrics(r, &text);
        cache_metrics(r->repo, &text);
        derive_metrics(r->service, &text);
    }
    if (http_server_options(r->server)->trace != NULL) {
        struct trace_counts counts =
            trace_store_counts(http_server_options(r->server)->trace, false);
        store_metrics(&text, &counts);
    }
    respond_bytes(r, 200, "text/plain; version=0.0.4", buf_bytes(&text));
}
