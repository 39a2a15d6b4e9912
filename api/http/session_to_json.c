#include "api/http/session_json.h"

#include "formats/path.h"

static const char *mode_text(uint16_t mode)
{
    return mode == MODE_EXEC ? "0755" : "0644";
}

void content_fields(struct json_writer *w, enum kind kind, uint16_t mode, uint64_t size,
                    const struct hash *hash)
{
    jwr_str(w, "kind", kind_name(kind));
    if (kind == KIND_FILE)
        jwr_str(w, "mode", mode_text(mode));
    jwr_u64(w, "size", size);
    jwr_hash(w, "hash", hash);
}

void seen_to_json(struct json_writer *w, const char *name, const struct seen *seen)
{
    if (!seen->said)
        return;
    if (seen->kind == KIND_NONE) {
        jwr_null(w, name);
        return;
    }
    jwr_object(w, name);
    jwr_str(w, "kind", kind_name(seen->kind));
    if (seen->kind == KIND_FILE)
        jwr_str(w, "mode", mode_text(seen->mode));
    jwr_hash(w, "hash", &seen->hash);
    jwr_object_end(w);
}

void entry_to_json(struct json_writer *w, const char *name, const struct entry *e)
{
    if (e == NULL) {
        jwr_null(w, name);
        return;
    }
    jwr_object(w, name);
    if (e->name.len > 0)
        jwr_text(w, "name", e->name);
    content_fields(w, e->kind, e->mode, e->size, &e->hash);
    jwr_u64(w, "stamp", e->stamp);
    if (e->kind == KIND_DIR)
        jwr_u64(w, "files", e->files);
    jwr_object_end(w);
}

/* Who touched the path since it was seen. */
static void cause_to_json(struct json_writer *w, const struct preflight_cause *cause)
{
    jwr_u64(w, "base", cause->base);
    jwr_array(w, "landings");
    for (size_t i = 0; i < cause->n; i++) {
        const struct preflight_landing *landing = &cause->landings[i];
        jwr_object(w, NULL);
        jwr_u64(w, "position", landing->position);
        jwr_id16(w, "session", &landing->session);
        jwr_text(w, "author", landing->author);
        jwr_text(w, "goal", landing->goal);
        jwr_decimal(w, "hlc", landing->hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_bool(w, "more", cause->more);
}

/* `causes`: one a conflict, or NULL. */
static void conflicts_to_json(struct json_writer *w, const struct landing *landing,
                              const struct preflight_cause *causes)
{
    jwr_u64(w, "conflicts_total", landing->n_conflicts);
    jwr_array(w, "conflicts");
    for (uint16_t i = 0; i < landing->n_listed; i++) {
        const struct conflict *conflict = &landing->conflicts[i];
        jwr_object(w, NULL);
        jwr_str(w, "what", conflict_what_name(conflict->what));
        jwr_text(w, "path", conflict->path);
        seen_to_json(w, "seen", &conflict->seen);
        seen_to_json(w, "there", &conflict->there);
        jwr_u64(w, "by", conflict->by);
        if (causes != NULL)
            cause_to_json(w, &causes[i]);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

static void reasons_to_json(struct json_writer *w, const struct landing *landing)
{
    if (landing->reason.len > 0)
        jwr_text(w, "reason", landing->reason);
    if (landing->detail.len > 0)
        jwr_text(w, "detail", landing->detail);
}

void landing_to_json(struct json_writer *w, const char *name, const struct landing *landing)
{
    jwr_object(w, name);
    jwr_id16(w, "session", &landing->session);
    jwr_str(w, "verdict", verdict_name(landing->verdict));
    jwr_u64(w, "position", landing->position);
    jwr_bool(w, "closes", landing->closes);
    reasons_to_json(w, landing);
    if (landing->n_conflicts > 0)
        conflicts_to_json(w, landing, NULL);
    jwr_object_end(w);
}

static void preflight_result_to_json(struct json_writer *w,
                                     const struct preflight_result *result)
{
    const struct landing *landing = &result->landing;
    jwr_object(w, NULL);
    if (result->has_session)
        jwr_id16(w, "session", &result->session);
    if (result->answered) {
        jwr_str(w, "verdict", "answered");
        landing_to_json(w, "answer", landing);
    } else {
        jwr_str(w, "verdict",
                landing->verdict == VERDICT_LANDED ? "clean" : verdict_name(landing->verdict));
        reasons_to_json(w, landing);
        if (landing->n_conflicts > 0)
            conflicts_to_json(w, landing, result->causes);
    }
    jwr_object_end(w);
}

void preflight_to_json(struct json_writer *w, const struct preflight *preflight)
{
    jwr_u64(w, "position", preflight->head.position);
    jwr_decimal(w, "hlc", preflight->head.hlc);
    jwr_hash(w, "tree", &preflight->head.tree_hash);
    jwr_array(w, "results");
    for (size_t i = 0; i < preflight->n; i++)
        preflight_result_to_json(w, &preflight->results[i]);
    jwr_array_end(w);
}

static const char *effect_name(enum effect_kind kind)
{
    switch (kind) {
    case EFFECT_WRITE:
        return "write";
    case EFFECT_DELETE:
        return "delete";
    case EFFECT_MOVED:
        return "moved";
    }
    return "write";
}

/* What is gone is said with every path: it may be where the path's content was before. */
static bool effect_wanted(const struct log_effect *e, struct bytes path)
{
    return path.len == 0 || e->kind != EFFECT_WRITE || bytes_equal(e->path, path) ||
           path_below(e->path, path);
}

void log_entry_to_json(struct json_writer *w, const struct log_entry *entry, struct bytes path)
{
    jwr_object(w, NULL);
    jwr_u64(w, "position", entry->position);
    jwr_str(w, "verdict", verdict_name(entry->verdict));
    jwr_id16(w, "session", &entry->session);
    jwr_id16(w, "request", &entry->request);
    jwr_text(w, "author", entry->author);
    jwr_text(w, "goal", entry->goal);
    jwr_decimal(w, "hlc", entry->hlc);
    jwr_hash(w, "tree", &entry->tree);
    if (entry->reason.len > 0)
        jwr_text(w, "reason", entry->reason);
    jwr_array(w, "effects");
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        const struct log_effect *e = &entry->effects[i];
        if (!effect_wanted(e, path))
            continue;
        jwr_object(w, NULL);
        jwr_str(w, "op", effect_name(e->kind));
        jwr_text(w, "path", e->path);
        if (e->kind == EFFECT_WRITE)
            content_fields(w, e->file_kind, e->mode, e->size, &e->hash);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_object_end(w);
}

/* --- sessions --- */

static void effects_to_json(struct json_writer *w, const struct session_view *view)
{
    jwr_array(w, "operations");
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *e = &view->effects[i];
        jwr_object(w, NULL);
        jwr_str(w, "op", effect_name(e->kind));
        jwr_text(w, "path", e->path);
        seen_to_json(w, "seen", &e->seen);
        if (e->kind == EFFECT_WRITE)
            content_fields(w, e->content.kind, e->content.mode, e->content.size,
                           &e->content.hash);
        if (e->source.len > 0)
            jwr_text(w, "source", e->source);
        jwr_decimal(w, "hlc", e->by->hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

static void said_to_json(struct json_writer *w, const struct session_view *view)
{
    jwr_array(w, "guards");
    for (size_t i = 0; i < view->n_guards; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "path", view->guards[i]->guard.path);
        seen_to_json(w, "seen", &view->guards[i]->guard.seen);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_array(w, "decisions");
    for (size_t i = 0; i < view->n_decisions; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "text", view->decisions[i]->decision);
        jwr_decimal(w, "hlc", view->decisions[i]->hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_array(w, "conversation");
    for (size_t i = 0; i < view->n_turns; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "role", view->turns[i]->conversation.role);
        jwr_text(w, "text", view->turns[i]->conversation.text);
        jwr_decimal(w, "hlc", view->turns[i]->hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

static void start_to_json(struct json_writer *w, const struct record *start)
{
    if (start == NULL)
        return;
    jwr_text(w, "author", start->start.author);
    jwr_text(w, "goal", start->start.goal);
    jwr_text(w, "key", start->start.key);
}

static void attributes_to_json(struct json_writer *w, const struct record *start)
{
    jwr_object(w, "attributes");
    for (uint32_t i = 0; start != NULL && i < start->start.n_attributes; i++) {
        const struct attribute *attribute = &start->start.attributes[i];
        char name[256];
        size_t len =
            attribute->name.len < sizeof(name) ? attribute->name.len : sizeof(name) - 1;
        memcpy(name, attribute->name.data, len);
        name[len] = '\0';
        jwr_object(w, name);
        jwr_base64(w, "base64", attribute->value);
        jwr_object_end(w);
    }
    jwr_object_end(w);
}

static const char *state_name(const struct session_current *now)
{
    if (!now->answered)
        return "open";
    switch (now->answer.verdict) {
    case VERDICT_LANDED:
        return "landed";
    case VERDICT_ABANDONED:
        return "abandoned";
    case VERDICT_CONFLICTED:
        return now->answer.closes ? "conflicted" : "open";
    case VERDICT_REFUSED:
    case VERDICT_NOT_TRIED:
        return now->answer.closes ? "refused" : "open";
    }
    return "open";
}

void session_to_json(struct json_writer *w, const struct session_current *now,
                     struct arena *arena)
{
    const struct session *s = &now->session;
    jwr_id16(w, "id", &s->id);
    jwr_str(w, "state", state_name(now));
    start_to_json(w, now->view.start);
    jwr_u64(w, "base", s->base);
    jwr_decimal(w, "created", s->hlc_created);
    jwr_decimal(w, "updated", s->hlc_updated);
    if (now->answered && now->answer.verdict == VERDICT_LANDED)
        jwr_u64(w, "position", now->answer.position);
    attributes_to_json(w, now->view.start);
    effects_to_json(w, &now->view);
    said_to_json(w, &now->view);
    struct hash records = records_hash(s->records, s->n_records, arena);
    jwr_hash(w, "records", &records);
    if (now->answered)
        landing_to_json(w, "answer", &now->answer);
}

void session_line_to_json(struct json_writer *w, const struct session *s, struct arena *arena)
{
    struct session_view view;
    session_view(s, arena, &view);
    jwr_object(w, NULL);
    jwr_id16(w, "id", &s->id);
    start_to_json(w, view.start);
    jwr_u64(w, "base", s->base);
    jwr_decimal(w, "created", s->hlc_created);
    jwr_decimal(w, "updated", s->hlc_updated);
    jwr_u64(w, "operations", view.n_effects);
    jwr_object_end(w);
}
