#!/usr/bin/env python3
"""Bugs to be planted, each in a build of the simulator of its own: it must find every one.

    mutations.py list
    mutations.py write NAME DIR    the changed source files, under DIR; prints their paths

`make mutant MUTANT=NAME` builds build/release/mutants/NAME/test_sim with it. The sources of the
product know nothing of this: a bug is a text of theirs and what takes its place. A text that is
not there exactly once is an error: whoever has changed that piece says here what the bug is now."""

import os
import sys

LAND = "pipeline/stages/land_batch.c"
STAGE = "pipeline/stages/stage_land.c"
COLLECT = "pipeline/repo/collect/collect.c"
GARBAGE = "pipeline/repo/collect/garbage_list.c"
REACH = "pipeline/repo/collect/reach.c"
UPLOAD = "pipeline/repo/content/upload.c"
BLOBS = "pipeline/repo/content/blob_store.c"
DERIVE_LOG = "pipeline/derive/log/derive_log.c"
DERIVE_BATCH = "pipeline/derive/log/derive_batch.c"
FOLLOW = "pipeline/derive/log/derive_follow.c"
MERGE = "pipeline/derive/log/derive_merge.c"
REACH_DERIVE = "pipeline/repo/collect/reach_derive.c"
LOOK = "pipeline/derive/index/index_look.c"
STAGED = "pipeline/derive/index/index_stage.c"
FILL = "pipeline/derive/index/index_fill.c"

HEAD_PUT = """    err =
        store_put(land->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &a->etag);
"""
TREE_PUT = """        err = put_once(land->repo, key.s, buf_bytes(&a->build.bytes));
"""

# name, what is wrong, file, [text, what takes its place]; where it is in another file: file, text,
# what takes its place
MUTATIONS = [
    ("record_after_head", "the tree object is put after the head that names it", LAND,
     [(TREE_PUT, "        err = OK;\n"),
      (HEAD_PUT, HEAD_PUT + """    key = key_tree(&a->round->project, &tree);
    if (err == OK)
        err = put_once(land->repo, key.s, buf_bytes(&a->build.bytes));
""")]),

    ("blind_retry", "a head put of which nobody knows what became is made again over whatever "
     "is there now", LAND,
     [(HEAD_PUT, HEAD_PUT + """    if (err == ERR_UNKNOWN) {
        struct head there;
        err = chain_head(land->repo, &a->round->project, &there, &a->etag);
        if (err == OK)
            err = store_put(land->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH,
                            &a->etag);
    }
""")]),

    ("settle_before_head", "what a batch answers is put away though its head put was refused",
     LAND,
     [("""    if (err == OK)
        commit_done(a, &head);
""", """    if (err == OK || err == ERR_CONFLICT) {
        commit_done(a, &head);
        err = OK;
    }
""")]),

    ("lease_trusted", "a drain that holds the lease needs no condition on the head", LAND,
     [("bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &a->etag);",
       "bytes_of(bytes, HEAD_LEN), PUT_ANY, &a->etag);")]),

    ("stale_head", "a batch that was refused is put again with a newer etag, on the head that "
     "was read before", LAND,
     [(HEAD_PUT, HEAD_PUT + """    if (err == ERR_CONFLICT) {
        struct head there;
        err = chain_head(land->repo, &a->round->project, &there, &a->etag);
        if (err == OK && there.position <= head.position && there.hlc < head.hlc)
            err = store_put(land->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH,
                            &a->etag);
        else
            err = ERR_CONFLICT;
    }
""")]),

    ("negative_read", "a head put that cannot be seen is taken as lost, and its tree object as "
     "garbage", LAND,
     [(HEAD_PUT, HEAD_PUT + """    if (err == ERR_UNKNOWN) {
        struct head there;
        struct key garbage = key_tree(&a->round->project, &tree);
        if (chain_head(land->repo, &a->round->project, &there, NULL) == OK &&
            !hash_equal(&there.tree_hash, &tree))
            (void)!store_delete(land->repo->store, garbage.s);
    }
""")]),

    ("negative_read_queue", "a queue put that cannot be seen is told as not taken",
     "pipeline/repo/intake/intake_put.c",
     [("            a->unknown = true; /* nobody can tell whose it is */\n",
       "            a->unknown = found != ERR_NOT_FOUND;\n")]),

    ("queue_deleted_first", "queue objects are deleted before the head put that settles them",
     STAGE,
     [("    round_choose(&round, due_hlc);\n", """    round_choose(&round, due_hlc);
    for (size_t i = 0; i < round.n_queued; i++) {
        if (round.queued[i]->has_request)
            (void)!store_delete(land->repo->store, round.queued[i]->key.s);
    }
""")]),

    ("answer_before_head", "who waits is answered when the request is in the queue",
     "api/service/waiters_round.c",
     [("        bool whole = waiter->n_answered == waiter->n;\n"
       "        bool over = waiter->deadline_us <= round->now_us;\n"
       "        if (err != OK || whole || over)\n"
       "            waiters_detach(waiter);\n"
       "        else\n",
       """        for (uint32_t i = 0; i < waiter->n && err == OK; i++) {
            struct landing landing = {.verdict = VERDICT_LANDED,
                                      .closes = true,
                                      .request = waiter->request,
                                      .session = waiter->sessions[i],
                                      .owner = waiter->owner,
                                      .position = base_head(w->bases, &waiter->watch->project)
                                                      .position + 1 + i};
            waiter_keep(waiter, i, &landing);
        }
        bool whole = waiter->n_answered == waiter->n;
        bool over = waiter->deadline_us <= round->now_us;
        if (err != OK || whole || over)
            waiters_detach(waiter);
        else
""")]),

    ("seen_from_head", "what an operation has seen is filled in from the head, not from its base",
     "api/service/seen_fill.c",
     [("    int err = base_open(fill->service->bases, &fill->project, position, &base);\n",
       "    int err = base_open(fill->service->bases, &fill->project, UINT64_MAX, &base);\n")]),

    ("seen_laundered", "an operation's base is the session's, as a rebase has raised it",
     "api/service/service_sessions.c",
     [("        if (*base == UINT64_MAX)\n            *base = session->base;\n",
       "        if (*base == UINT64_MAX || session->base > *base)\n"
       "            *base = session->base;\n")]),

    ("fold_by_order", "of two copies of a record the one that came first counts",
     "formats/session_fold.c",
     [("            merged[count] = *better_copy(&old[i++], more[j++]);\n",
       "            merged[count] = old[i++];\n            j++;\n")]),

    ("effects_by_order", "of two operations on a path the one with the greater id counts",
     "formats/session_view.c",
     [("        order = record_time_compare(left->by, right->by);\n    return order != 0 ? order : "
       "(int)left->is_target",
       "        order = id16_compare(&left->by->id, &right->by->id);\n    return order != 0 ? "
       "order : (int)left->is_target")]),

    ("page_taken_as_empty", "a page that cannot be read is taken as an empty one",
     "pipeline/repo/tree/dir_pages.c",
     [("        int err = tree_page(repo, project, &dir->where, &pages.top);\n"
       "        if (err != 0) {\n            return err;\n        }\n",
       "        int err = tree_page(repo, project, &dir->where, &pages.top);\n"
       "        if (err != 0) {\n            *p = (struct dir_pages){.repo = repo};\n"
       "            return 0;\n        }\n")]),

    ("hlc_from_wall", "a stamp is the wall clock's, whatever was seen", "formats/hlc.c",
     [("    return next > wall ? next : wall;\n", "    return last == wall ? next : wall;\n")]),

    ("content_unchecked", "inline content is not held against its hash",
     "api/service/seen_fill.c",
     [("        if (content_plain(&scratch, content, &plain) == OK)\n            return OK;\n",
       "        if (content_plain(&scratch, content, &plain) != ERR_INVALID)\n"
       "            return OK;\n")]),

    ("answers_forgotten", "whether a request has been answered before is not asked", LAND,
     [("""        a->series_waits = true;
        return OK;
    }
    if (answer.closed)
        r->work->closed = true;
""", """        answer = (struct answer){0};
    }
    answer = (struct answer){0};
    if (answer.closed)
        r->work->closed = true;
""")]),

    ("lands_what_is_there", "a land lands the records that the drain has, not those it names",
     LAND,
     [("            return false;\n        out->records[out->n_records++] = all->records[at];\n"
       "    }\n    return true;\n",
       "            continue;\n        out->records[out->n_records++] = all->records[at];\n"
       "    }\n    return true;\n")]),

    ("lands_all_there_is", "a land lands all records of its session that have come", LAND,
     [("        out->records[out->n_records++] = all->records[at];\n    }\n    return true;\n",
       "        out->records[out->n_records++] = all->records[at];\n    }\n    *out = *all;\n"
       "    return true;\n")]),

    ("later_copy", "of two copies of a record the one with the higher stamp counts",
     "formats/session_fold.c",
     [("        return a->hlc < b->hlc ? a : b;\n", "        return a->hlc > b->hlc ? a : b;\n")]),

    ("sources_unchecked", "whether the content that a session names is there is not looked at",
     "pipeline/repo/judge.c",
     [("    return contents_check(&j, out);\n",
       "    (void)!contents_check(&j, out);\n    *out = (struct landing){.verdict = VERDICT_LANDED};\n    return OK;\n")]),

    ("preflight_untouched", "a preflight takes a path that nobody has touched since its base for "
     "one that is as the client has seen it", "api/service/service_preflight.c",
     [("    err = causes_find(look, &view, landing, out->causes);\n",
       """    err = causes_find(look, &view, landing, out->causes);
    bool untouched = err == OK && landing->verdict == VERDICT_CONFLICTED;
    for (uint16_t i = 0; i < landing->n_listed; i++)
        untouched = untouched && out->causes[i].n == 0;
    if (untouched)
        *landing = (struct landing){.verdict = VERDICT_LANDED};
""")]),

    ("guards_unchecked", "guards are not checked", "pipeline/repo/conflict.c",
     [("    for (size_t i = 0; i < view->n_guards; i++) {\n        int err = guard_check",
       "    for (size_t i = 0; i < 0; i++) {\n        int err = guard_check")]),

    ("series_goes_on", "a series goes on behind a session that did not land", LAND,
     [("    a->series_ended = a->series_ended || r->ends;\n    a->decided++;\n",
       "    a->decided++;\n")]),

    ("head_before_queue", "a session is read from the chain before the queue",
     "pipeline/repo/intake/pending.c",
     [("""    struct found found = {0};
    int err = queue_find(repo, project, sid, arena, &found);
    if (err != OK)
        return err;
    struct session object;
""", """    struct found found = {0};
    int first = answer_find(repo, project, sid, arena, &current.answer, &current.tip);
    int err = queue_find(repo, project, sid, arena, &found);
    if (err != OK)
        return err;
    struct session object;
"""), ("    err = answer_find(repo, project, sid, arena, &current.answer, &current.tip);\n",
       "    err = first;\n")]),

    ("absent_says_no", "a filter that is absent or damaged is taken for a no",
     "pipeline/repo/history/rollup_read.c",
     [("    if (step_make(reader, level, low, step.end, step.asks, &parts[n]))\n",
       "    if (ref != NULL && step_make(reader, level, low, step.end, step.asks, &parts[n]))\n"),
      ("        n += step_make(reader, step.level - 1, step.from, step.end, step.asks, "
       "&below[0]);\n", ""),
      ("        uint64_t asks = object->silent;\n", "        uint64_t asks = 0;\n")]),

    ("answers_not_in_rollups", "rollups leave out the answers that landed nothing",
     "pipeline/repo/history/rollup_keys.c",
     [("    gather_add(gather, rollup_key_session(&entry->session));\n",
       "    if (entry->verdict == VERDICT_LANDED)\n"
       "        gather_add(gather, rollup_key_session(&entry->session));\n")]),

    ("rollup_over_log", "a rollup covers a hundred positions more than the log has",
     "pipeline/stages/rollup_project.c",
     [("    uint64_t full = (log->end - 1) / rollup_span(number);\n",
       "    uint64_t full = (log->end - 1) / rollup_span(number) + (number == 1);\n"),
      ("pipeline/repo/history/rollup_source.c",
       "    return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;\n", "    return err;\n"),
      ("pipeline/repo/history/rollup_keys.c", "    assert(gather->n == columns);\n",
       "    while (gather->n < columns)\n        column_finish(gather);\n")]),

    ("foreign_records", "records of another owner are taken into a session", STAGE,
     [("        if (!id16_equal(&group->owner, &work->session.owner))\n            continue;\n",
       "")]),

    ("pack_blind", "a pack puts the head whatever it is by now",
     "pipeline/repo/pack/pack_project.c",
     [("    int err = store_put(pack->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH,\n"
       "                        &pack->etag);\n",
       "    int err = store_put(pack->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_ANY,\n"
       "                        &pack->etag);\n")]),

    ("pack_by_content", "directories of equal content are packed as one page",
     "pipeline/repo/pack/pack_walk.c",
     [("    if (err == OK)\n        page_memo_add(stack->memo, &frame->was, frame->files, spot);\n",
       """    const struct page *page = &frame->held->page;
    struct hash content = page_content_hash(page->level, page->entries, page->n);
    struct location by = {.tree = content, .check = content};
    if (err == OK)
        page_memo_add(stack->memo, &by, frame->files, spot);
"""),
      ("    if (page_memo_find(stack->memo, &e->where, &spot)) {\n",
       """    struct location by = {.tree = e->hash, .check = e->hash};
    if (page_memo_find(stack->memo, &by, &spot)) {
""")]),

    ("pack_parts_kept", "a pack goes on with its parts though a collection has been there",
     "pipeline/repo/pack/pack_project.c",
     [("    if (pack->gc_known && !same) {\n        pack_parts_drop(&pack->parts);\n"
       "        page_memo_clear(pack->memo);\n",
       "    if (pack->gc_known && !same) {\n")]),

    ("gc_no_fence", "a collection does not fence", COLLECT,
     [("    int err = fence_put(c->repo, &c->project);\n", "    int err = OK;\n")]),

    ("gc_no_second_mark", "a collection deletes what its first mark has condemned", COLLECT,
     [("""    if (err == OK)
        err = mark(c);
    if (err == OK)
        err = garbage_list_make(&list, &c->reach, c->before_ms, &c->object.gc, NULL, &unused);
""", """    if (err == OK)
        err = garbage_list_make(&list, &c->reach, c->before_ms, &c->object.gc, NULL, &unused);
""")]),

    ("gc_young_again", "what was put again since the first mark is deleted like all that is "
     "condemned", GARBAGE,
     [("    } else if (key->put_ms >= l->before_ms) {\n",
       "    } else if (key->put_ms >= l->before_ms && l->only == NULL) {\n")]),

    ("gc_unknown_done", "a delete of which nobody knows what became is taken as done", COLLECT,
     [("            done[of[k]] = ops[k].err == OK;\n"
       "            doubt[of[k]] |= ops[k].err == ERR_UNKNOWN;\n",
       "            done[of[k]] = ops[k].err == OK || ops[k].err == ERR_UNKNOWN;\n"
       "            doubt[of[k]] = false;\n")]),

    ("gc_no_cooling", "a run is closed although deletes of it may come late", COLLECT,
     [("    return run_close(c, names, n);\n", "    return run_close(c, NULL, 0);\n")]),

    ("gc_no_doubt", "who takes a run over takes it that its dead process has nothing under way",
     COLLECT, [("    c->doubtful = true;\n", "")]),

    ("gc_queue_no_root", "what lies in the queue names nothing", REACH,
     [("    int err = reach_queue(reach);\n", "    int err = OK;\n")]),

    ("gc_sessions_no_root", "open sessions name nothing", REACH,
     [("        err = reach_sessions(reach);\n", "        err = OK;\n")]),

    ("gc_no_companions", "what was put along with a tree object is not named by it",
     "pipeline/repo/collect/reach_chain.c",
     [("    for (unsigned i = 0; i < f->n_companions; i++)\n"
       "        reach_tree(reach, &f->companions[i]);\n", "")]),

    ("gc_no_chunks", "a manifest that stays does not keep its chunks", REACH,
     [("    for (uint32_t i = 0; i < manifest.n; i++)\n"
       "        reach_blob(reach, &manifest.chunks[i], false);\n", "")]),

    ("gc_young_chunks", "a manifest that nothing names yet does not keep its chunks", GARBAGE,
     [("    if (err == OK && list->n > 0 && l.young.len > 0)\n",
       "    if (err == OK && list->n > 0 && l.young.len > SIZE_MAX - 1)\n")]),

    ("gc_young_chunks_once", "a manifest that has come since the first mark does not keep its "
     "chunks", GARBAGE,
     [("        if (name->what == GC_BLOB)\n",
       "        if (name->what == GC_BLOB && l->only == NULL)\n")]),

    ("known_for_ever", "a content that was there once is there though gc has changed", BLOBS,
     [("    uint64_t version = condemned_version(ask->condemned);\n",
       "    uint64_t version = 0;\n")]),

    ("manifest_first", "a manifest is put before its chunks", UPLOAD,
     [("""    int err = chunk_seal(upload);
    if (err == OK)
        err = group_put(upload);
    if (err != OK)
        return err;
""", """    int err = chunk_seal(upload);
    if (err != OK)
        return err;
"""),
      ("    return object_put(upload, &content->hash, &bytes);\n",
       "    err = object_put(upload, &content->hash, &bytes);\n"
       "    return err == OK ? group_put(upload) : err;\n")]),

    ("manifest_alone", "a manifest is there though a chunk of it is not", BLOBS,
     [("        err = chunks_there(ask, &manifest, look);\n", "        look->there = true;\n")]),

    ("chunk_skipped", "a chunk that was there once is not put again", UPLOAD,
     [("    if (!chunk_at_hand(upload, &hash)) {\n",
       """    bool missing = true;
    (void)!blob_missing(upload->repo, &upload->project, NULL, &hash, 1, &missing, NULL);
    if (!chunk_at_hand(upload, &hash) && missing) {
""")]),

    ("upload_own_name", "an upload is held up when it is condemned, and not for its chunks",
     UPLOAD,
     [("    for (size_t i = 0; i < n && condemned->gc.n > 0 && !gone; i++)\n",
       "    for (size_t i = n; i < n && condemned->gc.n > 0 && !gone; i++)\n")]),

    ("upload_unlooked", "nobody looks whether a collection takes what was put", UPLOAD,
     [("    upload->err = upload_stays(upload, &content);\n", "")]),

    ("derive_answer_early", "who puts to a derive log is answered before the object is put",
     DERIVE_LOG,
     [("    (void)!store_many(repo->store, round->ops, round->n); /* each has its own outcome */\n",
       """    for (size_t i = 0; i < round->n; i++) {
        size_t told = derive_batch_tell(round->projects[i]->under_way, OK);
        round->told += told;
        round->log->tells -= told;
    }
    (void)!store_many(repo->store, round->ops, round->n);
""")]),

    ("derive_next_number", "the next number of a derive log is put though nobody knows of the one "
     "before it", DERIVE_LOG,
     [("""        if (!project->unknown)
            project_unknown(round, project);
        derive_project_pause(project, now_us);
""", """        project->durable = batch->seq;
        project_settle(round, project, ERR_UNKNOWN);
""")]),

    ("derive_number_again", "a number of a derive log is used again though its put may have "
     "happened, and what lies there is taken for the new one", DERIVE_LOG,
     [("""        if (!project->unknown)
            project_unknown(round, project);
        derive_project_pause(project, now_us);
""", "        project_settle(round, project, ERR_UNKNOWN);\n"),
      (DERIVE_BATCH, "        int found = compare(batch, repo);\n", "        int found = OK;\n")]),

    ("derive_unknown_done", "a put to a derive log of which nobody knows what became is taken as "
     "durable", DERIVE_BATCH,
     [("    if (err == OK)\n        return DERIVE_DURABLE;\n    /* What lies there",
       "    if (err == OK || err == ERR_UNKNOWN)\n        return DERIVE_DURABLE;\n"
       "    /* What lies there")]),

    ("derive_negative_read", "a put to a derive log that cannot be seen is taken as lost",
     DERIVE_BATCH,
     [("    if (err == ERR_CONFLICT || err == ERR_UNKNOWN)\n        batch->unknown = true;\n",
       """    if (err == ERR_UNKNOWN && compare(batch, repo) == ERR_NOT_FOUND) {
        batch->unknown = false;
        batch->puts = 16;
        return DERIVE_WAITS;
    }
    if (err == ERR_CONFLICT || err == ERR_UNKNOWN)
        batch->unknown = true;
""")]),

    ("derive_merge_first", "a merge deletes objects before their segment is put", MERGE,
     [("static int segment_make(struct merge *m)\n{\n",
       "static int merged_delete(struct merge *m);\n\n"
       "static int segment_make(struct merge *m)\n{\n"),
      ("    if (err == OK && m->n_chosen > 0)\n        err = segment_put(m);\n",
       """    for (size_t i = 0; i < m->n_chosen; i++)
        m->chosen[i]->merged = true;
    if (err == OK)
        err = merged_delete(m);
    if (err == OK && m->n_chosen > 0)
        err = segment_put(m);
""")]),

    ("derive_merge_unknown", "a segment of which nobody knows whether it was put is taken as put",
     MERGE,
     [("    if (err == ERR_CONFLICT)\n        err = compare(m, &key, buf_bytes(&bytes));\n",
       """    if (err == ERR_UNKNOWN)
        err = OK;
    if (err == ERR_CONFLICT)
        err = compare(m, &key, buf_bytes(&bytes));
""")]),

    ("derive_merged_twice", "what a segment has is merged into the next one, too", MERGE,
     [("        loose->merged = loose->old && is_covered(m, loose->agent, loose->seq);\n",
       "        loose->merged = loose->old && is_covered(m, loose->agent, loose->seq) && false;\n")]),

    ("derive_hole_forgotten", "an index remembers numbers that could not be read", LOOK,
     [("        uint64_t seq = at->n_holes > 0 ? at->holes[0].first - 1 : at->seq;\n",
       "        uint64_t seq = at->seq;\n")]),

    ("derive_gap_passed", "a reader takes what is missing below a number for read", FOLLOW,
     [("            err = look_miss(look, agent, seq - 1, ERR_NOT_FOUND);\n",
       "            derive_cursor_know(look->cursor, agent, seq - 1);\n")]),

    ("derive_unlooked", "what is not in the index is not found, and the log is not looked at",
     "pipeline/derive/index/index_find.c",
     [("        err = project_look(w->p);\n", "        err = OK;\n")]),

    ("derive_look_joined", "who misses something joins a look that has begun before", LOOK,
     [("    uint64_t wanted = p->looks + 1; /* the next that begins */\n",
       "    uint64_t wanted = p->looks + !p->looking;\n")]),

    ("derive_later_memo", "a later memo takes the place of the first", STAGED,
     [("        return told_compare(told, &there->told) < 0;\n",
       "        return told_compare(told, &there->told) > 0;\n"),
      (FILL, "        (err == OK && told_compare(&told, &staged->told) <= 0))\n        return err;\n    f->counts.memos",
       "        (err == OK && told_compare(&told, &staged->told) >= 0))\n        return err;\n    f->counts.memos")]),

    ("derive_pin_by_arrival", "of a pin and an unpin the one that is read last counts", STAGED,
     [("        return told_compare(told, &there->told) > 0;\n", "        return true;\n"),
      (FILL, "        (err == OK && told_compare(&told, &staged->told) >= 0))\n",
       "        (err == OK && false))\n")]),

    ("derive_front_kept", "a memo in memory stays when one that was told before it comes",
     "pipeline/derive/index/derive_index.c",
     [("        index_front_remove(front, &p->id, FRONT_MEMO, &item->address);\n",
       "        (void)front;\n")]),

    ("derive_key_of_one", "a memo's key names the first input only", "formats/memo.c",
     [("    for (uint32_t i = 0; i < n_inputs; i++) {\n",
       "    for (uint32_t i = 0; i < n_inputs && i < 1; i++) {\n")]),

    ("derive_no_root", "a derive log names nothing", REACH,
     [("        err = reach_derive(reach);\n", "        err = OK;\n")]),

    ("derive_segments_no_root", "what was merged of a derive log names nothing", REACH_DERIVE,
     [("            if (seq > reach->derive_segments)\n"
       "                err = segment_mark(reach, seq);\n",
       "            if (seq > UINT64_MAX - 1)\n"
       "                err = segment_mark(reach, seq);\n")]),
]


def find(name):
    for mutation in MUTATIONS:
        if mutation[0] == name:
            return mutation
    sys.exit(f"mutations.py: there is no {name}")


def write(name, folder):
    _, _, main, changes = find(name)
    texts = {}
    for change in changes:
        path, old, new = change if len(change) == 3 else (main, *change)
        text = texts.get(path) or open(path, encoding="utf-8").read()
        if text.count(old) != 1:
            sys.exit(f"mutations.py: {name}: {path} has its text {text.count(old)} times")
        texts[path] = text.replace(old, new)
    for path, text in texts.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            same = open(target, encoding="utf-8").read() == text
        except OSError:
            same = False
        if not same:
            open(target, "w", encoding="utf-8").write(text)
        print(target)


if __name__ == "__main__":
    if sys.argv[1:] == ["list"]:
        print("\n".join(f"{name:20} {what}" for name, what, _, _ in MUTATIONS))
    elif len(sys.argv) == 4 and sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
