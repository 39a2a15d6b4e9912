#include "api/git/pack_out.h"

#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define GATHERED_BYTES_MAX   (128u * MIB)
#define GATHERED_OBJECTS_MAX 200000u
#define MEMPACK_PRIORITY     1000

struct pack_out {
    git_repository *repository;
    git_odb *odb;
    git_odb *files; /* the same objects without the memory before them */
    git_odb_backend *memory;
    struct git_report *report;
    pthread_mutex_t lock; /* guards all below, and the memory */
    git_oid *gathered;
    size_t n;
    size_t cap;
    size_t bytes;
};

int pack_out_open(git_repository *repository, struct git_report *report, struct pack_out **out)
{
    struct pack_out *pack = calloc(1, sizeof(*pack));
    if (pack == NULL || pthread_mutex_init(&pack->lock, NULL) != 0)
        abort();
    pack->repository = repository;
    pack->report = report;
    AUTO_BUF objects = {0};
    buf_printf(&objects, "%sobjects", git_repository_path(repository));
    buf_append(&objects, "", 1);
    int code = git_repository_odb(&pack->odb, repository);
    if (code == 0)
        code = git_odb_open(&pack->files, (const char *)objects.data);
    if (code == 0)
        code = git_mempack_new(&pack->memory);
    if (code == 0)
        code = git_odb_add_backend(pack->odb, pack->memory, MEMPACK_PRIORITY);
    if (code == 0) {
        *out = pack;
        return OK;
    }
    pack_out_close(pack);
    return git_lib_fail(report, code, "opening the new repository");
}

void pack_out_close(struct pack_out *pack)
{
    git_odb_free(pack->files);
    git_odb_free(pack->odb);
    free(pack->gathered);
    (void)pthread_mutex_destroy(&pack->lock);
    free(pack);
}

int pack_out_write(struct pack_out *pack, git_object_t type, struct bytes data, git_oid *out)
{
    git_oid oid;
    const void *bytes = data.len == 0 ? "" : (const void *)data.data;
    int code = git_odb_hash(&oid, bytes, data.len, type);
    (void)pthread_mutex_lock(&pack->lock);
    if (code == 0 && !git_odb_exists_ext(pack->odb, &oid, GIT_ODB_LOOKUP_NO_REFRESH)) {
        code = pack->memory->write(pack->memory, &oid, bytes, data.len, type);
        if (code == 0 && pack->n == pack->cap) {
            pack->cap = pack->cap == 0 ? 4096 : pack->cap * 2;
            pack->gathered = reallocarray(pack->gathered, pack->cap, sizeof(*pack->gathered));
            if (pack->gathered == NULL)
                abort();
        }
        if (code == 0) {
            pack->gathered[pack->n++] = oid;
            pack->bytes += data.len;
        }
    }
    if (code == 0)
        *out = oid;
    else
        (void)git_lib_fail(pack->report, code, "writing an object");
    (void)pthread_mutex_unlock(&pack->lock);
    return code == 0 ? OK : ERR_UNKNOWN;
}

int pack_out_stream(struct pack_out *pack, uint64_t size, git_odb_stream **out)
{
    int code = git_odb_open_wstream(out, pack->files, (git_object_size_t)size, GIT_OBJECT_BLOB);
    return code == 0 ? OK : git_lib_fail(pack->report, code, "writing a large object");
}

bool pack_out_full(struct pack_out *pack)
{
    (void)pthread_mutex_lock(&pack->lock);
    bool full = pack->n >= GATHERED_OBJECTS_MAX || pack->bytes >= GATHERED_BYTES_MAX;
    (void)pthread_mutex_unlock(&pack->lock);
    return full;
}

int pack_out_flush(struct pack_out *pack)
{
    if (pack->n == 0)
        return OK;
    git_packbuilder *builder = NULL;
    int code = git_packbuilder_new(&builder, pack->repository);
    if (code == 0)
        (void)git_packbuilder_set_threads(builder, 0);
    for (size_t i = 0; i < pack->n && code == 0; i++)
        code = git_packbuilder_insert(builder, &pack->gathered[i], NULL);
    if (code == 0)
        code = git_packbuilder_write(builder, NULL, 0, NULL, NULL);
    git_packbuilder_free(builder);
    if (code == 0)
        code = git_mempack_reset(pack->memory);
    if (code == 0)
        code = git_odb_refresh(pack->odb);
    if (code != 0)
        return git_lib_fail(pack->report, code, "writing a pack");
    pack->n = 0;
    pack->bytes = 0;
    return OK;
}
