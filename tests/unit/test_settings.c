#include "config/settings.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/limits.h"
#include "pipeline/store/s3.h"
#include "tests/support/suite.h"

#define SAMPLE_FILE "config/micelio.sample.yaml"

static bool once;
static const struct settings_flag own_flags[] = {{"once", "Runs one batch.", &once}};
static const char *until;
static const struct settings_option own_options[] = {
    {"until", "POS", "Where it ends.", &until}};
static const struct settings_program program = {
    .name = "mic-test",
    .about = "A program of this test.",
    .positional = "dir",
    .positional_shown = "DIR",
    .flags = own_flags,
    .flags_n = ARRAY_LEN(own_flags),
    .options = own_options,
    .options_n = ARRAY_LEN(own_options),
};

static char *const no_env[] = {NULL};

/* A file of its own for each test, in $TMPDIR. */
struct file {
    char path[256];
};

static void file_release(struct file *f)
{
    unlink(f->path);
}

static struct file file_of(const char *text, size_t len)
{
    struct file f;
    const char *dir = getenv("TMPDIR");
    int n = snprintf(f.path, sizeof(f.path), "%s/settings-XXXXXX", dir != NULL ? dir : "/tmp");
    ck_assert(n > 0 && (size_t)n < sizeof(f.path));
    int fd = mkstemp(f.path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
    return f;
}

/* Loads from up to four arguments, NULL for none. */
static int load(char *const *env, char *const args[4], struct settings *s,
                enum settings_action *action, struct settings_error *err)
{
    char *argv[6] = {(char[]){"mic-test"}};
    int argc = 1;
    for (size_t i = 0; i < 4 && args[i] != NULL; i++)
        argv[argc++] = args[i];
    err->message[0] = '\0';
    return settings_load(&program, argc, argv, env, s, action, err);
}

#define ARGS(...) ((char *const[4]){__VA_ARGS__})
/* argv is not const, so its words are arrays and not literals. */
#define A(text) ((char[]){text})

static void expect_refused(char *const *env, char *const args[4], const char *message)
{
    struct settings s = {0};
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(env, args, &s, &action, &err), ERR_INVALID);
    ck_assert_msg(strstr(err.message, message) != NULL, "'%s' does not say '%s'", err.message,
                  message);
    ck_assert_ptr_null(s.arena.blocks);
}

static void expect_file_refused(const char *text, const char *message)
{
    AUTO(file_release) struct file f = file_of(text, strlen(text));
    char want[512];
    int n = snprintf(want, sizeof(want), "%s%s", f.path, message);
    ck_assert(n > 0 && (size_t)n < sizeof(want));
    expect_refused(no_env, ARGS(A("/d"), A("--config"), f.path), want);
}

START_TEST(the_table_is_sound)
{
    ck_assert_uint_le(settings_table_n, SETTINGS_MAX);
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        ck_assert_ptr_eq(setting_find(bytes_str(row->name)), row);
        ck_assert_msg(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
                          strlen(row->name),
                      "%s", row->name);
        ck_assert_uint_le(row->min, row->max);
        ck_assert_int_eq(row->doc[strlen(row->doc) - 1], '.');
        ck_assert((row->type == SETTING_CHOICE) == (row->choices != NULL));
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(row->offset, settings_table[j].offset);
    }
}
END_TEST

START_TEST(defaults)
{
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    once = false;
    ck_assert_int_eq(load(no_env, ARGS(A("/d")), &s, &action, &err), 0);
    ck_assert_int_eq(action, SETTINGS_RUN);
    ck_assert(!once);
    ck_assert_str_eq(s.dir, "/d");
    ck_assert_str_eq(s.listen.host, "127.0.0.1");
    ck_assert_uint_eq(s.listen.port, 7420);
    ck_assert_uint_eq(s.log_level, 1);
    ck_assert_uint_eq(s.shards, 1);
    ck_assert_uint_eq(s.chunk_size, CHUNK_SIZE_DEFAULT);
    ck_assert_uint_eq(s.request_max, REQUEST_MAX);
    ck_assert_uint_eq(s.wait_max_ms, 60000);
    ck_assert_uint_eq(s.intake_window_us, 500);
    ck_assert_uint_eq(s.args_n, 0);
    settings_release(&s);
}
END_TEST

START_TEST(each_source_goes_before_the_one_below)
{
    static const char text[] = "shards: 2\nappend_poll_ms: 2s\nland_batch_max: 2\n";
    AUTO(file_release) struct file f = file_of(text, strlen(text));
    char config[300];
    int n = snprintf(config, sizeof(config), "MIC_CONFIG=%s", f.path);
    ck_assert_int_gt(n, 0);
    char *const env[] = {A("MIC_APPEND_POLL_MS=3s"), A("MIC_LAND_BATCH_MAX=3"), A("MIC_NONE=1"),
                         config, NULL};
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(
        load(env, ARGS(A("--land-batch-max=4"), A("--once"), A("/d")), &s, &action, &err), 0);
    ck_assert(once);
    ck_assert_uint_eq(s.shards, 2);
    ck_assert_uint_eq(s.append_poll_ms, 3000);
    ck_assert_uint_eq(s.land_batch_max, 4);
    const struct setting_origin *from =
        &s.origins[setting_find(bytes_str("shards")) - settings_table];
    ck_assert_int_eq(from->source, SETTING_FROM_FILE);
    ck_assert_str_eq(from->name, f.path);
    ck_assert_uint_eq(from->line, 1);
    settings_release(&s);
}
END_TEST

START_TEST(flags_are_spelled_either_way)
{
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(no_env, ARGS(A("--wait_max_ms"), A("7"), A("--log-json"), A("/d")),
                          &s, &action, &err),
                     0);
    ck_assert_uint_eq(s.wait_max_ms, 7);
    ck_assert(s.log_json);
    ck_assert_str_eq(s.dir, "/d");
    settings_release(&s);
    ck_assert_int_eq(
        load(no_env, ARGS(A("--log-json=false"), A("--"), A("--d")), &s, &action, &err), 0);
    ck_assert(!s.log_json);
    ck_assert_str_eq(s.dir, "--d");
    settings_release(&s);
}
END_TEST

START_TEST(options_of_a_program_take_a_value)
{
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    until = NULL;
    ck_assert_int_eq(load(no_env, ARGS(A("/d"), A("--until"), A("--7")), &s, &action, &err), 0);
    ck_assert_str_eq(until, "--7");
    settings_release(&s);
    until = NULL;
    ck_assert_int_eq(load(no_env, ARGS(A("--until="), A("/d")), &s, &action, &err), 0);
    ck_assert_str_eq(until, "");
    settings_release(&s);
    until = NULL;
    expect_refused(no_env, ARGS(A("/d"), A("--until")), "--until: a value is missing");
    expect_refused(no_env, ARGS(A("/d"), A("--until=1"), A("--until=2")), "it is given twice");
    expect_refused(no_env, ARGS(A("/d"), A("--unti=1")), "there is no such flag");
}
END_TEST

START_TEST(units)
{
    static const struct {
        const char *name;
        const char *text;
        uint64_t value;
    } good[] = {
        {"chunk_size", "65536", 65536},       {"chunk_size", "2MiB", 2 * MIB},
        {"chunk_size", "128 KiB", 128 * KIB}, {"page_cache_bytes", "1GiB", 1ull << 30},
        {"append_poll_ms", "1500", 1500},     {"append_poll_ms", "2s", 2000},
        {"append_poll_ms", "1m", 60000},      {"intake_window_us", "1ms", 1000},
        {"intake_window_us", "20us", 20},     {"intake_window_us", "0", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct settings s = {0};
        struct settings_error err;
        const struct setting *row = setting_find(bytes_str(good[i].name));
        ck_assert_int_eq(
            setting_parse(&s, row, bytes_str(good[i].text), (struct setting_origin){0}, &err),
            0);
        uint64_t value;
        memcpy(&value, (const char *)&s + row->offset, sizeof(value));
        ck_assert_uint_eq(value, good[i].value);
        /* What is spelled out means the same again. */
        const char *spelled = setting_spell(&s, row);
        ck_assert_int_eq(
            setting_parse(&s, row, bytes_str(spelled), (struct setting_origin){0}, &err), 0);
        memcpy(&value, (const char *)&s + row->offset, sizeof(value));
        ck_assert_uint_eq(value, good[i].value);
        settings_release(&s);
    }
}
END_TEST

START_TEST(wrong_values_are_refused_and_nothing_is_set)
{
    static const struct {
        const char *name;
        const char *text;
    } bad[] = {
        {"shards", ""},
        {"shards", "0"},
        {"shards", "65537"},
        {"shards", "-1"},
        {"shards", "+1"},
        {"shards", " 1"},
        {"shards", "1 "},
        {"shards", "0x10"},
        {"shards", "1.5"},
        {"shards", "4KiB"},
        {"shards", "18446744073709551617"},
        {"chunk_size", "1"},
        {"chunk_size", "64KB"},
        {"chunk_size", "64  KiB"},
        {"chunk_size", "99999999999999TiB"},
        {"append_poll_ms", "500us"},
        {"append_poll_ms", "1s 500ms"},
        {"log_json", "yes"},
        {"log_json", "True"},
        {"log_json", "1"},
        {"log_level", "verbose"},
        {"log_level", "1"},
        {"dir", "a\nb"},
        {"listen", ""},
        {"listen", "7420"},
        {"listen", "127.0.0.1"},
        {"listen", "127.0.0.1:"},
        {"listen", "127.0.0.1:65536"},
        {"listen", "127.0.0.1:1x"},
        {"listen", "::1:7420"},
        {"listen", "[127.0.0.1]:7420"},
        {"listen", "[::1]"},
        {"listen", "example.org:80"},
        {"listen", "127.1:80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct settings s = {0};
        struct settings_error err = {0};
        const struct setting *row = setting_find(bytes_str(bad[i].name));
        struct setting_origin origin = {.source = SETTING_FROM_FLAG};
        ck_assert_msg(setting_parse(&s, row, bytes_str(bad[i].text), origin, &err) ==
                          ERR_INVALID,
                      "%s: '%s' was taken", bad[i].name, bad[i].text);
        ck_assert_uint_ne(strlen(err.message), 0);
        static const struct settings_address none;
        ck_assert_int_eq(memcmp((const char *)&s + row->offset, &none,
                                row->type == SETTING_BOOL ? sizeof(bool) : sizeof(uint64_t)),
                         0);
        ck_assert_int_eq(s.origins[row - settings_table].source, SETTING_FROM_DEFAULT);
        settings_release(&s);
    }
}
END_TEST

START_TEST(only_loopback_is_listened_on)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        const char *spelled;
    } cases[] = {
        {"127.0.0.1:0", "127.0.0.1", "127.0.0.1:0"},
        {"127.9.8.7:65535", "127.9.8.7", "127.9.8.7:65535"},
        {"localhost:80", "127.0.0.1", "127.0.0.1:80"},
        {"[::1]:80", "::1", "[::1]:80"},
        {"0.0.0.0:80", NULL, NULL},
        {"128.0.0.1:80", NULL, NULL},
        {"[::]:80", NULL, NULL},
        {"192.168.1.1:80", NULL, NULL},
        {"[::ffff:10.0.0.1]:80", NULL, NULL},
    };
    const struct setting *row = setting_find(bytes_str("listen"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = {0};
        struct settings_error err;
        int e =
            setting_parse(&s, row, bytes_str(cases[i].text), (struct setting_origin){0}, &err);
        ck_assert_int_eq(e, cases[i].host != NULL ? 0 : ERR_INVALID);
        if (e == 0) {
            ck_assert_str_eq(s.listen.host, cases[i].host);
            ck_assert_str_eq(setting_spell(&s, row), cases[i].spelled);
        } else {
            ck_assert_ptr_nonnull(strstr(err.message, "not a loopback address"));
        }
        settings_release(&s);
    }
}
END_TEST

START_TEST(files_that_are_refused)
{
    expect_file_refused("shards: 1\nshard: 2\n", ":2: shard: there is no such setting");
    expect_file_refused("\nshards: 1\n\nshards: 1\n",
                        ":4: shards: it is set in line 2 already");
    expect_file_refused("append_poll_ms: soon\n",
                        ":1: append_poll_ms: 'soon' is not a duration");
    expect_file_refused("shards: \"1\"\n", ":1: shards: a number or truth value is written");
    expect_file_refused("shards: 70000\n", ":1: shards: 70000 is not between 1 and 65536");
    expect_file_refused("shards:\n", ":1: shards: '' is not a number");
    expect_file_refused("land:\n  batch_max: 2\n", ":1: land: there is no such setting");
    expect_file_refused("dir:\n  x: 2\n", ":2: dir: settings are not nested");
    expect_file_refused("dir: [a]\n", ":1: dir: no setting is a list");
    expect_file_refused("dir: &a x\nlog_level: *a\n", ":1: dir: tags and anchors");
    expect_file_refused("log_level: *a\n", ":1: log_level: aliases are not taken");
    expect_file_refused("dir: !!str x\n", ":1: dir: tags and anchors");
    expect_file_refused("? [a]\n: b\n", ":1: no setting is a list");
    expect_file_refused("- a\n", ":1: the file is not a mapping");
    expect_file_refused("words\n", ":1: the file is not a mapping");
    expect_file_refused("shards: 1\n---\nshards: 2\n", ":2: there is a second document");
    expect_file_refused("shards: 1\n\tx: [\n", ":2: ");
    expect_file_refused("dir: \"a\n", ":");
    expect_file_refused("dir: \"a\\0b\"\n", ":1: dir: ");
    expect_file_refused("listen: 0.0.0.0:80\n", ":1: listen: 0.0.0.0:80 is not a loopback");
}
END_TEST

START_TEST(files_that_are_taken)
{
    static const char *const texts[] = {
        "", "\n", "# nothing\n", "---\n", "{shards: 1}\n", "dir: 'it''s here'\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(file_release) struct file f = file_of(texts[i], strlen(texts[i]));
        struct settings s;
        enum settings_action action;
        struct settings_error err;
        int e =
            load(no_env, ARGS(A("--print-config"), A("--config"), f.path), &s, &action, &err);
        ck_assert_msg(e == 0, "%s", err.message);
        ck_assert_int_eq(action, SETTINGS_PRINT);
        settings_release(&s);
    }
}
END_TEST

START_TEST(a_file_that_cannot_be_read)
{
    expect_refused(no_env, ARGS(A("--config"), A("/nowhere/micelio.yaml"), A("/d")),
                   "/nowhere/micelio.yaml: ");
    expect_refused(no_env, ARGS(A("--config=/"), A("/d")), "/: Is a directory");
    size_t len = 1024 * 1024 + 1;
    char *spaces = malloc(len);
    ck_assert_ptr_nonnull(spaces);
    memset(spaces, ' ', len);
    AUTO(file_release) struct file f = file_of(spaces, len);
    free(spaces);
    expect_refused(no_env, ARGS(A("--config"), f.path, A("/d")), "it has more than");
}
END_TEST

START_TEST(command_lines_that_are_refused)
{
    expect_refused(no_env, ARGS(NULL), "no bucket");
    expect_refused(no_env, ARGS(A("")), "no bucket");
    expect_refused(no_env, ARGS(A("/d"), A("--none")), "--none: there is no such flag");
    expect_refused(no_env, ARGS(A("/d"), A("-x")), "-x: there is no such flag");
    expect_refused(no_env, ARGS(A("/d"), A("--shards")), "--shards: a value is missing");
    expect_refused(no_env, ARGS(A("/d"), A("--config")), "--config: a value is missing");
    expect_refused(no_env, ARGS(A("/d"), A("--shards=x")), "--shards: 'x' is not a number");
    expect_refused(no_env, ARGS(A("/d"), A("--shards=1"), A("--shards=1")), "given twice");
    expect_refused(no_env, ARGS(A("--config=/a"), A("--config=/b")), "given twice");
    expect_refused(no_env, ARGS(A("/d"), A("--dir=/d")), "--dir: it is given twice");
    expect_refused(no_env, ARGS(A("--dir=/d"), A("/d")), "dir is given already");
    expect_refused(no_env, ARGS(A("/d"), A("/e")), "/e: too many arguments");
    expect_refused(no_env, ARGS(A("/d"), A("--once=true")), "--once: there is no such flag");
    expect_refused(no_env, ARGS(A("/d"), A("--land-poll-min-ms=2s")), "greater than");
    char *const env[] = {A("MIC_SHARDS=x"), NULL};
    expect_refused(env, ARGS(A("/d")), "MIC_SHARDS: 'x' is not a number");
}
END_TEST

START_TEST(a_long_value_is_not_repeated_whole)
{
    char arg[5000] = "--shards=";
    memset(arg + 9, '\x01', sizeof(arg) - 10);
    arg[sizeof(arg) - 1] = '\0';
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(no_env, ARGS(A("/d"), arg), &s, &action, &err), ERR_INVALID);
    ck_assert_uint_lt(strlen(err.message), 200);
    ck_assert_ptr_null(strchr(err.message, '\x01'));
}
END_TEST

static void file_close(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

/* What `print` writes, NUL at its end; the caller frees it. */
static char *printed(struct settings *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(to);
    if (s == NULL)
        settings_print_sample(to);
    else
        settings_print(to, s);
    fclose(to);
    return text;
}

START_TEST(the_sample_file_is_the_table)
{
    char *want = printed(NULL);
    char have[64 * KIB];
    AUTO(file_close) FILE *f = fopen(SAMPLE_FILE, "r");
    ck_assert_msg(f != NULL, SAMPLE_FILE " is read from the root of the tree");
    size_t len = fread(have, 1, sizeof(have) - 1, f);
    have[len] = '\0';
    ck_assert_msg(strcmp(have, want) == 0,
                  SAMPLE_FILE " differs; make it anew: mic-forge --print-sample-config");
    free(want);
}
END_TEST

START_TEST(the_sample_file_changes_nothing)
{
    struct settings from_sample;
    struct settings without;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(
        load(no_env, ARGS(A("/d"), A("--config"), A(SAMPLE_FILE)), &from_sample, &action, &err),
        0);
    ck_assert_int_eq(load(no_env, ARGS(A("/d")), &without, &action, &err), 0);
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        ck_assert_str_eq(setting_spell(&from_sample, row), setting_spell(&without, row));
        if (row->preset[0] != '\0')
            ck_assert_int_eq(from_sample.origins[i].source, SETTING_FROM_FILE);
    }
    settings_release(&from_sample);
    settings_release(&without);
}
END_TEST

START_TEST(what_is_printed_is_read_back)
{
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(no_env,
                          ARGS(A("/d \"#\\: x"), A("--append-poll-ms=1234"),
                               A("--listen=[::1]:9"), A("--log-json")),
                          &s, &action, &err),
                     0);
    char *text = printed(&s);
    ck_assert_ptr_nonnull(strstr(text, "append_poll_ms: 1234ms # --append-poll-ms\n"));
    AUTO(file_release) struct file f = file_of(text, strlen(text));
    free(text);
    struct settings again;
    int e = load(no_env, ARGS(A("--config"), f.path), &again, &action, &err);
    ck_assert_msg(e == 0, "%s", err.message);
    for (size_t i = 0; i < settings_table_n; i++)
        ck_assert_str_eq(setting_spell(&s, &settings_table[i]),
                         setting_spell(&again, &settings_table[i]));
    settings_release(&s);
    settings_release(&again);
}
END_TEST

#define SECRET "s3cr3t/+value"

/* A secret shows neither in what is printed nor in an error, and cannot be given where others
 * see it. */
START_TEST(secrets_are_never_shown)
{
    static const char text[] = "s3_access_key_id: AKID\ns3_secret_access_key: " SECRET "\n";
    AUTO(file_release) struct file f = file_of(text, strlen(text));
    char *const env[] = {A("MIC_S3_SESSION_TOKEN=" SECRET "2"), NULL};
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(env, ARGS(A("/d"), A("--config"), f.path), &s, &action, &err), 0);
    ck_assert_str_eq(s.s3_secret_access_key, SECRET);
    ck_assert_str_eq(s.s3_session_token, SECRET "2");
    char *shown = printed(&s);
    ck_assert_ptr_null(strstr(shown, "s3cr3t"));
    ck_assert_ptr_nonnull(strstr(shown, "# s3_secret_access_key: \"***\" # /"));
    ck_assert_ptr_nonnull(
        strstr(shown, "# s3_session_token: \"***\" # MIC_S3_SESSION_TOKEN\n"));
    ck_assert_ptr_nonnull(strstr(shown, "\ns3_access_key_id: \"AKID\" # /"));
    free(shown);
    settings_release(&s);
    expect_refused(no_env, ARGS(A("/d"), A("--s3-secret-access-key=" SECRET)),
                   "--s3-secret-access-key: a secret is not given on the command line");
    expect_refused(no_env, ARGS(A("/d"), A("--s3-session-token"), A(SECRET)),
                   "--s3-session-token: a secret is not given");
    char *const bad[] = {A("MIC_S3_SECRET_ACCESS_KEY=" SECRET "\n"), NULL};
    ck_assert_int_eq(load(bad, ARGS(A("/d")), &s, &action, &err), ERR_INVALID);
    ck_assert_ptr_null(strstr(err.message, "s3cr3t"));
}
END_TEST

START_TEST(variables_of_others)
{
    static const char text[] = "s3_region: from-file\n";
    AUTO(file_release) struct file f = file_of(text, strlen(text));
    char *const env[] = {A("AWS_REGION="),
                         A("AWS_DEFAULT_REGION=from-aws"),
                         A("AWS_ENDPOINT_URL=http://general"),
                         A("AWS_ENDPOINT_URL_S3=http://s3"),
                         A("AWS_CA_BUNDLE=/ca"),
                         A("AWS_ACCESS_KEY_ID=AKID"),
                         A("AWS_SECRET_ACCESS_KEY=SK"),
                         A("AWS_SESSION_TOKEN=ST"),
                         NULL};
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(env, ARGS(A("/d")), &s, &action, &err), 0);
    ck_assert_str_eq(s.s3_region, "from-aws");
    ck_assert_str_eq(s.s3_endpoint, "http://s3");
    ck_assert_str_eq(s.s3_ca_file, "/ca");
    ck_assert_str_eq(s.s3_access_key_id, "AKID");
    ck_assert_str_eq(s.s3_secret_access_key, "SK");
    ck_assert_str_eq(s.s3_session_token, "ST");
    settings_release(&s);
    /* Our own file goes before them. */
    ck_assert_int_eq(load(env, ARGS(A("/d"), A("--config"), f.path), &s, &action, &err), 0);
    ck_assert_str_eq(s.s3_region, "from-file");
    settings_release(&s);
}
END_TEST

/* A token is of use with the key that it came with, and with no other. */
START_TEST(tokens_belong_to_their_keys)
{
    char *const env[] = {A("AWS_ACCESS_KEY_ID=AKID"), A("AWS_SESSION_TOKEN=ST"),
                         A("MIC_S3_ACCESS_KEY_ID=MINE"), NULL};
    char *const both[] = {A("AWS_ACCESS_KEY_ID=AKID"), A("MIC_S3_SESSION_TOKEN=ST"), NULL};
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    ck_assert_int_eq(load(env, ARGS(A("/d")), &s, &action, &err), 0);
    ck_assert_str_eq(s.s3_access_key_id, "MINE");
    ck_assert_str_eq(s.s3_session_token, "");
    settings_release(&s);
    ck_assert_int_eq(load(both, ARGS(A("/d")), &s, &action, &err), 0);
    ck_assert_str_eq(s.s3_session_token, "ST");
    settings_release(&s);
}
END_TEST

/* The words stand for the enums that the programs hand down. */
START_TEST(words_of_s3_are_those_of_the_store)
{
    const struct setting *row = setting_find(bytes_str("s3_provider"));
    ck_assert_str_eq(row->choices[S3_AUTO], "auto");
    for (enum s3_provider_id id = S3_AWS; id < S3_PROVIDERS; id++)
        ck_assert_str_eq(row->choices[id], s3_provider(id)->name);
    ck_assert_ptr_null(row->choices[S3_PROVIDERS]);
    row = setting_find(bytes_str("s3_addressing"));
    ck_assert_str_eq(row->choices[S3_ADDRESS_AUTO], "auto");
    ck_assert_str_eq(row->choices[S3_ADDRESS_PATH], "path");
    ck_assert_str_eq(row->choices[S3_ADDRESS_VIRTUAL], "virtual");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_table_is_sound,
        defaults,
        each_source_goes_before_the_one_below,
        flags_are_spelled_either_way,
        options_of_a_program_take_a_value,
        units,
        wrong_values_are_refused_and_nothing_is_set,
        only_loopback_is_listened_on,
        files_that_are_refused,
        files_that_are_taken,
        a_file_that_cannot_be_read,
        command_lines_that_are_refused,
        a_long_value_is_not_repeated_whole,
        the_sample_file_is_the_table,
        the_sample_file_changes_nothing,
        what_is_printed_is_read_back,
        secrets_are_never_shown,
        variables_of_others,
        tokens_belong_to_their_keys,
        words_of_s3_are_those_of_the_store,
    };
    return suite_run("settings", tests, ARRAY_LEN(tests));
}
