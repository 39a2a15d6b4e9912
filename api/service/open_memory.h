/* What a front remembers of open sessions, so that a write to one of them asks the store for
 * nothing of its own: whose the session is, and how much may be added to it before it is read
 * again. That a session has no answer yet is asked of the chain each time, of a head that was
 * read lately. Losing any of it costs reads. Any thread. */
#ifndef API_SERVICE_OPEN_MEMORY_H
#define API_SERVICE_OPEN_MEMORY_H

#include "formats/record.h"
#include "pipeline/repo/repo.h"

/* What records take up of the bounds of an open session. */
struct session_load {
    size_t records;
    size_t content; /* inline */
    size_t bytes;   /* of the records, encoded */
};

/* Whether nothing of what is written depends on what the session has: writes and guards that
 * say their base, conversation, decisions. */
bool open_stand_alone(const struct record *records, size_t n);

/* The session was read, or begins, and has so much; it is open, without any answer up to the
 * batch `tip`. Of the room that is left this
 * front gives a small part away before it looks again: others write to the session, too. */
void open_remember(struct repo *, const struct id16 *project, const struct id16 *sid,
                   const struct id16 *owner, const struct hash *tip,
                   const struct session_load *has);

/* Whether the session is known to be the owner's, to have no answer, and to have room for so
 * much more, which is taken. `hlc`: what the owner has seen is not newer. */
bool open_admits(struct repo *, const struct id16 *project, const struct id16 *sid,
                 const struct id16 *owner, uint64_t hlc, const struct session_load *more);

#endif
