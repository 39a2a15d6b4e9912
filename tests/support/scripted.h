/* An HTTP server that answers by a script: for tests of what a client makes of odd answers. It
 * listens on loopback, serves every connection in a thread of its own, and takes the steps in
 * the order in which requests come. When they are used up it answers 501. */
#ifndef TESTS_SUPPORT_SCRIPTED_H
#define TESTS_SUPPORT_SCRIPTED_H

#include "formats/base/buf.h"

enum script_deed {
    SCRIPT_ANSWER, /* status, headers, Content-Length, body */
    SCRIPT_RAW,    /* `body` is all that is sent */
    SCRIPT_CLOSE,  /* reads the request and closes without an answer */
    SCRIPT_STALL,  /* reads the request and says nothing until the script is closed */
    SCRIPT_HASTY,  /* answers when it has the head of the request, and closes */
};

struct script_step {
    enum script_deed deed;
    const char *status;  /* such as "200 OK" */
    const char *headers; /* lines that end in \r\n, or NULL */
    const char *body;    /* or NULL */
    size_t missing; /* bytes that Content-Length promises beyond the body; then it closes */
    bool close;     /* closes after the answer */
};

struct script;

/* `steps` must stay. With `answer`, steps are made as they are asked for: it gets the request
 * and fills in the step, whose strings must stay until the next one; one call at a time. */
struct script *script_open(const struct script_step *steps, size_t n) MUST_USE;
struct script *script_open_answering(void (*answer)(void *arg, const char *request,
                                                    struct script_step *out),
                                     void *arg) MUST_USE;
/* Ends its connections and threads. */
void script_close(struct script *);
/* Stops listening, and closes what is open; the counts stay. */
void script_end(struct script *);

/* http://127.0.0.1:PORT */
const char *script_url(const struct script *);
unsigned script_requests(struct script *);
unsigned script_connections(struct script *);
/* The request number `i`, from 0: head and body. It must have come. */
const char *script_seen(struct script *, unsigned i);

#endif
