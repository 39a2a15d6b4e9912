#include "api/http/derive_metrics.h"

#include "api/http/metric.h"

static void run_metrics(const struct executor_stats *runs, struct buf *out)
{
    metric(out, "mic_derive_gets_total", "counter", "Results that were asked for.", runs->gets);
    metric(out, "mic_derive_gets_known_total", "counter",
           "Of these: known and in the cache, without looking at what they are computed from.",
           runs->fast);
    metric(out, "mic_derive_runs_total", "counter", "Runs of functions.", runs->runs);
    metric(out, "mic_derive_runs_failed_total", "counter", "Of these: failed.", runs->failed);
    metric(out, "mic_derive_runs_stopped_total", "counter",
           "Of these: stopped, for nobody waited for them any more.", runs->stopped);
    metric(out, "mic_derive_shared_total", "counter",
           "Recipes that found a run of theirs under way.", runs->shared);
    metric(out, "mic_derive_memo_hits_total", "counter", "Recipes whose result was known.",
           runs->hits);
    metric(out, "mic_derive_memo_misses_total", "counter",
           "Recipes whose result was not known.", runs->misses);
    metric(out, "mic_derive_recomputed_total", "counter",
           "Runs for bytes that were no longer in the cache.", runs->recomputed);
    metric(out, "mic_derive_verified_total", "counter", "Runs that were verified.",
           runs->verified);
    metric(out, "mic_derive_verify_passed_total", "counter", "Of these: gave the same.",
           runs->verify_passed);
    metric(out, "mic_derive_verify_failed_total", "counter",
           "Of these: gave two results. The function is quarantined.", runs->verify_failed);
    metric(out, "mic_derive_depth", "gauge", "Depth of what was asked for last.",
           runs->depth_last);
    metric(out, "mic_derive_running", "gauge", "Functions that run.", runs->running);
    metric(out, "mic_derive_waiting", "gauge", "Runs that wait for a slot.", runs->waiting);
    metric(out, "mic_derive_in_flight_bytes", "gauge",
           "Bytes of inputs and results of what runs.", runs->in_flight);
}

static void result_metrics(const struct result_cache_stats *results, struct buf *out)
{
    metric(out, "mic_derive_cache_hits_total", "counter", "Results found in the cache.",
           results->hits);
    metric(out, "mic_derive_cache_misses_total", "counter", "Results not found there.",
           results->misses);
    metric(out, "mic_derive_cache_entries", "gauge", "Results in the cache.", results->entries);
    metric(out, "mic_derive_cache_bytes", "gauge", "Bytes of these.", results->bytes);
    metric(out, "mic_derive_cache_pinned", "gauge", "Of these: pinned.", results->pinned);
    metric(out, "mic_derive_cache_evictions_total", "counter",
           "Results that left memory or disk for want of room.",
           results->ram.evictions + results->disk.evictions);
    metric(out, "mic_derive_cache_damaged_total", "counter",
           "Files of results that were not what they should be, and were removed.",
           results->damaged);
}

static void latency_metric(void *arg, const struct executor_latency *latency)
{
    struct buf *out = arg;
    const char *name = "mic_derive_run_us";
    const struct function *f = latency->function;
    uint64_t n = 0;
    for (size_t i = 0; i < EXECUTOR_LATENCIES; i++) {
        n += latency->n[i];
        buf_printf(out, "%s_bucket{function=\"%s\",version=\"%s\",le=\"", name, f->name,
                   f->version);
        if (i + 1 < EXECUTOR_LATENCIES)
            buf_printf(out, "%llu", (unsigned long long)executor_latency_us[i]);
        else
            buf_printf(out, "+Inf");
        buf_printf(out, "\"} %llu\n", (unsigned long long)n);
    }
    buf_printf(out, "%s_sum{function=\"%s\",version=\"%s\"} %llu\n", name, f->name, f->version,
               (unsigned long long)latency->sum_us);
    buf_printf(out, "%s_count{function=\"%s\",version=\"%s\"} %llu\n", name, f->name,
               f->version, (unsigned long long)n);
}

void derive_metrics(struct service *service, struct buf *out)
{
    struct derive_status status;
    if (!service_derive_stats(service, &status))
        return;
    run_metrics(&status.runs, out);
    result_metrics(&status.results, out);
    metric(out, "mic_derive_log_bytes", "gauge", "Bytes that wait to be put into the log.",
           status.log.bytes);
    buf_printf(out,
               "# HELP mic_derive_run_us How long runs of a function took, in microseconds.\n"
               "# TYPE mic_derive_run_us histogram\n");
    service_derive_latencies(service, latency_metric, out);
}
