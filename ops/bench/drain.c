/* What mic-land and mic-append do, in one process that counts what they ask the store for: for
 * `make bench` part i.
 *
 *   drain DIR
 *
 * Goes on until its standard input ends, then prints one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/limits.h"
#include "pipeline/repo/repo.h"
#include "pipeline/stages/follow.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/fs.h"
#include "pipeline/store/trace.h"

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "drain: %s: %s\n", what, err_name(err));
    exit(1);
}

static void counts_print(const struct trace_counts *counts)
{
    uint64_t gets = 0;
    uint64_t puts = 0;
    uint64_t deletes = 0;
    for (unsigned i = 0; i < TRACE_KINDS; i++) {
        gets += counts->gets[i];
        puts += counts->puts[i];
        deletes += counts->deletes[i];
    }
    printf("{\"get\":%" PRIu64 ",\"put\":%" PRIu64 ",\"delete\":%" PRIu64 ",\"list\":%" PRIu64
           ",\"queue_put\":%" PRIu64 ",\"session_put\":%" PRIu64 "}\n",
           gets, puts, deletes, counts->lists, counts->puts[TRACE_QUEUE],
           counts->puts[TRACE_SESSION]);
}

int main(int argc, char **argv)
{
    struct store *disk;
    struct repo repo;
    char byte;
    if (argc != 2) {
        fprintf(stderr, "usage: drain DIR\n");
        return 2;
    }
    must(fs_store_open(argv[1], &disk), argv[1]);
    struct store *trace = trace_store_open(disk);
    struct repo_options repo_options = {
        .page_cache_bytes = 64 * MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    must(repo_open(&repo, trace, clock_system(), rng_system(), &repo_options), "the bucket");
    /* As the settings have it. */
    struct land_options options = {.shard_end = repo.bucket.shards,
                                   .batch_max = 8192,
                                   .fold_after_ms = 30000,
                                   .missing_after_ms = 60000,
                                   .lease_ms = 10000};
    struct stage *land = stage_land_open(&repo, &options);
    struct stage *append = stage_append_open(&repo);
    struct follow *landing = follow_start(land, 5, 1000);
    struct follow *appending = follow_start(append, 1000, 1000);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    follow_stop(landing);
    follow_stop(appending);
    struct trace_counts counts = trace_store_counts(trace, false);
    counts_print(&counts);
    land->close(land);
    append->close(append);
    repo_close(&repo);
    store_close(trace);
    store_close(disk);
    return 0;
}
