/* What a tree should hold, kept in the plainest way: a sorted list of its files, and the stamps
 * of directories. It also computes content hashes on its own, by cutting every directory
 * anew. */
#ifndef TESTS_SUPPORT_TREE_MODEL_H
#define TESTS_SUPPORT_TREE_MODEL_H

#include "formats/page.h"

struct model_file {
    struct bytes path;
    struct entry entry; /* without its name */
};

struct model_dir {
    struct bytes path;
    uint64_t stamp;
};

struct tree_model {
    struct arena arena;       /* of the paths */
    struct model_file *files; /* sorted by path_compare */
    size_t n;
    size_t cap;
    struct model_dir *dirs; /* sorted by path_compare; also some that are gone */
    size_t n_dirs;
    size_t cap_dirs;
};

void tree_model_release(struct tree_model *);
void tree_model_copy(struct tree_model *, const struct tree_model *from);

/* A file whose content hash is made of `number`. */
struct entry model_file_entry(uint64_t number);

/* As tree_edit_put and tree_edit_remove. */
int tree_model_put(struct tree_model *, struct bytes path, const struct entry *, uint64_t stamp,
                   bool *changed);
int tree_model_remove(struct tree_model *, struct bytes path, uint64_t stamp, bool *changed);

/* A file, or a directory with files, size, stamp and hash; KIND_NONE when there is neither. */
struct entry tree_model_find(const struct tree_model *, struct bytes path);
struct hash tree_model_hash(const struct tree_model *);

#endif
