/* A file area in front of another one that counts its calls, is full after so many bytes, or
 * dies at a call as a process does that is killed: what was done stays done, and nothing is
 * done any more. One cache uses it; any thread. */
#ifndef TESTS_SUPPORT_FAULTY_FILES_H
#define TESTS_SUPPORT_FAULTY_FILES_H

#include "pipeline/sys/file_area.h"

/* Does not own `below`. */
struct file_area *faulty_files_open(struct file_area *below) MUST_USE;
void faulty_files_close(struct file_area *);

/* Dies at change number `call` from now, from 1; 0: never. A write that it dies at is done by
 * half. */
void faulty_files_die(struct file_area *, uint64_t call);
bool faulty_files_dead(struct file_area *);
/* Room for so many bytes in all files that were made through it, from now on; UINT64_MAX: no
 * bound. */
void faulty_files_room(struct file_area *, uint64_t bytes);

/* Called once, before the next file is made or opened, without a lock. */
void faulty_files_on_file(struct file_area *, void (*call)(void *arg), void *arg);
/* The same before the next file is removed. */
void faulty_files_on_remove(struct file_area *, void (*call)(void *arg), void *arg);

struct faulty_files_counts {
    uint64_t changes; /* create, write, rename, remove */
    uint64_t writes;
    uint64_t reads;
    uint64_t read_bytes;
    uint64_t opened; /* files that are open now */
};
struct faulty_files_counts faulty_files_counts(struct file_area *);

#endif
