#include "api/cli/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/json/json.h"
#include "formats/base/hex.h"
#include "pipeline/sys/file.h"

#define CONFIG_MAX  (64u * 1024)
#define JOURNAL_MAX (1u << 30)
#define LOCK_STEP   20u

static int mic_dir(struct workspace *ws, int *fd)
{
    return worktree_dir(&ws->tree, bytes_str(".mic"), true, fd);
}

static char *text_dup(struct bytes text)
{
    char *copy = strndup(text.len == 0 ? "" : (const char *)text.data, text.len);
    if (copy == NULL)
        abort();
    return copy;
}

/* ---- opening ----------------------------------------------------------------------------- */

static int config_read(struct workspace *ws)
{
    AUTO_BUF text = {0};
    int err = workspace_get(ws, "config.json", CONFIG_MAX, &text);
    if (err != OK)
        return err;
    struct json_problem wrong = {0};
    AUTO_JSON *value = NULL;
    if (json_parse(buf_bytes(&text), &wrong, &value) != OK)
        return ERR_CORRUPT;
    struct json_at top = jrd_top(value, &wrong);
    struct bytes url = jrd_text(&top, "url", JSON_REQUIRED);
    struct bytes handle = jrd_text(&top, "handle", JSON_REQUIRED);
    struct id16 project = jrd_id16(&top, "project", JSON_REQUIRED);
    if (!jrd_ok(&top))
        return ERR_CORRUPT;
    ws->url = text_dup(url);
    ws->handle = text_dup(handle);
    ws->project = project;
    return OK;
}

int workspace_open(struct workspace *ws, const char *from)
{
    *ws = (struct workspace){.lock = -1, .tree = {.root = -1, .tmp = -1}};
    char *dir = realpath(from, NULL);
    if (dir == NULL)
        return err_from_errno(errno);
    for (;;) {
        AUTO_BUF name = {0};
        buf_printf(&name, "%s/.mic/config.json", strcmp(dir, "/") == 0 ? "" : dir);
        if (access((const char *)name.data, F_OK) == 0)
            break;
        char *slash = strrchr(dir, '/');
        if (slash == NULL || strcmp(dir, "/") == 0) {
            free(dir);
            return ERR_NOT_FOUND;
        }
        slash[slash == dir ? 1 : 0] = '\0';
    }
    ws->root = dir;
    int err = worktree_open(&ws->tree, dir);
    if (err == OK)
        err = config_read(ws);
    if (err != OK)
        workspace_close(ws);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int workspace_create(const char *root, const char *url, const struct id16 *project,
                     struct bytes handle)
{
    struct workspace ws = {.lock = -1};
    int err = worktree_open(&ws.tree, root);
    if (err != OK)
        return err;
    AUTO_BUF text = {0};
    struct json_writer w;
    jwr_init(&w, &text);
    jwr_object(&w, NULL);
    jwr_str(&w, "url", url);
    jwr_id16(&w, "project", project);
    jwr_text(&w, "handle", handle);
    jwr_object_end(&w);
    buf_append(&text, "\n", 1);
    err = workspace_put(&ws, "config.json", buf_bytes(&text));
    worktree_close(&ws.tree);
    return err;
}

void workspace_close(struct workspace *ws)
{
    workspace_unlock(ws);
    worktree_close(&ws->tree);
    free(ws->root);
    free(ws->url);
    free(ws->handle);
    ws->root = ws->url = ws->handle = NULL;
}

/* ---- the lock ---------------------------------------------------------------------------- */

int workspace_lock(struct workspace *ws, struct clock *clock, uint64_t wait_ms)
{
    if (ws->lock >= 0)
        return OK;
    int dir;
    int err = mic_dir(ws, &dir);
    if (err != OK)
        return err;
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_from_errno(errno);
    for (uint64_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_STEP) {
        if (errno != EWOULDBLOCK || waited >= wait_ms) {
            err = errno == EWOULDBLOCK ? ERR_AGAIN : err_from_errno(errno);
            close(fd);
            return err;
        }
        clock->sleep_us(clock, LOCK_STEP * 1000);
    }
    ws->lock = fd;
    return OK;
}

void workspace_unlock(struct workspace *ws)
{
    if (ws->lock >= 0)
        close(ws->lock);
    ws->lock = -1;
}

/* ---- files of .mic ----------------------------------------------------------------------- */

static struct bytes mic_path(struct buf *out, const char *name)
{
    buf_printf(out, ".mic/%s", name);
    return buf_bytes(out);
}

int workspace_get(struct workspace *ws, const char *name, size_t max, struct buf *out)
{
    AUTO_BUF path = {0};
    struct stat st;
    return worktree_read(&ws->tree, mic_path(&path, name), max, out, &st);
}

int workspace_put(struct workspace *ws, const char *name, struct bytes data)
{
    AUTO_BUF path = {0};
    struct stat_mark mark;
    return worktree_replace(&ws->tree, mic_path(&path, name), KIND_FILE, MODE_PLAIN, data,
                            &mark);
}

int workspace_drop(struct workspace *ws, const char *name)
{
    AUTO_BUF path = {0};
    return worktree_remove(&ws->tree, mic_path(&path, name));
}

int workspace_session(struct workspace *ws, struct id16 *out)
{
    AUTO_BUF text = {0};
    int err = workspace_get(ws, "session", ID16_HEX_LEN + 1, &text);
    if (err != OK)
        return err;
    if (text.len < ID16_HEX_LEN || id16_parse(bytes_of(text.data, ID16_HEX_LEN), out) != OK)
        return ERR_CORRUPT;
    return OK;
}

int workspace_session_set(struct workspace *ws, const struct id16 *session)
{
    struct id16_hex hex = id16_hex(session);
    hex.s[ID16_HEX_LEN] = '\n';
    return workspace_put(ws, "session", bytes_of(hex.s, ID16_HEX_LEN + 1));
}

/* ---- the journal ------------------------------------------------------------------------- */

int journal_put(struct workspace *ws, const struct journal *journal)
{
    AUTO_BUF text = {0};
    struct json_writer w;
    jwr_init(&w, &text);
    jwr_object(&w, NULL);
    jwr_str(&w, "kind", journal->kind == JOURNAL_CHECKOUT ? "checkout" : "sync");
    jwr_u64(&w, "position", journal->position);
    jwr_hash(&w, "tree", &journal->tree);
    jwr_hash(&w, "content", &journal->content);
    jwr_array(&w, "merges");
    for (size_t i = 0; i < journal->n; i++) {
        const struct journal_merge *merge = &journal->merges[i];
        jwr_object(&w, NULL);
        jwr_text(&w, "path", merge->path);
        jwr_hash(&w, "before", &merge->before);
        jwr_hash(&w, "after", &merge->after);
        jwr_u64(&w, "mode", merge->mode);
        jwr_text(&w, "conflict", merge->conflict);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    jwr_object_end(&w);
    return workspace_put(ws, "journal", buf_bytes(&text));
}

int journal_get(struct workspace *ws, struct arena *arena, struct journal *out)
{
    AUTO_BUF text = {0};
    int err = workspace_get(ws, "journal", JOURNAL_MAX, &text);
    if (err != OK)
        return err;
    struct json_problem wrong = {0};
    AUTO_JSON *value = NULL;
    if (json_parse(buf_bytes(&text), &wrong, &value) != OK)
        return ERR_CORRUPT;
    struct json_at top = jrd_top(value, &wrong);
    bool checkout = bytes_equal(jrd_text(&top, "kind", JSON_REQUIRED), bytes_str("checkout"));
    struct journal journal = {
        .kind = checkout ? JOURNAL_CHECKOUT : JOURNAL_SYNC,
        .position = jrd_u64(&top, "position", JSON_REQUIRED, INT64_MAX, 0),
        .tree = jrd_hash(&top, "tree", JSON_REQUIRED),
        .content = jrd_hash(&top, "content", JSON_REQUIRED),
    };
    struct json_at merges = jrd_array(&top, "merges", JSON_REQUIRED);
    journal.n = jrd_count(&merges);
    journal.merges = arena_array(arena, journal.n, struct journal_merge);
    for (size_t i = 0; i < journal.n; i++) {
        struct json_at item = jrd_item(&merges, i);
        journal.merges[i] = (struct journal_merge){
            .path = arena_copy(arena, jrd_text(&item, "path", JSON_REQUIRED)),
            .before = jrd_hash(&item, "before", JSON_REQUIRED),
            .after = jrd_hash(&item, "after", JSON_REQUIRED),
            .mode = (uint16_t)jrd_u64(&item, "mode", JSON_REQUIRED, MODE_EXEC, 0),
            .conflict = arena_copy(arena, jrd_text(&item, "conflict", JSON_REQUIRED)),
        };
    }
    if (!jrd_ok(&top))
        return ERR_CORRUPT;
    *out = journal;
    return OK;
}

/* ---- paths ------------------------------------------------------------------------------- */

/* Appends the components of `text` to `out`; "." goes, ".." takes one away. */
static void components(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "/");
        if (len == 2 && memcmp(text, "..", 2) == 0) {
            while (out->len > 0 && out->data[--out->len] != '/') {
            }
        } else if (len > 0 && !(len == 1 && text[0] == '.')) {
            buf_append(out, "/", 1);
            buf_append(out, text, len);
        }
        text += len + (text[len] == '/' ? 1 : 0);
    }
}

int workspace_path(const struct workspace *ws, const char *cwd, const char *given,
                   struct arena *arena, struct bytes *out)
{
    AUTO_BUF full = {0};
    if (given[0] != '/')
        components(&full, cwd);
    components(&full, given);
    struct bytes root = bytes_str(strcmp(ws->root, "/") == 0 ? "" : ws->root);
    struct bytes path = buf_bytes(&full);
    if (path.len < root.len || (root.len > 0 && memcmp(path.data, root.data, root.len) != 0) ||
        (path.len > root.len && path.data[root.len] != '/'))
        return ERR_INVALID;
    size_t skip = path.len > root.len ? root.len + 1 : root.len;
    *out = arena_copy(arena, bytes_of(path.data + skip, path.len - skip));
    return OK;
}
