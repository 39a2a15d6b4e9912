/* Only writes files, for `make bench` part d: the least that a checkout must do.
 *
 *   write_files DIR FILES
 *
 * File i lies at dNN/dNN/fNNN.txt and holds the text that the benchmark's tree has there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS     50u /* at the top */
#define BELOW    20u /* directories in each */
#define TEXT_MAX 8192

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "write_files: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void directories_make(int root)
{
    char path[64];
    for (unsigned a = 0; a < DIRS; a++) {
        snprintf(path, sizeof(path), "d%02u", a);
        if (mkdirat(root, path, 0755) != 0)
            fail(path);
        for (unsigned b = 0; b < BELOW; b++) {
            snprintf(path, sizeof(path), "d%02u/d%02u", a, b);
            if (mkdirat(root, path, 0755) != 0)
                fail(path);
        }
    }
}

/* The text of file `i`: 20 to 59 lines, 1 to 3 KB. bench_checkout.py makes the repository of
 * what this program writes. */
static size_t text_make(unsigned i, char out[static TEXT_MAX])
{
    unsigned chance = i * 2654435761u + 12345u;
    unsigned lines = 20 + chance / 65536 % 40;
    size_t len = 0;
    for (unsigned line = 0; line < lines; line++) {
        chance = chance * 1103515245u + 12345u;
        len += (size_t)snprintf(out + len, TEXT_MAX - len,
                                "    value_%u = table[%u] + limit_%u;\n", chance / 65536 % 997,
                                i, chance / 4096 % 8191);
    }
    return len;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: write_files DIR FILES\n");
        return 2;
    }
    unsigned files = (unsigned)strtoul(argv[2], NULL, 10);
    int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        fail(argv[1]);
    directories_make(root);
    for (unsigned i = 0; i < files; i++) {
        char path[64];
        char text[TEXT_MAX];
        size_t len = text_make(i, text);
        unsigned place = i % (DIRS * BELOW);
        snprintf(path, sizeof(path), "d%02u/d%02u/f%03u.txt", place % DIRS, place / DIRS,
                 i / (DIRS * BELOW));
        int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) != 0)
            fail(path);
    }
    return 0;
}
