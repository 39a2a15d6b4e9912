#include "jobs/shared/open_store.h"

#include <stdio.h>
#include <unistd.h>

#include "pipeline/store/fs.h"
#include "pipeline/store/s3_probe.h"
#include "pipeline/sys/log.h"

bool is_s3_place(const char *dir)
{
    return strncmp(dir, "s3://", 5) == 0;
}

static int open_s3(const char *program, const struct settings *s, struct store **out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct s3_options options = {
        .endpoint = s->s3_endpoint,
        .region = s->s3_region,
        .addressing = (enum s3_addressing)s->s3_addressing,
        .provider = (enum s3_provider_id)s->s3_provider,
        .ca_file = s->s3_ca_file,
        .access_key_id = s->s3_access_key_id,
        .secret_access_key = s->s3_secret_access_key,
        .session_token = s->s3_session_token,
        .concurrency = (unsigned)s->s3_concurrency,
        .tries = (unsigned)s->s3_tries,
        .connect_ms = s->s3_connect_ms,
        .stall_ms = s->s3_stall_ms,
        .timeout_ms = s->s3_timeout_ms,
        .clock = clock_system(),
        .rng = rng_system(),
    };
    char why[S3_WHY_MAX];
    if (s3_place_parse(s->dir, &arena, &options.bucket, &options.prefix) != OK) {
        fprintf(stderr, "%s: %s is not of the form s3://BUCKET or s3://BUCKET/PREFIX\n",
                program, s->dir);
        return 2;
    }
    if (s3_store_open(&options, out, why) != OK) {
        fprintf(stderr, "%s: cannot open %s: %s\n", program, s->dir, why);
        return 2;
    }
    return -1;
}

int open_store(const char *program, const struct settings *s, struct store **out)
{
    if (is_s3_place(s->dir))
        return open_s3(program, s, out);
    int err = fs_store_open(s->dir, out);
    if (err == OK)
        return -1;
    fprintf(stderr, "%s: cannot open the bucket in %s: %s\n", program, s->dir, err_name(err));
    return 1;
}

int open_store_there(const char *program, const struct settings *s, struct store **out)
{
    if (is_s3_place(s->dir) || access(s->dir, F_OK) == 0)
        return open_store(program, s, out);
    fprintf(stderr, "%s: there is no bucket in %s\n", program, s->dir);
    return 2;
}

static void not_passed(const char *dir, struct probe_report *report)
{
    AUTO_BUF says = {0};
    buf_printf(&says, "%s %s: %s", dir, report->refused ? "cannot be used" : "cannot be tried",
               report->says);
    size_t len = says.len < PROBE_SAYS_MAX ? says.len : PROBE_SAYS_MAX - 1;
    memcpy(report->says, says.data, len);
    report->says[len] = '\0';
}

void say_not_passed(const char *program, const char *dir, const struct probe_report *report)
{
    struct probe_report said = *report;
    not_passed(dir, &said);
    fprintf(stderr, "%s: %s\n", program, said.says);
}

int probe_opened_store(const struct settings *s, struct store *store,
                       struct probe_report *report)
{
    if (!is_s3_place(s->dir))
        return OK;
    int err = s3_store_probe(store, false, report);
    if (err == OK)
        log_info("bucket_passed", LOG_STR("bucket", s->dir),
                 LOG_STR("provider", s3_store_provider(store)->name),
                 LOG_STR("etags", report->quoted ? "quoted" : "bare"));
    else
        not_passed(s->dir, report);
    return err;
}
