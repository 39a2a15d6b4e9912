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
 * What a question costs, where nothing is found: a list (up to one more a level far behind the
 * head), and for each level one read for each object at the ends of the run that is asked about
 * (at most two where all are full; while the newest group of a hundred fills up, it is in at
 * most six parts). Of several keys asked at once each may want a sector of its own, and these
 * are read side by side; of a small object all of it is read for all of them. Who will most
 * likely go through all of the ranges lets several objects be read side by side, too. Names and
 * sizes are listed when they are needed first and kept for as long as the reader is open. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_READ_H
#define PIPELINE_REPO_HISTORY_ROLLUP_READ_H

#include "formats/rollup.h"
#include "pipeline/repo/repo.h"

struct rollup_range {
    uint64_t from; /* positions [from, end) */
    uint64_t end;
    uint64_t asks; /* bit i: it is about ask i; bit 0 where one key was asked for */
};

#define ROLLUP_ASKS_MAX  64u /* keys that are asked for at once */
#define ROLLUP_AHEAD_MAX 16u /* objects that are */

struct rollup_asked {
    uint64_t key;
    uint64_t from; /* earlier positions are of no interest to it */
};

/* One thread at a time. */
struct rollup_reader;

/* Makes no request. The repo stays the caller's. */
struct rollup_reader *rollup_reader_open(struct repo *, const struct id16 *project) MUST_USE;
void rollup_reader_close(struct rollup_reader *);

/* Begins a question (and forgets the one before): which of the positions [from, end) may have
 * to do with the key? Position 0 is that of the answers before the first landing. */
void rollup_reader_ask(struct rollup_reader *, uint64_t key, uint64_t from, uint64_t end);
/* The same with up to ROLLUP_ASKS_MAX keys, each with a `from` of its own. A range that is
 * about several of them begins where the least `from` of these lets it. */
void rollup_reader_ask_many(struct rollup_reader *, const struct rollup_asked *asks, size_t n,
                            uint64_t end);
/* For questions that mostly find nothing: few rounds, and little for nothing where they do. */
#define ROLLUP_AHEAD_FIRST 4u

/* In the questions to come `first` objects are read side by side, then twice as many each time,
 * up to `most` and to ROLLUP_AHEAD_MAX: those that the next ranges are asked of, and further
 * ones that are asked if the caller goes on. 1 and 1 unless told: nothing is read that may not
 * be needed. */
void rollup_reader_ahead(struct rollup_reader *, unsigned first, unsigned most);
/* Of the question at hand, ask number `ask` has found what it was for: nothing more is read for
 * it. */
void rollup_reader_drop(struct rollup_reader *, unsigned ask);
/* The next older range: a hundred positions or less, more where no filter says anything. False
 * when there is none left: what was not given has nothing to do with the key. */
bool rollup_reader_next(struct rollup_reader *, struct rollup_range *out);

#endif
