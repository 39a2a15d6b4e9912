/* Questions to a project's rollups: which positions may have touched a path, written a content
 * or answered a session, newest first. Asked level by level from the top, one read of a sector
 * for up to a hundred filters at a time; where the levels end, a hundred landings are left,
 * whose entries the caller looks at in the log.
 *
 * "No" is said only where a sector says so whose checksum, place and project hold. What no
 * filter covers (the newest landings, and what mic-rollup has not made), what is absent,
 * damaged, about other positions than its name, or cannot be read now "may contain": it comes
 * as a range like any other, which costs the caller reads of the log, and no answer.
 *
 * What a question costs, where nothing is found: a list a level, and for each level one read
 * for each object at the ends of the run that is asked about (at most two where all are full;
 * while the newest group of a hundred fills up, it is in at most six parts). Names and sizes
 * are listed when they are needed first and kept for as long as the reader is open. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_READ_H
#define PIPELINE_REPO_HISTORY_ROLLUP_READ_H

#include "formats/rollup.h"
#include "pipeline/repo/repo.h"

struct rollup_range {
    uint64_t from; /* positions [from, end) */
    uint64_t end;
};

/* One thread at a time. */
struct rollup_reader;

/* Makes no request. The repo stays the caller's. */
struct rollup_reader *rollup_reader_open(struct repo *, const struct id16 *project) MUST_USE;
void rollup_reader_close(struct rollup_reader *);

/* Begins a question (and forgets the one before): which of the positions [from, end) may have
 * to do with the key? Position 0 is that of the answers before the first landing. */
void rollup_reader_ask(struct rollup_reader *, uint64_t key, uint64_t from, uint64_t end);
/* The next older range: a hundred positions or less, more where no filter says anything. False
 * when there is none left: what was not given has nothing to do with the key. */
bool rollup_reader_next(struct rollup_reader *, struct rollup_range *out);

#endif
