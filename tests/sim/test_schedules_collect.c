/* Schedules beside a collector, played by hand in the simulated world; the numbers are those of
 * the list of schedules. In test_sim they are met by chance, too. */
#include "formats/base/hash.h"
#include "formats/key.h"
#include "pipeline/repo/collect/collect.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/pack/pack.h"
#include "tests/sim/schedules.h"

#define SCRIPT_COOL_MS 120000u

/* A collection by the process of the append; what it comes to. */
static struct collect_report
collect_telling(struct script *s,
                void (*opening)(void *, const struct id16 *, const struct id16 *), void *arg)
{
    const struct collect_options options = {.grace_ms = SCRIPT_GRACE_MS,
                                            .cool_ms = SCRIPT_COOL_MS,
                                            .opening = opening,
                                            .opening_arg = arg};
    struct collect_report report;
    while (s->append->repo == NULL)
        task_pause(1000);
    int err = collect_run(s->append->repo, &s->sim.oracle.projects[0].id, &options, &report);
    if (err != OK)
        broken("script", "a collection: %s", err_name(err));
    return report;
}

static struct collect_report collect(struct script *s)
{
    return collect_telling(s, NULL, NULL);
}

static void deleted_is(const struct collect_report *report, uint64_t n)
{
    if (report->deleted.n != n)
        broken("script", "a collection deletes %lu objects, and must delete %lu",
               (unsigned long)report->deleted.n, (unsigned long)n);
}

/* Through the service of a front, as its HTTP does it. */
static int upload_text(struct script *s, struct process *front, struct bytes text,
                       struct content *out)
{
    const struct id16 *project = &s->sim.oracle.projects[0].id;
    struct upload *upload = upload_open(front->repo, project);
    int err = upload_write(upload, text);
    if (err == OK)
        err = upload_finish(upload, NULL, out);
    upload_close(upload);
    if (err == OK)
        oracle_upload_told(&s->sim.oracle, project, &out->hash,
                           oracle_upload_put_us(&s->sim.oracle, project, &out->hash));
    return err;
}

static const char small[] = "a content that is uploaded by itself";

static int upload(struct script *s, struct process *front, struct content *out)
{
    return upload_text(s, front, bytes_str(small), out);
}

/* A content of whole chunks, each named by a letter. */
static struct bytes chunks_of(const char *letters)
{
    size_t n = strlen(letters);
    uint8_t *text = arena_alloc(client_arena(), n * SIM_CHUNK_SIZE);
    for (size_t i = 0; i < n; i++)
        memset(text + i * SIM_CHUNK_SIZE, letters[i], SIM_CHUNK_SIZE);
    return bytes_of(text, n * SIM_CHUNK_SIZE);
}

static struct asked_request *names_upload(struct script *s, const struct content *content)
{
    struct asked_session *session = script_session(s, s->ann, script_position(s), true);
    script_write(s, session, "q", small, "-");
    session->records[session->n - 1].sent.operation.content = *content;
    return script_series(s, &session, 1);
}

/* 1. A drain has put its tree object and is stopped; the project is quiet, and the grace time
 * passes. */
static void stalled_lander_and_the_collector(struct script *s)
{
    (void)script_gate(s, &(struct gate){.process = s->drains[1], .lists = true, .again = true});
    struct gate *head = script_gate(
        s, &(struct gate){.process = s->drains[0], .verb = STORE_PUT, .kind = KEY_HEAD});
    struct asked_session *session = script_session(s, s->ann, 0, true);
    script_write(s, session, "p", "1", "-");
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], false);
    script_reached(s, head);
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    struct collect_report report = collect(s);
    deleted_is(&report, 1);
    head->open = true;
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "p", "1");
}

/* 2. A record in the queue names the upload, and nobody drains. */
static void upload_in_flight(struct script *s)
{
    struct content content;
    struct gate *lists =
        script_gate(s, &(struct gate){.process = s->drains[0], .lists = true, .again = true});
    struct gate *others =
        script_gate(s, &(struct gate){.process = s->drains[1], .lists = true, .again = true});
    if (upload(s, s->fronts[0], &content) != OK)
        broken("script", "no upload");
    struct asked_request *r = names_upload(s, &content);
    script_ask(s, r, s->fronts[0], false);
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    struct collect_report report = collect(s);
    deleted_is(&report, 0);
    lists->open = true;
    others->open = true;
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
}

/* 3. The collector's delete is lost on its way and comes late; meanwhile a front is asked to
 * put the upload again. */
static void touch_against_delete(struct script *s)
{
    struct content content;
    struct content again;
    if (upload(s, s->fronts[0], &content) != OK)
        broken("script", "no upload");
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    (void)script_gate(s, &(struct gate){.process = s->append,
                                        .verb = STORE_DELETE,
                                        .kind = KEY_BLOB,
                                        .trouble = TROUBLE_LATE,
                                        .open = true});
    struct collect_report report = collect(s);
    deleted_is(&report, 1);
    if (report.end != COLLECT_COOLING || upload(s, s->fronts[1], &again) != ERR_CONFLICT)
        broken("script", "a name whose delete may come is free");
    task_pause(100000000); /* it has come */
    if (upload(s, s->fronts[0], &again) != ERR_CONFLICT)
        broken("script", "a name is free before its time");
    task_pause(40000000);
}

struct collecting {
    struct script *s;
    struct id16 run;
    bool ended;
};

static void collecting_opens(void *arg, const struct id16 *project, const struct id16 *run)
{
    struct collecting *collecting = arg;
    (void)project;
    collecting->run = *run;
}

static void collecting_life(void *arg)
{
    struct collecting *collecting = arg;
    (void)collect_telling(collecting->s, collecting_opens, collecting);
    collecting->ended = true;
}

/* The collector dies with its delete under way; who takes its run over cannot know. */
static void touch_against_a_dead_collector(struct script *s)
{
    const struct id16 *project = &s->sim.oracle.projects[0].id;
    const struct collect_options options = {.grace_ms = SCRIPT_GRACE_MS,
                                            .cool_ms = SCRIPT_COOL_MS};
    struct content content;
    struct collecting *collecting = arena_new(client_arena(), struct collecting);
    collecting->s = s;
    if (upload(s, s->fronts[0], &content) != OK)
        broken("script", "no upload");
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    struct gate *gate = script_gate(s, &(struct gate){.process = s->append,
                                                      .verb = STORE_DELETE,
                                                      .kind = KEY_BLOB,
                                                      .trouble = TROUBLE_LATE,
                                                      .open = true});
    (void)task_start(s->append, collecting_life, collecting);
    script_reached(s, gate);
    task_pause(1000);
    process_die(s->append);
    struct collect_report report;
    int err = collect_resume(s->fronts[1]->repo, project, &collecting->run, &options, &report);
    if (err != OK || report.end != COLLECT_COOLING)
        broken("script", "a run that was taken over does not cool: %s", err_name(err));
    if (upload(s, s->fronts[0], &content) != ERR_CONFLICT)
        broken("script", "a name whose delete may come is free");
    task_pause((SCRIPT_COOL_MS + 1000) * 1000);
    if (upload(s, s->fronts[0], &content) != OK)
        broken("script", "no upload when all is over");
}

/* And then it is put again, and lands. */
static void touch_after_delete(struct script *s)
{
    struct content content;
    touch_against_delete(s);
    if (upload(s, s->fronts[1], &content) != OK)
        broken("script", "no upload when all is over");
    struct asked_request *r = names_upload(s, &content);
    script_ask(s, r, s->fronts[0], true);
    script_expect(s, r, 0, VERDICT_LANDED);
}

/* --- 32 --- */

struct packing {
    struct script *s;
    struct process *by;
    struct pack_report report;
    bool ended;
};

static void packing_life(void *arg)
{
    struct packing *packing = arg;
    const struct pack_options options = {.always = true};
    int err = pack_project(packing->by->repo, &packing->s->sim.oracle.projects[0].id, &options,
                           &packing->report);
    if (err != OK)
        broken("script", "a pack: %s", err_name(err));
    packing->ended = true;
}

/* 32. A packer has put its parts and is stopped before its head; somebody lands, the grace time
 * passes, and a run takes the parts. After its 412 it must not name them. */
static void pack_against_the_collector(struct script *s)
{
    script_land_text(s, s->ann, "d/e/p", "0", "-");
    script_land_text(s, s->ann, "f/q", "1", "-");
    struct gate *head = script_gate(
        s, &(struct gate){.process = s->fronts[1], .verb = STORE_PUT, .kind = KEY_HEAD});
    struct packing packing = {.s = s, .by = s->fronts[1]};
    (void)task_start(NULL, packing_life, &packing);
    script_reached(s, head);
    script_land_text(s, s->ben, "f/q", "2", "1");
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    struct collect_report report = collect(s);
    if (report.deleted.n == 0)
        broken("script", "a collection leaves parts that nothing names");
    head->open = true;
    while (!packing.ended)
        task_pause(1000);
    if (!packing.report.packed || packing.report.tries < 2)
        broken("script", "the tree is not packed, or at once");
    script_expect_text(s, "d/e/p", "0");
    script_expect_text(s, "f/q", "2");
}

/* --- 33 --- */

static void lands(struct script *s, const struct content *content)
{
    struct asked_request *r = names_upload(s, content);
    script_ask(s, r, s->fronts[0], true);
    script_expect(s, r, 0, VERDICT_LANDED);
}

/* 33. Two chunks of an upload have been there for long, as those of another that nothing names;
 * a collection takes that one, and leaves the chunks. */
static void young_manifest_with_old_chunks(struct script *s)
{
    struct content old;
    struct content young;
    if (upload_text(s, s->fronts[0], chunks_of("abc"), &old) != OK)
        broken("script", "no upload");
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    if (upload_text(s, s->fronts[1], chunks_of("abd"), &young) != OK)
        broken("script", "no upload that shares chunks");
    struct collect_report report = collect(s);
    deleted_is(&report, 2); /* the old manifest, and c */
    lands(s, &young);
}

/* And a part of one that nothing names has gone, while its manifest stays: it is not there. */
static void manifest_without_a_chunk(struct script *s)
{
    struct content content;
    if (upload_text(s, s->fronts[0], chunks_of("abc"), &content) != OK)
        broken("script", "no upload");
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    /* Its put is made again on the way, and arrives behind the collection. */
    struct key key = key_blob(&s->sim.oracle.projects[0].id, &content.hash);
    AUTO_BUF manifest = {0};
    if (store_get(far_end_mem(s->sim.end), key.s, range_all(), &manifest, NULL, NULL) != OK)
        broken("script", "no manifest");
    struct collect_report report = collect(s);
    deleted_is(&report, 4);
    if (store_put(&s->fronts[1]->line.store, key.s, buf_bytes(&manifest), PUT_ANY, NULL) != OK)
        broken("script", "no put");
    struct asked_request *r = names_upload(s, &content);
    struct land_told told;
    if (!client_try_land(s->ann, r, s->fronts[0], 30000, &told) ||
        strcmp(told.code, "blob_missing") != 0)
        broken("script", "a manifest without its chunks is there");
}

struct uploading {
    struct script *s;
    struct process *by;
    struct bytes text;
    struct content content;
    bool ended;
};

static void uploading_life(void *arg)
{
    struct uploading *uploading = arg;
    if (upload_text(uploading->s, uploading->by, uploading->text, &uploading->content) != OK)
        broken("script", "no upload");
    uploading->ended = true;
}

/* Its chunks are put, and then it is stopped for so long that they are past their grace time. A
 * collector has found them, and no manifest; before it says so the manifest is put, and the
 * client is told that its upload is there. */
static void slow_upload_against_the_collector(struct script *s)
{
    const struct id16 *project = &s->sim.oracle.projects[0].id;
    struct uploading uploading = {.s = s, .by = s->fronts[0], .text = chunks_of("abcde")};
    struct collecting collecting = {.s = s};
    struct hash hash = sha256(uploading.text);
    struct gate manifest = {.process = s->fronts[0], .verb = STORE_PUT, .kind = KEY_BLOB};
    struct gate condemns = {.process = s->append, .verb = STORE_PUT, .kind = KEY_OTHER};
    (void)snprintf(manifest.key, sizeof(manifest.key), "%s", key_blob(project, &hash).s);
    (void)snprintf(condemns.key, sizeof(condemns.key), "%s", key_gc(project).s);
    struct gate *before_manifest = script_gate(s, &manifest);
    struct gate *before_gc = script_gate(s, &condemns);
    (void)task_start(NULL, uploading_life, &uploading);
    script_reached(s, before_manifest);
    task_pause(2 * SCRIPT_GRACE_MS * 1000);
    (void)task_start(NULL, collecting_life, &collecting);
    script_reached(s, before_gc);
    before_manifest->open = true;
    while (!uploading.ended)
        task_pause(1000);
    before_gc->open = true;
    while (!collecting.ended)
        task_pause(1000);
    lands(s, &uploading.content);
}

static const struct schedule schedules[] = {
    {1, stalled_lander_and_the_collector},
    {2, upload_in_flight},
    {3, touch_after_delete},
    {3, touch_against_a_dead_collector},
    {32, pack_against_the_collector},
    {33, young_manifest_with_old_chunks},
    {33, manifest_without_a_chunk},
    {33, slow_upload_against_the_collector},
};

int main(void)
{
    return schedules_main("schedules_collect", schedules, ARRAY_LEN(schedules));
}
