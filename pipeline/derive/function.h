/* Functions: bytes and trees in, bytes out. A function does no I/O, sees no store and no clock,
 * and gives the same bytes for the same inputs and parameters, however the inputs are cut into
 * runs and pages. So its result can be named by what it is computed from.
 *
 * A function is found by name and version. Its implementation's digest is a part of what a
 * result is remembered under, and covers the versions of the libraries it calls: another
 * library, another result. */
#ifndef PIPELINE_DERIVE_FUNCTION_H
#define PIPELINE_DERIVE_FUNCTION_H

#include "formats/base/arena.h"
#include "formats/base/limits.h"
#include "formats/entry.h"
#include "formats/recipe.h"

/* An input of bytes. */
struct fn_bytes {
    uint64_t size;
    /* The bytes at `offset` (below size) and as many behind them as are at hand, at least one;
     * valid until the next view of this input, or of FUNCTION_VIEWS_MAX others. Errors are
     * passed up unchanged. */
    int (*view)(struct fn_bytes *, uint64_t offset, struct bytes *out);
};

/* What a directory of a tree has under a name: nothing but what follows from its hash, so trees
 * of equal content cannot be told apart. */
struct fn_entry {
    struct bytes name; /* one step of a path; empty for the top */
    enum kind kind;    /* KIND_FILE, KIND_LINK, KIND_DIR */
    uint16_t mode;
    uint64_t size;     /* of the content; of a directory: of all that is below */
    uint64_t files;    /* directories: files and links below */
    struct hash hash;  /* equal hashes: equal content, of a directory all that is below */
    const void *where; /* the tree's own */
};

/* A place in a directory, which begins with its first item. An item is an entry, in order of
 * their names (level 0), or in a large directory a page that has not been read (level 1 and
 * up), named by the first name in it: it can be passed over or expanded. Pages of equal level
 * and hash have equal entries; how a directory is cut into pages is not a part of its content.
 */
struct fn_dir {
    struct fn_tree *tree;
    const struct fn_entry *item; /* valid until the place moves; NULL: past the end */
    uint8_t level;
};

/* An input that is a tree. What is opened is closed before the run ends. Errors are passed up
 * unchanged. One thread. */
struct fn_tree {
    struct fn_entry top; /* KIND_DIR */
    /* The entry is the top, or an item that a place of this tree stands on. */
    int (*open_dir)(struct fn_tree *, const struct fn_entry *, struct fn_dir **out);
    void (*close_dir)(struct fn_dir *);
    /* Goes on to the next item; reads nothing. */
    void (*pass)(struct fn_dir *);
    /* Reads the page that the place stands on (level 1 and up), and stands on the first item in
     * it; on an error it stays. */
    int (*expand)(struct fn_dir *);
    /* A file's bytes, or where a link points. */
    int (*open_file)(struct fn_tree *, const struct fn_entry *, struct fn_bytes **out);
    void (*close_file)(struct fn_tree *, struct fn_bytes *);
};

/* Where the result goes: the function writes at `at`, at most `space` bytes, moves both on, and
 * calls flush for more room. */
struct fn_out {
    uint8_t *at;
    size_t space;
    /* Takes what was written; gives at least one byte of space. An error (the run was given up,
     * or the result is too long) is passed up unchanged. */
    int (*flush)(struct fn_out *);
};

/* Why a run or its parameters are refused: a sentence that is the same wherever it fails. */
struct fn_problem {
    char parameter[FUNCTION_NAME_MAX + 1]; /* empty: it is not about one */
    char message[320];
};

struct fn_run {
    struct fn_bytes **inputs; /* NULL at what is a tree */
    struct fn_tree **trees;   /* NULL at what is bytes; may be NULL when nothing is a tree */
    uint32_t n_inputs;
    const struct parameter *parameters; /* sorted by name */
    uint32_t n_parameters;
    struct fn_out *out;
    struct fn_problem *problem;
};

struct fn_parameter {
    const char *name;
    bool required;
};

/* A part of a result that is a part of an input. */
struct fn_piece {
    uint32_t input;
    uint64_t offset;
    uint64_t len;
};
typedef int fn_piece_take(void *arg, const struct fn_piece *);

struct function {
    const char *name;
    const char *version;
    const char *revision; /* of this implementation: raised when its results change */
    const char *about;    /* what it gives, for who writes recipes, with all parameters */
    void (*library)(struct buf *out); /* says which library makes the result; or NULL */
    uint32_t inputs_least;
    uint32_t inputs_most;
    uint32_t trees;                        /* bit i: input i is a tree; all others are bytes */
    const struct fn_parameter *parameters; /* sorted by name */
    size_t n_parameters;
    /* Looks at the parameters' values, without inputs; NULL where anything goes. ERR_INVALID.
     */
    int (*check)(const struct fn_run *);
    /* ERR_INVALID when the inputs are not what the function takes, with a sentence. */
    int (*run)(struct fn_run *);
    /* For a function whose result is put together of parts of its inputs, so that a range of it
     * needs only a range of them; else NULL. Their sizes are known, their bytes are not looked
     * at. ERR_LIMIT when the result would be longer than RESULT_SIZE_MAX. */
    int (*size)(const struct fn_run *, uint64_t *out);
    /* Gives the pieces of [from, end), in order; end is at most the size. */
    int (*pieces)(const struct fn_run *, uint64_t from, uint64_t end, fn_piece_take *,
                  void *arg);
};

/* NULL when there is none. */
const struct function *function_find(struct bytes name, struct bytes version);
/* All of them, by name, then version. */
const struct function *const *functions_all(size_t *n);
/* The digest of its implementation. */
struct hash function_digest(const struct function *);

/* Whether the recipe's inputs and parameters are what the function takes: 0, or ERR_INVALID and
 * the problem names the parameter. */
int function_check(const struct function *, const struct recipe *,
                   struct fn_problem *) MUST_USE;
/* Whether an input is to be a tree, and not bytes. A recipe does not say what its inputs are,
 * so this is checked when they are at hand. */
bool function_takes_tree(const struct function *, uint32_t input);
/* Refuses inputs that are not of their kind, else runs the function. */
int function_run(const struct function *, struct fn_run *) MUST_USE;

/* ---- for functions ---- */

/* Writes the sentence; gives ERR_INVALID. `parameter` may be NULL. */
int fn_refuse(const struct fn_run *, const char *parameter, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A parameter's value; false when it is not given. */
bool fn_parameter(const struct fn_run *, const char *name, struct bytes *out);
/* A decimal number; `otherwise` when it is not given. ERR_INVALID for what is none. */
int fn_parameter_u64(const struct fn_run *, const char *name, uint64_t otherwise,
                     uint64_t *out) MUST_USE;
/* One of two words: false when it is `usual`, or not given. ERR_INVALID for any other. */
int fn_parameter_either(const struct fn_run *, const char *name, const char *usual,
                        const char *other, bool *out) MUST_USE;
/* Writes bytes. */
int fn_put(struct fn_out *, struct bytes) MUST_USE;
/* All of an input in one piece: for functions that cannot work on runs. ERR_LIMIT over
 * FUNCTION_WHOLE_MAX. */
int fn_whole(const struct fn_run *, uint32_t input, struct buf *out) MUST_USE;
/* `run` of a function that has pieces. */
int fn_run_pieces(const struct function *, struct fn_run *) MUST_USE;

#endif
