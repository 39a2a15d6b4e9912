/* Derivation: how far a result is, as a stream of events for browsers and others that listen
 * (text/event-stream). The connection is suspended while there is nothing to tell. */
#include <pthread.h>
#include <stdlib.h>

#include "api/http/derive_request.h"
#include "api/http/route.h"

/* A stream ends after so long; who still wants it asks again. */
#define STREAM_MS 86400000u
/* Progress is left out while so much waits for a slow client. */
#define UNSENT_MAX (64u * KIB)

/* Has two holders: the answer, and the get. */
struct event_stream {
    pthread_mutex_t lock; /* of all below */
    struct request *r;    /* there as long as `waiting` */
    struct buf out;
    size_t sent;
    bool waiting; /* the connection is suspended */
    bool ended;   /* there are no more events */
    bool left;    /* nobody reads them */
};

/* Under the lock, which it gives up. */
static void stream_leave(struct event_stream *stream, bool *mine)
{
    *mine = true;
    bool last = stream->ended && stream->left;
    (void)pthread_mutex_unlock(&stream->lock);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&stream->lock);
    buf_release(&stream->out);
    free(stream);
}

/* --- who reads --- */

static long stream_read(void *arg, char *out, size_t max)
{
    struct event_stream *stream = arg;
    (void)pthread_mutex_lock(&stream->lock);
    size_t left = stream->out.len - stream->sent;
    size_t len = left < max ? left : max;
    long n = (long)len;
    if (len > 0)
        memcpy(out, stream->out.data + stream->sent, len);
    stream->sent += len;
    if (stream->sent == stream->out.len) {
        buf_clear(&stream->out);
        stream->sent = 0;
    }
    if (len == 0 && stream->ended) {
        n = STREAM_END;
    } else if (len == 0) {
        stream->waiting = true;
        request_suspend(stream->r);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return n;
}

static void stream_close(void *arg)
{
    struct event_stream *stream = arg;
    (void)pthread_mutex_lock(&stream->lock);
    stream_leave(stream, &stream->left);
}

/* --- who writes; under the lock --- */

static void event_begin(struct event_stream *stream, const char *name, struct json_writer *w)
{
    buf_printf(&stream->out, "event: %s\ndata: ", name);
    jwr_init(w, &stream->out);
    jwr_object(w, NULL);
}

static void event_end(struct event_stream *stream, struct json_writer *w)
{
    jwr_object_end(w);
    buf_append(&stream->out, "\n\n", 2);
}

static void stream_wake(struct event_stream *stream)
{
    if (stream->waiting)
        request_resume(stream->r);
    stream->waiting = false;
}

static bool on_progress(void *arg, const struct get_progress *progress)
{
    struct event_stream *stream = arg;
    struct json_writer w;
    (void)pthread_mutex_lock(&stream->lock);
    bool listens = !stream->left;
    if (listens && stream->out.len - stream->sent < UNSENT_MAX) {
        event_begin(stream, "progress", &w);
        derive_progress_to_json(&w, progress);
        event_end(stream, &w);
        stream_wake(stream);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return listens;
}

static void event_failed(struct event_stream *stream, const struct problem *problem)
{
    struct json_writer w;
    event_begin(stream, "failed", &w);
    jwr_u64(&w, "status", problem_status(problem));
    jwr_object(&w, "error");
    jwr_str(&w, "code", problem->code);
    jwr_str(&w, "message", problem->message);
    if (problem->field[0] != '\0')
        jwr_str(&w, "field", problem->field);
    jwr_object_end(&w);
    event_end(stream, &w);
}

static void event_done(struct event_stream *stream, const struct derived *derived)
{
    struct json_writer w;
    event_begin(stream, "done", &w);
    jwr_hash(&w, "output", &derived->hash);
    jwr_u64(&w, "size", derived->size);
    jwr_bool(&w, "ran", derived->ran);
    event_end(stream, &w);
}

static void on_answer(void *arg, const struct derive_answer *answer)
{
    struct event_stream *stream = arg;
    struct problem tree = {0};
    (void)problem_set(&tree, ERR_INVALID, "is_tree", NULL, "this address is a directory");
    (void)pthread_mutex_lock(&stream->lock);
    if (answer->err != OK)
        event_failed(stream, &answer->problem);
    else if (answer->derived != NULL && answer->derived->is == DERIVE_IS_TREE)
        event_failed(stream, &tree);
    else if (answer->derived != NULL)
        event_done(stream, answer->derived);
    stream_wake(stream);
    stream_leave(stream, &stream->ended);
    derived_close(answer->derived);
}

void handle_derive_progress(struct request *r)
{
    struct derive_request *get = arena_new(&r->arena, struct derive_request);
    get->r = r;
    if (!derive_request_read(get))
        return;
    struct event_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        abort();
    (void)pthread_mutex_init(&stream->lock, NULL);
    stream->r = r;
    /* Proxies are to pass events on as they come. */
    respond_header(r, "X-Accel-Buffering", "no");
    respond_stream(r, "text/event-stream",
                   (struct stream){.next = stream_read, .close = stream_close, .arg = stream});
    if (r->head) {
        stream->ended = true;
        return;
    }
    get->ask.want = GET_BYTES;
    get->ask.wait_ms = STREAM_MS;
    get->ask.progress = on_progress;
    derive_request_begin(get, on_answer, stream);
}
