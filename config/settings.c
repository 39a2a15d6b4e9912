#include "config/settings.h"

#include <stdlib.h>

#include "formats/base/err.h"
#include "formats/base/limits.h"

#define AT(field) offsetof(struct settings, field)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

const struct setting settings_table[] = {
    {.name = "dir",
     .type = SETTING_STRING,
     .offset = AT(dir),
     .preset = "",
     .min = 0,
     .max = 4000,
     .doc = "The directory that is the bucket: all data lies in it. It is made if it is not "
            "there."},
    {.name = "listen",
     .type = SETTING_ADDRESS,
     .offset = AT(listen),
     .preset = "127.0.0.1:7420",
     .min = 0,
     .max = 65535,
     .doc = "Where the HTTP front listens, as HOST:PORT; an IPv6 address in brackets, port 0 "
            "for any that is free. "
            "There are no accounts yet, so only loopback addresses are taken."},
    {.name = "log_level",
     .type = SETTING_CHOICE,
     .offset = AT(log_level),
     .preset = "info",
     .choices = log_levels,
     .doc = "The least level of the lines that are logged."},
    {.name = "log_json",
     .type = SETTING_BOOL,
     .offset = AT(log_json),
     .preset = "false",
     .doc = "Log lines are JSON objects instead of key=value."},
    {.name = "shards",
     .type = SETTING_U64,
     .offset = AT(shards),
     .preset = "1",
     .min = 1,
     .max = 65536,
     .doc = "Into how many shards the intake queue of a new bucket is split. A bucket that is "
            "there keeps its own number."},
    {.name = "chunk_size",
     .type = SETTING_SIZE,
     .offset = AT(chunk_size),
     .preset = "1MiB",
     .min = CHUNK_SIZE_MIN,
     .max = CHUNK_SIZE_MAX,
     .doc = "Content larger than this is stored in chunks of this size. A bucket that is there "
            "keeps its own size."},
    {.name = "http_threads",
     .type = SETTING_U64,
     .offset = AT(http_threads),
     .preset = "0",
     .min = 0,
     .max = 1024,
     .doc = "Threads that serve HTTP; 0 for one for each core."},
    {.name = "http_connections_max",
     .type = SETTING_U64,
     .offset = AT(http_connections_max),
     .preset = "20000",
     .min = 16,
     .max = 1000000,
     .doc = "Connections that may be open at once, waiting and idle ones included."},
    {.name = "http_idle_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(http_idle_ms),
     .preset = "2m",
     .min = 1000,
     .max = 86400000,
     .doc = "A connection on which nothing happens for so long is closed. One that waits for a "
            "landing is not idle."},
    {.name = "idle_exit",
     .type = SETTING_DURATION_MS,
     .offset = AT(idle_exit),
     .preset = "0",
     .min = 0,
     .max = 86400000,
     .doc = "A front that has had no request for so long ends, for something else to start it "
            "at the next one: systemd's socket, say. 0: it never does."},
    {.name = "request_max",
     .type = SETTING_SIZE,
     .offset = AT(request_max),
     .preset = "32MiB",
     .min = 64 * KIB,
     .max = REQUEST_MAX,
     .doc = "The largest body of a request. Uploads of content are streamed and know no such "
            "bound."},
    {.name = "wait_max_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(wait_max_ms),
     .preset = "60s",
     .min = 0,
     .max = 600000,
     .doc = "The longest that a request may wait for its landing; one that asks for more waits "
            "this long."},
    {.name = "wait_poll_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(wait_poll_ms),
     .preset = "20ms",
     .min = 1,
     .max = 60000,
     .doc = "How often the front looks for the answers that its waiting requests want, when no "
            "hint comes earlier."},
    {.name = "intake_window_us",
     .type = SETTING_DURATION_US,
     .offset = AT(intake_window_us),
     .preset = "500us",
     .min = 0,
     .max = 1000000,
     .doc = "How long the intake queue gathers writes of all clients before it puts them as "
            "one object. The window "
            "grows by itself when the store is slow."},
    {.name = "intake_batch_max",
     .type = SETTING_SIZE,
     .offset = AT(intake_batch_max),
     .preset = "16MiB",
     .min = 64 * KIB,
     .max = 64 * MIB,
     .doc = "The window closes early when so much has been gathered."},
    {.name = "intake_queue_max",
     .type = SETTING_SIZE,
     .offset = AT(intake_queue_max),
     .preset = "256MiB",
     .min = 32 * MIB,
     .max = 1ull << 40,
     .doc = "How much may wait to be put; a write beyond it is answered 503, and the client "
            "comes again."},
    {.name = "land_batch_max",
     .type = SETTING_U64,
     .offset = AT(land_batch_max),
     .preset = "8192",
     .min = 1,
     .max = 1000000,
     .doc = "Sessions that one landing batch decides at most."},
    {.name = "land_poll_min_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(land_poll_min_ms),
     .preset = "5ms",
     .min = 1,
     .max = 60000,
     .doc = "How often the queue is listed while there is work. An idle queue is listed ever "
            "less often."},
    {.name = "land_poll_max_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(land_poll_max_ms),
     .preset = "1s",
     .min = 1,
     .max = 600000,
     .doc = "How often an idle queue is listed at least."},
    {.name = "fold_after_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(fold_after_ms),
     .preset = "30s",
     .min = 0,
     .max = 86400000,
     .doc = "An open session's writes go from the queue into the session's own object when "
            "they are this old."},
    {.name = "missing_after_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(missing_after_ms),
     .preset = "1m",
     .min = 1000,
     .max = 86400000,
     .doc = "A landing request whose records have not all come after so long is refused."},
    {.name = "append_poll_ms",
     .type = SETTING_DURATION_MS,
     .offset = AT(append_poll_ms),
     .preset = "1s",
     .min = 10,
     .max = 3600000,
     .doc = "How often the landing log is brought up to the head."},
    {.name = "page_cache_bytes",
     .type = SETTING_SIZE,
     .offset = AT(page_cache_bytes),
     .preset = "64MiB",
     .min = 0,
     .max = 1ull << 40,
     .doc = "Memory for pages of trees, which never change and so are kept."},
    {.name = "content_cache_bytes",
     .type = SETTING_SIZE,
     .offset = AT(content_cache_bytes),
     .preset = "32MiB",
     .min = 0,
     .max = 1ull << 40,
     .doc = "Memory for small contents that were read, up to 64 KiB each."},
};
const size_t settings_table_n = ARRAY_LEN(settings_table);
static_assert(ARRAY_LEN(settings_table) <= SETTINGS_MAX,
              "struct settings has an origin for each row");

const struct setting *setting_find(struct bytes name)
{
    for (size_t i = 0; i < settings_table_n; i++)
        if (bytes_equal(name, bytes_str(settings_table[i].name)))
            return &settings_table[i];
    return NULL;
}

void settings_release(struct settings *s)
{
    arena_release(&s->arena);
}
