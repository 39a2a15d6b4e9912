/* Runs a fuzz target over files instead of chance: every file named, and every file in a folder
 * named. Linked with one fuzz_*.c in place of libFuzzer, so that what fuzzing once found is
 * tried again by every test run, with any compiler.
 *
 * Prints how many inputs it ran; a target that dislikes one crashes. Exits 2 when it can read
 * none. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "formats/base/types.h"

#define REPLAY_FILE_MAX (256l * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void die(const char *path, const char *why)
{
    fprintf(stderr, "replay: %s: %s\n", path, why);
    exit(2);
}

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        die(path, strerror(errno));
    long size = ftell(f);
    if (size < 0 || size > REPLAY_FILE_MAX)
        die(path, "cannot be sized, or is too large");
    rewind(f);
    /* Exactly `size` bytes on the heap, so that a read past them is seen by the sanitizer. */
    size_t len = (size_t)size;
    uint8_t *data = malloc(len == 0 ? 1 : len);
    if (data == NULL || fread(data, 1, len, f) != len)
        die(path, "cannot be read");
    fclose(f);
    /* Said beforehand: after a crash, the last line names the culprit. */
    printf("%s\n", path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, len);
    free(data);
    inputs++;
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        die(path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        die(path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[4096];
        int len = snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(file))
            replay_file(file);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("replayed %zu inputs\n", inputs);
    return inputs == 0 ? 2 : 0;
}
