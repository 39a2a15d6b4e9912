/* Which files are not looked at: `.micignore` files with the rules of gitignore. The rules of a
 * deeper directory come after those above it, and the last rule that matches decides. A file
 * below an ignored directory cannot be taken in again: whoever walks does not go in. */
#ifndef API_CLI_IGNORE_H
#define API_CLI_IGNORE_H

#include "formats/base/types.h"

#define IGNORE_NAME     ".micignore"
#define IGNORE_FILE_MAX (1u << 20)

struct ignore_rule {
    struct bytes pattern; /* without the marks that the flags stand for */
    bool negated;         /* "!": takes in again */
    bool directory;       /* "/" at the end: directories only */
    bool anchored;        /* a slash elsewhere: matches from the rules' own directory */
};

/* The rules of one directory. */
struct ignore_rules {
    struct bytes dir; /* "" is the root */
    struct ignore_rule *rules;
    size_t n;
    char *text; /* a copy of the file, that dir and patterns point into */
};

/* A stack: the rules of the directories from the root to where the walk is. */
struct ignore {
    struct ignore_rules *stack;
    size_t n;
    size_t cap;
};

void ignore_init(struct ignore *);
void ignore_release(struct ignore *);
/* Goes into `dir`, whose .micignore has `text` (empty: it has none), and out again. */
void ignore_push(struct ignore *, struct bytes dir, struct bytes text);
void ignore_pop(struct ignore *);
bool ignore_match(const struct ignore *, struct bytes path, bool is_directory);

/* Whether `text` matches a pattern with ? * ** [a-z] and \; only ** goes over a slash. */
bool wild_match(struct bytes pattern, struct bytes text);

#endif
