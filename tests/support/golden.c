#include "tests/support/golden.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"

#define LINE_BYTES 32u

static void golden_path(const char *noun, char *out, size_t room)
{
    const char *dir = getenv("MIC_GOLDEN_DIR");
    int len = snprintf(out, room, "%s/%s.hex", dir == NULL ? "tests/golden" : dir, noun);
    ck_assert(len > 0 && (size_t)len < room);
}

static void golden_write(const char *path, struct bytes data)
{
    FILE *f = fopen(path, "w");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    for (size_t i = 0; i < data.len; i += LINE_BYTES) {
        char line[2 * LINE_BYTES + 1];
        size_t n = data.len - i < LINE_BYTES ? data.len - i : LINE_BYTES;
        hex_encode(line, data.data + i, n);
        fprintf(f, "%s\n", line);
    }
    ck_assert_int_eq(fclose(f), 0);
}

void golden_read(const char *noun, struct buf *out)
{
    char path[4096];
    golden_path(noun, path, sizeof(path));
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "there is no %s: run from the root, or write it first", path);
    char line[2 * LINE_BYTES + 2];
    while (fgets(line, sizeof(line), f) != NULL) {
        struct bytes hex = bytes_of(line, strcspn(line, "\n"));
        uint8_t *at = buf_reserve(out, hex.len / 2);
        ck_assert_msg(hex_decode(at, hex.len / 2, hex) == 0, "%s is not hex", path);
        out->len += hex.len / 2;
    }
    fclose(f);
}

void golden_check(const char *noun, struct bytes actual)
{
    if (getenv("MIC_GOLDEN_WRITE") != NULL) {
        char path[4096];
        golden_path(noun, path, sizeof(path));
        golden_write(path, actual);
    }
    AUTO_BUF golden = {0};
    golden_read(noun, &golden);
    size_t n = golden.len < actual.len ? golden.len : actual.len;
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(golden.data[i] == actual.data[i],
                      "%s differs at byte %zu: %02x, not %02x", noun, i, actual.data[i],
                      golden.data[i]);
    }
    ck_assert_msg(golden.len == actual.len, "%s has %zu bytes, not %zu", noun, actual.len,
                  golden.len);
}
